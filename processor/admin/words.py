"""A link and its messages in words: how it is, since when, and what it is made of."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from processor import links
from processor.codec.describe import FieldDescription
from processor.codec.dialects import DIALECTS
from processor.link.health import Finding, Health
from processor.link.wishes import Wanted
from processor.message_words import fields_in_words, message_in_words
from processor.models import Link, LinkStatus, Message
from processor.overview import Overview
from processor.phrases import named, say


def ago(moment: datetime) -> str:
    """Say how long ago something was, in the unit a person would choose."""
    return _("%(time)s ago") % {"time": lapse((timezone.now() - moment).total_seconds())}


def lapse(seconds: float) -> str:
    """Return a length of time in the unit a person would choose."""
    for unit, length in ((_("%(n)s d"), 86400), (_("%(n)s h"), 3600), (_("%(n)s min"), 60)):
        if seconds >= 2 * length:
            return unit % {"n": f"{seconds // length:.0f}"}
    return _("%(n)s s") % {"n": f"{seconds:.0f}"}


def sentence(name: str) -> str:
    """Say how a link is, as a person would."""
    live, status = links.live(name), LinkStatus.objects.get(link=name)
    if live and live.wanted == Wanted.CLOSED.value and not live.up:
        return _("Closed by staff. Payments wait or are refused until it is established again.")
    if live and live.up and live.wanted == Wanted.PAUSED.value:
        said = _("Up to %(host)s and paused by staff: reversals go out, payments wait until it is resumed.")
        return said % {"host": status.endpoint}
    if live and live.up and not live.carries:
        said = _(
            "Up to %(host)s, but the bank stopped answering payments %(seconds)s s ago: the breaker is open. Payments "
            "wait or are refused until the bank answers again."
        )
        return said % {"host": status.endpoint, "seconds": f"{live.breaker_s:.0f}"}
    if live and live.up:
        echo = _(", last echo %(ago)s") % {"ago": ago(status.last_echo_at)} if status.last_echo_at else ""
        took = f", {status.echo_ms:.0f} ms" if status.echo_ms is not None else ""
        return _("Up to %(host)s") % {"host": status.endpoint} + f"{echo}{took}."
    lasted = (timezone.now() - live.since).total_seconds() if live and live.since else None
    since = " " + _("for %(time)s") % {"time": lapse(lasted)} if lasted is not None else ""
    cause = f": {named(live.cause)}" if live and live.cause else ""
    return _("Down") + f"{since}{cause}. " + _("Payments wait; those that may not wait expire unsent.")


def _when_it_opens(link: Link) -> str:
    said = _(
        "after %(failures)s failures in a row, or %(rate)s%% of %(volume)s or more in %(window)s s; tries again after "
        "%(open)s s, closes after %(successes)s answers"
    )
    return said % {
        "failures": link.breaker_failures,
        "rate": link.breaker_rate,
        "volume": link.breaker_volume,
        "window": f"{link.breaker_window_s:g}",
        "open": f"{link.breaker_open_s:g}",
        "successes": link.breaker_successes,
    }


def facts(link: Link, seen: Overview) -> list[tuple[str, Any]]:
    """Return what there is to know of a link, as (name, value)."""
    lease, status = seen.lease, seen.status
    held = (
        _("nobody")
        if lease.released
        else _("%(holder)s, epoch %(epoch)s") % {"holder": lease.holder, "epoch": lease.epoch}
    )
    renewed = ago(lease.renewed_at) if lease.renewed_at else _("never")
    echo = {"every": seconds(link.echo_interval_s), "patience": seconds(link.echo_timeout_s)}
    where = {"terminal": link.terminal_id, "acceptor": link.card_acceptor_id}
    return [
        (_("Held by"), held),
        (_("Lease renewed"), renewed),
        (_("Wanted by staff"), named(lease.wanted)),
        (_("Business date"), status.business_date),
        (_("Dialect"), _("%(dialect)s in %(framing)s") % {"dialect": link.dialect, "framing": link.framing}),
        (
            _("Configuration"),
            _("version %(version)s, in use: %(used)s") % {"version": link.version, "used": status.version},
        ),
        (_("Window"), link.window),
        (_("Answer within"), seconds(link.answer_timeout_s)),
        (_("Echo"), _("every %(every)s, %(patience)s to answer") % echo),
        (_("Sign-on"), _("%(patience)s to answer") % {"patience": seconds(link.sign_on_timeout_s)}),
        (_("Store and forward"), _("on") if link.store_and_forward else _("off: what cannot be sent now is refused")),
        (_("Breaker"), named(status.breaker)),
        (_("Breaker opens"), _when_it_opens(link)),
        (_("Terminal"), _("%(terminal)s at %(acceptor)s") % where),
        (_("Time zone"), link.time_zone),
    ]


def seconds(length: float) -> str:
    """Return a length of time as it is configured."""
    return _("%(n)s s") % {"n": f"{length:g}"}


def weighed(found: Finding | Health | None) -> dict[str, Any] | None:
    """Return a score, and in words what lowered it."""
    return {"score": found.score, "lowered_by": [say(words) for words in found.lowered_by]} if found else None


def described(message: Message) -> tuple[str, list[FieldDescription]]:
    """Return a message in words, and its fields with their names and meanings."""
    config = links.remembered(message.link)
    dialect = config.dialect if config else DIALECTS["bank-ascii87"]
    return message_in_words(message.mti, message.fields, dialect), fields_in_words(message.fields, dialect)
