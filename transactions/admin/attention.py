"""What waits for a person, in words: since when, what it is, and the next step. Pure: figures in, items out."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from staff.requests import kind_of
from transactions.admin import words
from transactions.desk import Figures, LinkFigures


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that waits for a person."""

    key: str
    age_s: float
    title: str
    detail: str
    #: what to do, and where
    step: str
    address: str

    @property
    def age(self) -> str:
        """For how long it has waited."""
        return words.duration(self.age_s)


def items(figures: Figures, now: Any) -> list[Item]:
    """Return everything that waits, the oldest first."""
    found = [*_links(figures), *_held(figures, now), *_requests(figures, now), *_unheard(figures, now)]
    found += _processes(figures)
    return sorted(found, key=lambda item: -item.age_s)


def _links(figures: Figures) -> Iterator[Item]:
    for one in figures.links:
        yield from _link(one)


def _link(one: LinkFigures) -> Iterator[Item]:
    standing = one.standing
    page = reverse("admin:processor_link_change", args=[standing.id])
    named = {"link": standing.link}
    if standing.is_held and standing.wanted != "open":
        title = _("Staff stopped the link %(link)s") % named
        step = _("It is %(wanted)s. When it may carry again, say so on its page.") % {"wanted": standing.wanted}
        yield Item(f"link-{standing.link}", standing.down_s or 0, title, _("Payments wait."), step, page)
    elif not standing.is_held:
        title, step = _("Nobody holds the link %(link)s") % named, _("Start its worker; payments wait until then.")
        yield Item(f"link-{standing.link}", standing.down_s or 0, title, "", step, page)
    elif not standing.up:
        title = _("The link %(link)s is down") % named
        step = _("It connects again by itself. If it goes on, ask the bank.")
        yield Item(f"link-{standing.link}", standing.down_s or 0, title, words.spoken(standing.cause), step, page)
    elif not standing.carries:
        title, detail = _("The bank stopped answering on %(link)s") % named, _("Its breaker is open; payments wait.")
        step = _("It tries again by itself. If it goes on, ask the bank.")
        yield Item(f"breaker-{standing.link}", standing.breaker_s, title, detail, step, page)
    if one.has_old_reversal and one.oldest_reversal:
        open_now = ngettext("%(n)s reversal is open.", "%(n)s reversals are open.", one.reversals) % {
            "n": one.reversals
        }
        yield Item(
            f"reversal-{standing.link}",
            one.oldest_reversal_s,
            _("A reversal is not accepted by the bank"),
            open_now,
            _("Ask the bank about the oldest."),
            reverse("admin:transactions_payment_change", args=[one.oldest_reversal]),
        )


def _held(figures: Figures, now: Any) -> Iterator[Item]:
    for entry in figures.held:
        amount = words.money(entry.amount, entry.currency)
        what = _("Reversal on hold: %(operation)s of %(amount)s") if entry.kind == "reversal" else ""
        yield Item(
            f"held-{entry.payment_id}",
            (now - entry.owed_since).total_seconds(),
            (what or _("On hold: %(operation)s of %(amount)s"))
            % {"operation": words.spoken(entry.operation), "amount": amount},
            words.why_held(entry.reason),
            _("Read its story, then settle it."),
            reverse("admin:transactions_payment_change", args=[entry.payment_id]),
        )
    more = figures.on_hold - len(figures.held)
    if more > 0:
        title = ngettext("%(n)s more is on hold", "%(n)s more are on hold", more) % {"n": more}
        address = reverse("admin:transactions_payment_changelist") + "?status__exact=on_hold"
        yield Item("held-more", 0, title, "", _("See them all."), address)


def _requests(figures: Figures, now: Any) -> Iterator[Item]:
    for asked in figures.requests:
        named = {"maker": asked.maker, "what": kind_of(asked).title}
        yield Item(
            f"request-{asked.pk}",
            (now - asked.created_at).total_seconds(),
            _("%(maker)s asks: %(what)s") % named,
            asked.reason,
            _("Agree to it or turn it down."),
            reverse("admin:staff_request_change", args=[asked.pk]),
        )


def _unheard(figures: Figures, now: Any) -> Iterator[Item]:
    for endpoint in figures.unheard:
        yield Item(
            f"webhooks-{endpoint.pk}",
            (now - endpoint.disabled_at).total_seconds(),
            _("%(merchant)s is sent no webhooks any more") % {"merchant": endpoint.merchant},
            f"{endpoint.get_disabled_reason_display()}: {endpoint.url}",
            _("Have its owner mend it, enable it, and replay what it missed."),
            reverse("admin:transactions_webhookendpoint_change", args=[endpoint.pk]),
        )


def _processes(figures: Figures) -> Iterator[Item]:
    here = reverse("admin:index") + "#processes"
    for kind in figures.missing_kinds:
        title = _("No %(kind)s is running") % {"kind": kind}
        yield Item(f"missing-{kind}", 0, title, "", _("Start one: payments do not move without it."), here)
    for one in figures.processes:
        named = {"kind": one.kind, "host": one.host}
        if one.is_silent:
            title = _("A process is silent: %(kind)s on %(host)s") % named
            step = _("See whether it still runs; start it again if not.")
            yield Item(f"silent-{one.id}", one.silent_s, title, "", step, here)
    for one in figures.skewed:
        title = _("The clock of %(host)s is wrong") % {"host": one.host}
        detail = _("It differs from the database's by %(n)s s.") % {"n": f"{one.skew_s:+.0f}"}
        yield Item(f"skew-{one.id}", 0, title, detail, _("Set it by NTP."), here)
