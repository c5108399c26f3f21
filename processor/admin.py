"""Links with their live state, and the journal of messages. Configuration is changed with `manage.py link`."""

from datetime import datetime
from typing import Any, Final

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import display

from processor import links
from processor.codec.describe import FieldDescription, describe, describe_message
from processor.codec.dialects import DIALECTS
from processor.models import Key, Lease, Link, LinkStatus, Message
from queueing import queue
from queueing.admin import PAYMENT_PAGE, ReadOnly

_RECENT: Final = 12


@admin.register(Link)
class LinkAdmin(ReadOnly):
    """The ways to the banks."""

    list_display = ("name", "live", "hosts", "dialect", "framing", "window")
    list_display_links = ("name",)

    @display(description="now", label={"up": "success", "down": "danger"})
    def live(self, link: Link) -> tuple[str, str]:
        """Up as F4 says it, or since when and why not."""
        now = links.live(link.name)
        if now and now.up:
            return ("up", "up") if now.carries else ("down", "breaker open")
        return "down", "down"

    @display(description="endpoints")
    def hosts(self, link: Link) -> str:
        """The hosts in their order."""
        return ", ".join(str(endpoint) for endpoint in link.endpoints.all())

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one link: how it is, how it is configured, what was last said on it."""
        link: Link | None = self.get_object(request, object_id)
        if link is None:
            raise Http404
        conversation = Message.objects.filter(link=link.name, payment_id=None).order_by("-id")[:_RECENT]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Link {link.name}",
            "link": link,
            "sentence": _sentence(link.name),
            "is_up": bool((now := links.live(link.name)) and now.carries),
            "facts": _facts(link),
            "depths": [row for row in queue.depths(100_000) if row.link == link.name],
            "conversation": [(message, *_described(message)) for message in conversation],
            "keys": Key.objects.filter(link=link).order_by("type", "-version"),
        }
        return TemplateResponse(request, "admin/processor/link/state.html", context)


@admin.register(Message)
class MessageAdmin(ReadOnly):
    """Every message that was on the wire, masked."""

    list_display = ("at", "direction", "message_type", "meaning", "link", "epoch", "remark")
    list_display_links = ("at",)
    list_filter = ("outward", "mti", "link")
    search_fields = ("payment_id",)
    ordering = ("-id",)

    @display(description="direction")
    def direction(self, message: Message) -> str:
        """To or from the bank."""
        return "to the bank" if message.outward else "from the bank"

    @display(description="MTI", ordering="mti")
    def message_type(self, message: Message) -> str:
        """The MTI."""
        return message.mti

    @display(description="meaning")
    def meaning(self, message: Message) -> str:
        """The message in words."""
        return _described(message)[0]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one message field by field."""
        message: Message | None = self.get_object(request, object_id)
        if message is None:
            raise Http404
        words, fields = _described(message)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{self.direction(message).capitalize()}: {message.mti} {words}",
            "message": message,
            "fields": fields,
            "payment": reverse(PAYMENT_PAGE, args=[message.payment_id]) if message.payment_id else "",
        }
        return TemplateResponse(request, "admin/processor/message/fields.html", context)


def _described(message: Message) -> tuple[str, list[FieldDescription]]:
    config = links.remembered(message.link)
    dialect = config.dialect if config else DIALECTS["bank-ascii87"]
    return describe_message(message.mti, message.fields, dialect), describe(message.fields, dialect)


def _ago(moment: datetime) -> str:
    """Say how long ago something was, in the unit a person would choose."""
    seconds = (timezone.now() - moment).total_seconds()
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds // length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _sentence(name: str) -> str:
    """Say how a link is, as a person would."""
    live, status = links.live(name), LinkStatus.objects.get(link=name)
    if live and live.up and not live.carries:
        return (
            f"Up to {status.endpoint}, but the bank stopped answering payments {live.breaker_s:.0f} s ago: "
            "the breaker is open. Payments wait or are refused until the bank answers again."
        )
    if live and live.up:
        echo = f", last echo {_ago(status.last_echo_at)} ago" if status.last_echo_at else ""
        took = f", {status.echo_ms:.0f} ms" if status.echo_ms is not None else ""
        return f"Up to {status.endpoint}{echo}{took}."
    since = f" for {_ago(live.since)}" if live and live.since else ""
    cause = f": {live.cause.replace('_', ' ')}" if live and live.cause else ""
    return f"Down{since}{cause}. Payments wait; those that may not wait expire unsent."


def _when_it_opens(link: Link) -> str:
    return (
        f"after {link.breaker_failures} failures in a row, or {link.breaker_rate}% of {link.breaker_volume} or more "
        f"in {link.breaker_window_s:g} s; tries again after {link.breaker_open_s:g} s, closes after "
        f"{link.breaker_successes} answers"
    )


def _facts(link: Link) -> list[tuple[str, Any]]:
    lease, status = Lease.objects.get(link=link.name), LinkStatus.objects.get(link=link.name)
    held = "nobody" if lease.released else f"{lease.holder}, epoch {lease.epoch}"
    renewed = f"{_ago(lease.renewed_at)} ago" if lease.renewed_at else "never"
    return [
        ("Held by", held),
        ("Lease renewed", renewed),
        ("Business date", status.business_date),
        ("Endpoints", ", ".join(str(endpoint) for endpoint in link.endpoints.all())),
        ("Dialect", f"{link.dialect} in {link.framing}"),
        ("Configuration", f"version {link.version}, in use: {status.version}"),
        ("Window", link.window),
        ("Answer within", f"{link.answer_timeout_s:g} s"),
        ("Echo", f"every {link.echo_interval_s:g} s, {link.echo_timeout_s:g} s to answer"),
        ("Store and forward", "on" if link.store_and_forward else "off: what cannot be sent now is refused"),
        ("Breaker", status.breaker.replace("_", " ")),
        ("Breaker opens", _when_it_opens(link)),
        ("Terminal", f"{link.terminal_id} at {link.card_acceptor_id}"),
        ("Time zone", link.time_zone),
    ]
