"""The training terminal: a page like an ATM's, for demonstrations; it is there only where `TERMINAL_PAGE` says so.

Owns what the page is given, and nothing of a payment: the page posts through the public API, as any terminal would.

The browser is the terminal. It makes the PIN block itself (ISO 9564 format 0, under a key derived as the bank's
specification says) and wipes the digits, so that a clear PIN reaches no server, log, trace, error or database of ours;
a component on the server would be sent every PIN in the clear first. Hence its key lies in the page, and that is why
the only key it is ever given is the published one of the simulator: a link under another key has no terminal.

The API key is made when the page first needs one, for the demonstration merchant, to pay and to read, and ends by
itself after some hours. It is given to a member of staff whose role may use the terminal, is in no page, no address and
no storage of the browser, and making one is in the audit. No other script runs there: see the policy below.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import wraps
from typing import Any, Final

from csp.decorators import csp_replace
from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.http import require_POST, require_safe

from config import terminal_words as words
from processor import links
from processor.codec.describe import CODE_MEANINGS
from processor.keys.software import pin_context, terminal_check_value
from processor.links import LinkConfig
from processor.management.commands.simulator import TEST_BANK, TEST_TPK
from processor.models import Key
from processor.simulator.scenarios import BEHAVIOURS, DECLINES
from staff.audit import Result, Subject, actor_of, record, subject_of
from transactions.domain.money import currencies_with
from transactions.domain.values import REASONS
from transactions.management.commands.demo import LINK, MERCHANT
from transactions.models import ApiKey, Merchant

PERMISSION: Final = "transactions.use_terminal"
_KEY_LIVES: Final = timedelta(hours=8)
_NIL: Final = "00000000-0000-0000-0000-000000000000"
#: stricter than elsewhere: a PIN is typed here
_POLICY: Final = {"script-src": ["'self'"], "style-src": ["'self'"]}

View = Callable[[HttpRequest], HttpResponseBase]


@dataclass(frozen=True, slots=True)
class TrainingCard:
    """A card that anybody may know, with its account at the simulator; amounts in minor units."""

    pan: str
    expiry: str
    currency: str
    account: str
    amounts: tuple[int, ...]


CARDS: Final = (
    TrainingCard("4111111111111111", "3012", "IDR", "1000000001", (5_000_000, 10_000_000, 25_000_000, 50_000_000)),
    TrainingCard("5555555555554444", "2911", "USD", "1000000002", (2_000, 5_000, 10_000, 20_000)),
    TrainingCard("3566002020360505", "3105", "JPY", "1000000003", (1_000, 5_000, 10_000, 30_000)),
)


def _only_in_training(view: View) -> View:
    """Nothing is there unless the setting allows it; then staff signs in, and needs the permission."""

    @wraps(view)
    def guarded(request: HttpRequest) -> HttpResponseBase:
        if not settings.TERMINAL_PAGE:
            raise Http404
        if not (request.user.is_active and getattr(request.user, "is_staff", False)):
            return redirect_to_login(request.path, reverse("admin:login"))
        if not request.user.has_perm(PERMISSION):
            record("open_page", actor_of(request), Result.REFUSED, subject=Subject("page", request.path))
            raise PermissionDenied
        return view(request)

    return guarded


@require_safe
@never_cache
@_only_in_training
@csrf_protect
@csp_replace(_POLICY)
def page(request: HttpRequest) -> HttpResponse:
    """Show the terminal, or say what it needs."""
    merchant, link = Merchant.objects.filter(name=MERCHANT).first(), links.read(LINK)
    missing = _missing(merchant, link)
    given = {} if missing or link is None else _given(link)
    context = {
        "missing": missing,
        "given": given,
        "merchant": merchant,
        "endings": _endings(),
        "terminal_id": link.terminal_id if link else "",
    }
    return render(request, "ferryman/terminal.html", context)


@require_POST
@never_cache
@_only_in_training
@csrf_protect
def key(request: HttpRequest) -> HttpResponse:
    """Make an API key for the page that asks: 201 with {key}; 409 where there is nothing to train on."""
    merchant = Merchant.objects.filter(name=MERCHANT).first()
    if merchant is None or _missing(merchant, links.read(LINK)):
        return JsonResponse({}, status=409)
    name, ends = f"terminal, {request.user.get_username()}"[:50], timezone.now() + _KEY_LIVES
    with transaction.atomic():
        ApiKey.objects.filter(name=name, merchant=merchant, expiry_date__lt=timezone.now()).delete()
        row, secret = ApiKey.objects.create_key(name=name, merchant=merchant, scopes=["pay", "read"], expiry_date=ends)
        record("add", actor_of(request), subject=subject_of(row), detail={"name": name, "ends": ends.isoformat()})
    return JsonResponse({"key": secret}, status=201)


def _missing(merchant: Merchant | None, link: LinkConfig | None) -> Any:
    """Return in a sentence what the terminal lacks; None where it can be used."""
    if merchant is None or link is None:
        return words.NO_DEMONSTRATION
    active = Key.objects.filter(link_id=link.id, type=Key.Type.TPK, state=Key.State.ACTIVE).first()
    published = terminal_check_value(bytes.fromhex(TEST_TPK))
    is_training = active is not None and active.check_value == published and link.bank_uuid == TEST_BANK
    return None if is_training and link.dialect.pin_bytes == words.PIN_BYTES else words.NO_TRAINING_KEY


def _given(link: LinkConfig) -> dict[str, Any]:
    """Return what the page's script works with. The key in it is published, and guards no money."""
    return {
        "payments": reverse("payments"),
        "api_key": reverse("terminal_key"),
        "story": reverse("admin:transactions_payment_change", args=[_NIL]).replace(_NIL, "{id}"),
        "link": link.name,
        "terminal_key": TEST_TPK,
        "key_context": pin_context(TEST_BANK),
        "cards": [
            {name: getattr(card, name) for name in ("pan", "expiry", "currency", "account", "amounts")}
            for card in CARDS
        ],
        "digits": {code: digits for digits, codes in currencies_with().items() if digits != 2 for code in codes},
        "codes": {code: gettext(meaning) for code, meaning in CODE_MEANINGS.items()},
        "reasons": {code.value: gettext(sentence) for code, sentence in REASONS.items()},
        "texts": words.TEXTS,
        "states": words.STATES,
    }


def _endings() -> list[tuple[str, str]]:
    """Return the simulator's rules: the last two digits of an amount, and what they bring about."""
    declines = [(code, words.declines(CODE_MEANINGS[code])) for code in sorted(DECLINES)]
    behaves = [(ending, words.behaves(behaviour.value)) for ending, behaviour in BEHAVIOURS.items()]
    return [("00", str(words.APPROVES)), *declines, *behaves]
