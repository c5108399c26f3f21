"""A link and its messages in words: how it is, since when, and what it is made of."""

from datetime import datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from processor import links
from processor.codec.describe import FieldDescription, describe, describe_message
from processor.codec.dialects import DIALECTS
from processor.link.wishes import Wanted
from processor.models import Link, LinkStatus, Message
from processor.overview import Overview

#: what `named` says, for translators: states of a link, of its breaker, and what staff want of it
_NAMED: Final = (
    *(gettext_noop("open"), gettext_noop("paused"), gettext_noop("closed"), gettext_noop("half open")),
    *(gettext_noop("connecting"), gettext_noop("signing on"), gettext_noop("proving"), gettext_noop("up")),
    *(gettext_noop("draining"), gettext_noop("signing off"), gettext_noop("held")),
)


def named(state: str) -> str:
    """Return a state of a link as a person would say it."""
    return _(state.replace("_", " "))


def ago(moment: datetime) -> str:
    """Say how long ago something was, in the unit a person would choose."""
    seconds = (timezone.now() - moment).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def sentence(name: str) -> str:
    """Say how a link is, as a person would."""
    live, status = links.live(name), LinkStatus.objects.get(link=name)
    if live and live.wanted == Wanted.CLOSED.value and not live.up:
        return _("Closed by staff. Payments wait or are refused until it is established again.")
    if live and live.up and live.wanted == Wanted.PAUSED.value:
        named = {"host": status.endpoint}
        return _("Up to %(host)s and paused by staff: reversals go out, payments wait until it is resumed.") % named
    if live and live.up and not live.carries:
        return (
            f"Up to {status.endpoint}, but the bank stopped answering payments {live.breaker_s:.0f} s ago: "
            "the breaker is open. Payments wait or are refused until the bank answers again."
        )
    if live and live.up:
        echo = f", last echo {ago(status.last_echo_at)} ago" if status.last_echo_at else ""
        took = f", {status.echo_ms:.0f} ms" if status.echo_ms is not None else ""
        return f"Up to {status.endpoint}{echo}{took}."
    since = f" for {ago(live.since)}" if live and live.since else ""
    cause = f": {live.cause.replace('_', ' ')}" if live and live.cause else ""
    return f"Down{since}{cause}. Payments wait; those that may not wait expire unsent."


def _when_it_opens(link: Link) -> str:
    return (
        f"after {link.breaker_failures} failures in a row, or {link.breaker_rate}% of {link.breaker_volume} or more "
        f"in {link.breaker_window_s:g} s; tries again after {link.breaker_open_s:g} s, closes after "
        f"{link.breaker_successes} answers"
    )


def facts(link: Link, seen: Overview) -> list[tuple[str, Any]]:
    """Return what there is to know of a link, as (name, value)."""
    lease, status = seen.lease, seen.status
    held = _("nobody") if lease.released else f"{lease.holder}, epoch {lease.epoch}"
    renewed = f"{ago(lease.renewed_at)} ago" if lease.renewed_at else _("never")
    return [
        (_("Held by"), held),
        (_("Lease renewed"), renewed),
        (_("Wanted by staff"), named(lease.wanted)),
        (_("Business date"), status.business_date),
        (_("Dialect"), f"{link.dialect} in {link.framing}"),
        (
            _("Configuration"),
            _("version %(version)s, in use: %(used)s") % {"version": link.version, "used": status.version},
        ),
        (_("Window"), link.window),
        (_("Answer within"), f"{link.answer_timeout_s:g} s"),
        (_("Echo"), f"every {link.echo_interval_s:g} s, {link.echo_timeout_s:g} s to answer"),
        (_("Sign-on"), f"{link.sign_on_timeout_s:g} s to answer"),
        (_("Store and forward"), _("on") if link.store_and_forward else _("off: what cannot be sent now is refused")),
        (_("Breaker"), named(status.breaker)),
        (_("Breaker opens"), _when_it_opens(link)),
        (_("Terminal"), f"{link.terminal_id} at {link.card_acceptor_id}"),
        (_("Time zone"), link.time_zone),
    ]


def described(message: Message) -> tuple[str, list[FieldDescription]]:
    """Return a message in words, and its fields with their names and meanings."""
    config = links.remembered(message.link)
    dialect = config.dialect if config else DIALECTS["bank-ascii87"]
    return describe_message(message.mti, message.fields, dialect), describe(message.fields, dialect)
