"""Our totals of a business date beside the host's, on the settlement's page. Decides nothing: `balancing` does."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from processor.codec.describe import CODE_MEANINGS
from processor.commands import CommandRefused, UnknownLink
from processor.link.console import CommandState
from processor.link.reconciliation import Outcome, Totals
from processor.reconciling import Hindrance
from staff.audit import actor_of
from transactions import balancing
from transactions.admin import words
from transactions.balancing import Told
from transactions.domain.money import is_currency
from transactions.reports.settlement import Counted
from transactions.reports.totals import SIDES, Gap, differs_in_reversed_only, gaps, totals

_LABELS: Final = {
    "debits": gettext_lazy("Debits"),
    "debit_reversals": gettext_lazy("Debit reversals"),
    "credits": gettext_lazy("Credits"),
    "credit_reversals": gettext_lazy("Credit reversals"),
}
_AMOUNTS: Final = {
    "debits": gettext_lazy("Debits, amount"),
    "debit_reversals": gettext_lazy("Debit reversals, amount"),
    "credits": gettext_lazy("Credits, amount"),
    "credit_reversals": gettext_lazy("Credit reversals, amount"),
}
_SO_MANY: Final[Mapping[str, Callable[[int], str]]] = {
    "debits": lambda n: ngettext("%(n)s debit", "%(n)s debits", n),
    "debit_reversals": lambda n: ngettext("%(n)s debit reversal", "%(n)s debit reversals", n),
    "credits": lambda n: ngettext("%(n)s credit", "%(n)s credits", n),
    "credit_reversals": lambda n: ngettext("%(n)s credit reversal", "%(n)s credit reversals", n),
}
#: by which way the number differs, and which way the amount
_FRAMES: Final = {
    (1, 1): gettext_lazy("The bank counts %(what)s more: %(amount)s."),
    (1, 0): gettext_lazy("The bank counts %(what)s more, of the same sum."),
    (1, -1): gettext_lazy("The bank counts %(what)s more, yet %(amount)s less."),
    (0, 1): gettext_lazy("%(side)s: the bank counts as many, and %(amount)s more."),
    (0, -1): gettext_lazy("%(side)s: the bank counts as many, and %(amount)s less."),
    (-1, 1): gettext_lazy("The bank counts %(what)s fewer, yet %(amount)s more."),
    (-1, 0): gettext_lazy("The bank counts %(what)s fewer, of the same sum."),
    (-1, -1): gettext_lazy("The bank counts %(what)s fewer: %(amount)s."),
}
_SAID: Final[Mapping[str, Any]] = {
    Outcome.IN_BALANCE.value: gettext_lazy("In balance: the bank counts as we do."),
    Outcome.UNREADABLE.value: gettext_lazy(
        "The bank's answer says neither that it balances nor that it does not. No payment is touched; ask the bank."
    ),
    Hindrance.NO_WORD.value: gettext_lazy("The link's dialect has no message for totals: compare a file of the bank."),
    Hindrance.NO_KEY.value: gettext_lazy(
        "The link has no MAC key, and totals must be signed. Nothing was sent; put the key in first."
    ),
    Hindrance.LINK_LOST.value: gettext_lazy("The link went down before anything was sent. Ask again once it is up."),
    Hindrance.NO_ANSWER.value: gettext_lazy("The bank did not answer in time. No payment is touched; ask again."),
    Hindrance.WRONG_MAC.value: gettext_lazy(
        "The MAC of the bank's answer is missing or wrong, so nothing it says counts. Ask again; if it stays so, "
        "compare the keys with the bank."
    ),
}
#: of a command whose answer says no more than its state
_ENDED: Final[Mapping[str, Any]] = {
    CommandState.REFUSED.value: gettext_lazy("The link is down, so nothing was sent. Ask again once it is up."),
    CommandState.FAILED.value: gettext_lazy(
        "The link's worker ended meanwhile, so nobody knows the answer. No payment is touched; ask again."
    ),
    CommandState.EXPIRED.value: gettext_lazy(
        "No worker of the link took it in time, so nothing was sent. Start one for the link, and ask again."
    ),
}


class AskForm(forms.Form):
    """Which totals are asked for."""

    day = forms.DateField()
    link = forms.CharField(max_length=100)
    currency = forms.CharField()

    def clean_currency(self) -> str:
        """Return the letters of ISO 4217."""
        letters: str = self.cleaned_data["currency"]
        if not is_currency(letters):
            raise forms.ValidationError("currency")
        return letters


def urls(site: AdminSite) -> list[Any]:
    """Return the door that asks, and the one that tells whether there is an answer."""
    return [
        path("admin/reports/settlement/ask/", site.admin_view(_ask), name="report_settlement_ask"),
        path("admin/reports/settlement/told/", site.admin_view(_told), name="report_settlement_told"),
    ]


def panels(request: HttpRequest, day: date, link: str, counted: Sequence[Counted]) -> dict[str, Any]:
    """Return what the page shows of a date's totals, a panel a currency."""
    ours, told = totals(counted), balancing.last_told(day, link)
    return {
        "panels": [_panel(one, ours.get(one, Totals()), told.get(one)) for one in sorted({*ours, *told})],
        "is_waiting": any(not one.is_over for one in told.values()),
        "may_ask": request.user.has_perm(balancing.RECONCILE),
    }


