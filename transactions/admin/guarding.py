"""The first page of who guards the house and may not see payments, in words. Every figure is `transactions.guard`'s."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from staff.audit import Actor
from staff.requests import kind_of
from transactions import api_keys, guard
from transactions.admin.attention import Item
from transactions.guard import Figures


def shown(by: Actor) -> list[dict[str, Any]]:
    """Return the page's cards: title, items, and what is said where there is none; none for who guards nothing."""
    now = timezone.now()
    seen = guard.read(by, now)
    if seen.keys is None and seen.refused is None:
        return []
    cards = [(_("Waits for you"), list(_requests(seen, now)), _("Nothing waits for you."))]
    if seen.keys is not None:
        none = _("No key expires within %(days)s days.") % {"days": guard.KEYS_DAYS}
        cards.append((_("Keys that expire soon"), list(_keys(seen, by, now)), none))
    if seen.refused is not None:
        none = _("No sign-in was refused in the last 24 hours.")
        cards.append((_("Refused sign-ins, last 24 hours"), list(_refused(seen, now)), none))
    return [{"title": title, "items": items, "calm": calm} for title, items, calm in cards]


def _requests(seen: Figures, now: datetime) -> Iterator[Item]:
    for asked in seen.requests:
        yield Item(
            f"request-{asked.pk}",
            (now - asked.created_at).total_seconds(),
            _("%(maker)s asks: %(what)s") % {"maker": asked.maker, "what": kind_of(asked).title},
            asked.reason,
            _("Agree to it or turn it down."),
            reverse("admin:staff_request_change", args=[asked.pk]),
        )


def _keys(seen: Figures, by: Actor, now: datetime) -> Iterator[Item]:
    may_replace = by.may(api_keys.ASK[api_keys.REPLACE])
    for key in seen.keys or ():
        expires: Any = key.expiry_date
        yield Item(
            f"key-{key.prefix}",
            (expires - now).total_seconds(),
            f"{key.prefix}, {key.name}",
            _("of %(merchant)s, until %(date)s")
            % {"merchant": key.merchant, "date": timezone.localtime(expires).strftime("%Y-%m-%d")},
            _("Ask for another in its place.") if may_replace else _("Look at it."),
            reverse("admin:api_key_replace" if may_replace else "admin:transactions_apikey_change", args=[key.pk]),
        )


def _refused(seen: Figures, now: datetime) -> Iterator[Item]:
    for place, one in enumerate(seen.refused or ()):
        locked = _("locked for a while")
        times = ngettext("%(n)s wrong password", "%(n)s wrong passwords", one["times"]) % {"n": one["times"]}
        yield Item(
            f"sign-in-{place}",
            (now - one["last"]).total_seconds(),
            one["who"],
            f"{times}, {locked}" if one["locked"] else times,
            _("See from where, in the audit."),
            f"{reverse('admin:staff_record_changelist')}?{urlencode({'q': one['who']})}",
        )
