"""The desk, the admin's first page: what is happening and what needs a person. It refreshes itself by one question.

Every figure comes from `transactions.desk`; here are only words and addresses.
"""

from datetime import datetime
from typing import Any, Final

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from processor.standing import Standing
from staff.audit import actor_of
from transactions import desk
from transactions.admin import attention, guarding, words
from transactions.desk import LinkFigures, Series

_MAY_SEE: Final = "transactions.view_payment"
#: the parts that are put in place of the old ones when they changed
_PARTS: Final = ("links", "tiles", "attention", "processes")


def context(request: HttpRequest, given: dict[str, Any]) -> dict[str, Any]:
    """Add what the first page shows; unfold calls this."""
    may_see = request.user.has_perm(_MAY_SEE)
    shown = _shown() if may_see else {"cards": guarding.shown(actor_of(request))}
    return {**given, "title": _("Desk"), "may_see": may_see, **shown}


def figures(request: HttpRequest) -> HttpResponse:
    """Answer what changed: the parts as they are shown, and the charts' numbers."""
    if not request.user.has_perm(_MAY_SEE):
        return JsonResponse({}, status=403)
    try:
        shown = _shown()
    except (DatabaseError, InterfaceError):
        return JsonResponse({}, status=503)
    parts = {part: render_to_string(f"admin/transactions/desk/{part}.html", shown, request) for part in _PARTS}
    answer = JsonResponse({"parts": parts, "charts": shown["charts"], "at": shown["at"]})
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _shown() -> dict[str, Any]:
    now = timezone.now()
    current, hour, day = desk.figures.get(), desk.last_hour.get(), desk.last_day.get()
    return {
        "at": timezone.localtime(now).strftime("%H:%M:%S"),
        "zone": timezone.get_current_timezone_name(),
        "links": [_link(one, hour) for one in current.links],
        "tiles": _tiles(current, hour),
        "items": attention.items(current, now),
        "processes": [_process(one) for one in current.processes],
        "charts": {"hour": _chart(hour, "%H:%M"), "day": _chart(day, "%H:%M")},
    }


def _link(one: LinkFigures, hour: Series) -> dict[str, Any]:
    standing = one.standing
    return {
        "id": standing.id,
        "name": standing.link,
        "mark": "up" if standing.carries else "warn" if standing.up else "down",
        "sentence": _sentence(one),
        "facts": [
            (_("Waiting"), f"{one.waiting:,}"),
            (_("The next waits for"), words.duration(one.oldest_s) if one.waiting else "–"),
            (_("With the bank now"), f"{one.on_the_wire:,}"),
            (_("Reversals open"), f"{one.reversals:,}"),
            (_("Oldest reversal"), words.duration(one.oldest_reversal_s) if one.reversals else "–"),
            (_("Breaker"), _BREAKER[standing.breaker]()),
            (_("Answers, last hour"), _took(hour.answered(standing.link))),
        ],
    }


_BREAKER: Final = {
    "closed": lambda: _("closed: carries"),
    "half_open": lambda: _("half open: tries a few"),
    "open": lambda: _("open: carries nothing"),
}


def _sentence(one: LinkFigures) -> str:
    """Say how a link is, as a person would."""
    standing = one.standing
    waits = ngettext("%(n)s payment waits", "%(n)s payments wait", one.waiting) % {"n": f"{one.waiting:,}"}
    if standing.is_held and standing.wanted != "open":
        stopped = _("Paused by staff") if standing.wanted == "paused" else _("Closed by staff")
        return f"{stopped}, {waits}"
    if standing.up:
        return _up(standing)
    parts = [
        _("Down for %(time)s") % {"time": words.duration(standing.down_s)} if standing.down_s else _("Down"),
        waits,
    ]
    if not standing.is_held:
        parts.append(_("nobody holds it"))
    elif standing.retry_in_s is not None and standing.retry_in_s > 0:
        parts.append(_("retrying in %(time)s") % {"time": words.duration(standing.retry_in_s + 1)})
    else:
        parts.append(_("connecting"))
    return ", ".join(parts)


def _up(standing: Standing) -> str:
    if not standing.carries:
        named = {"time": words.duration(standing.breaker_s)}
        return _("Connected, but the bank has not answered payments for %(time)s; they wait") % named
    if standing.echo_ago_s is None or standing.echo_ms is None:
        return _("Up")
    named = {"time": words.duration(standing.echo_ago_s), "ms": f"{standing.echo_ms:.0f}"}
    return _("Up, last echo %(time)s ago, %(ms)s ms") % named


def _tiles(current: desk.Figures, hour: Series) -> list[tuple[str, str, str]]:
    rate = hour.approval_rate
    accepted, ended = hour.last_whole("accepted"), hour.last_whole("ended")
    return [
        (_("Accepted, last minute"), f"{accepted:,}", ""),
        (_("Ended, last minute"), f"{ended:,}", ""),
        (_("Approved, last hour"), "–" if rate is None else f"{rate:.1%}", _("of what the bank decided")),
        (_("Answer time, last hour"), _took(hour.answered()), "p50 / p95 / p99"),
        (_("On hold"), f"{current.on_hold:,}", _("wait for a person")),
        (_("Reversals open"), f"{sum(one.reversals for one in current.links):,}", ""),
    ]


def _took(percentiles: tuple[float, float, float] | None) -> str:
    if percentiles is None:
        return "–"
    return " / ".join(f"{took:.0f}" if took < 10_000 else f"{took / 1000:.0f}k" for took in percentiles) + " ms"


def _process(one: Any) -> dict[str, Any]:
    return {
        "kind": one.kind,
        "where": f"{one.host}, {one.pid}",
        "version": one.version,
        "silent": one.is_silent,
        "state": _("silent for %(time)s") % {"time": words.duration(one.silent_s)} if one.is_silent else _("alive"),
        "running": words.duration(one.running_s),
    }


def _chart(series: Series, form: str) -> dict[str, Any]:
    def label(at: datetime) -> str:
        return timezone.localtime(at).strftime(form)

    return {
        "labels": [label(at) for at in series.moments],
        "ends": series.ends,
        "accepted": series.accepted,
        "answers": [[None if p is None else round(p, 1) for p in line] for line in series.percentiles],
    }