def _ask(request: HttpRequest) -> HttpResponse:
    """Ask, and go back to where the answer will be."""
    if not request.user.has_perm(balancing.RECONCILE):
        raise PermissionDenied
    if request.method != "POST":
        return redirect("report_settlement")
    form = AskForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Choose a business date, a link and a currency. Nothing was asked."))
        return redirect("report_settlement")
    given = form.cleaned_data
    try:
        balancing.ask(given["day"], given["link"], given["currency"], actor_of(request))
    except UnknownLink:
        messages.error(request, _("There is no such link. Nothing was asked."))
    except CommandRefused:
        messages.error(request, _("The totals are too large for a message. Nothing was asked."))
    address = urlencode({"day": given["day"], "link": given["link"]})
    return redirect(f"{reverse('report_settlement')}?{address}#totals")


def _told(request: HttpRequest) -> HttpResponse:
    """Answer whether there is an answer yet."""
    if not request.user.has_perm("transactions.view_payment"):
        raise PermissionDenied
    try:
        day = date.fromisoformat(request.GET.get("day", ""))
    except ValueError:
        return JsonResponse({"html": "", "is_over": True})
    told = balancing.last_told(day, request.GET.get("link", ""))
    is_over = all(one.is_over for one in told.values())
    answer = JsonResponse({"html": _("The bank is being asked."), "is_over": is_over})
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _panel(currency: str, ours: Totals, told: Told | None) -> dict[str, Any]:
    asked = told.ours if told else ours
    theirs = told.theirs if told else None
    outcome = told.command.detail.get("outcome", "") if told else ""
    return {
        "currency": currency,
        "told": told,
        "is_over": told is None or told.is_over,
        "is_in_balance": outcome == Outcome.IN_BALANCE.value,
        "sentences": _sentences(told, outcome, currency) if told and told.is_over else [],
        "has_changed": told is not None and told.is_over and told.ours != ours,
        "lines": _lines(asked, theirs, currency),
        "code": _code(told) if told else "",
    }


def _sentences(told: Told, outcome: str, currency: str) -> list[str]:
    """Say what came of it."""
    if outcome == Outcome.NOT_COMPARED.value:
        return [_("The bank compared nothing. Its code says why; no payment is touched. Ask again later.")]
    if outcome != Outcome.OUT_OF_BALANCE.value:
        return [str(_SAID.get(outcome) or _ENDED.get(told.command.state, ""))]
    if told.theirs is None:
        return [_("Out of balance: the bank counts otherwise, and gives no totals of its own. Compare its file.")]
    found = gaps(told.ours, told.theirs)
    if not found:
        return [_("The bank says that it does not balance, yet its totals are ours. Ask the bank.")]
    said = [_("Out of balance."), *(_sentence(gap, currency) for gap in found)]
    if differs_in_reversed_only(found):
        said.append(
            _(
                "What the bank counts more it counts as reversed too, so no money differs: what is undone unseen "
                "counts at the bank once as it was made and once as it was reversed."
            )
        )
    return said


def _sentence(gap: Gap, currency: str) -> str:
    frame = str(_FRAMES[_sign(gap.number), _sign(gap.amount_minor)])
    what = _SO_MANY[gap.side](abs(gap.number)) % {"n": f"{abs(gap.number):,}"}
    return frame % {
        "what": what,
        "side": _LABELS[gap.side],
        "amount": words.money(abs(gap.amount_minor), currency),
    }


def _sign(number: int) -> int:
    return (number > 0) - (number < 0)


def _lines(ours: Totals, theirs: Totals | None, currency: str) -> list[dict[str, Any]]:
    lines = []
    for side in SIDES:
        for name, label, said in (
            (side, _LABELS[side], _number),
            (f"{side}_minor", _AMOUNTS[side], lambda amount: _bare(amount, currency)),
        ):
            lines.append(_line(label, getattr(ours, name), getattr(theirs, name) if theirs else None, said))
    net = theirs.net_minor if theirs else None
    return [*lines, _line(_("Net"), ours.net_minor, net, lambda amount: _bare(amount, currency))]


def _line(label: Any, ours: int, theirs: int | None, said: Callable[[int], str]) -> dict[str, Any]:
    difference = None if theirs is None else theirs - ours
    return {
        "label": label,
        "ours": said(ours),
        "theirs": "–" if theirs is None else said(theirs),
        "difference": "–" if difference is None else f"{'+' if difference > 0 else ''}{said(difference)}",
        "differs": bool(difference),
    }


def _bare(amount_minor: int, currency: str) -> str:
    """Return an amount without its currency: the panel has it as its heading, and a phone little room."""
    return words.signed_money(amount_minor, currency).replace(f"{currency} ", "")


def _number(count: int) -> str:
    return f"{'−' if count < 0 else ''}{abs(count):,}"


def _code(told: Told) -> str:
    """Return the response code with its meaning, and the settlement code (field 66)."""
    code, settlement = told.command.detail.get("code", ""), told.command.detail.get("settlement_code", "")
    if not code:
        return "–"
    meaning = CODE_MEANINGS.get(code, "")
    shown = f"{code} {_(meaning)}" if meaning else code
    return f"{shown}; 66 = {settlement}" if settlement else shown
