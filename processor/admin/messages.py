"""The journal of messages: every one that was on the wire, masked; and as it was, for who may and says why."""

from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.conf import settings
from django.contrib import admin, messages
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from processor import links, revealing
from processor.admin.forms import RevealForm
from processor.admin.words import described
from processor.codec.blanking import never_kept
from processor.codec.describe import dump
from processor.codec.dialects import DIALECTS
from processor.keys.errors import SealBroken
from processor.message_words import fields_in_words
from processor.models import Message
from processor.phrases import named
from processor.revealing import NotKept, Raw
from queueing.admin import PAYMENT_PAGE
from staff.audit import actor_of
from staff.pages import ReadOnly

if TYPE_CHECKING:
    from django.db.models import QuerySet

#: what no index knows is looked for among so many, the newest: some 50 ms; the page says so
_STRETCH: Final = 100_000
_ASKED: Final = {mti for dialect in DIALECTS.values() for mti in dialect.mti.values()}
_MTIS: Final = sorted(_ASKED | {f"{mti[:2]}{int(mti[2]) + 1}0" for mti in _ASKED})


class _AmongTheNewest(DropdownFilter):
    """Narrows a list of messages without asking for its values, which would read them all."""

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Message]") -> "QuerySet[Message]":
        """Return those among the newest; among all that a search has found."""
        value = self.value()
        if not value:
            return queryset
        if value not in dict(self.lookup_choices):
            return queryset.none()
        found = queryset.filter(**{str(self.parameter_name): value})
        if request.GET.get(SEARCH_VAR):
            return found
        newest = Message.objects.order_by("-id").values_list("id", flat=True).first()
        return found.filter(id__gt=(newest or 0) - _STRETCH)


class DirectionFilter(_AmongTheNewest):
    """To or from the bank."""

    title = gettext_lazy("direction")
    parameter_name = "outward"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer both."""
        return [("True", gettext_lazy("to the bank")), ("False", gettext_lazy("from the bank"))]


class MtiFilter(_AmongTheNewest):
    """Messages of one kind."""

    title = "MTI"
    parameter_name = "mti"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer those that payments and links are made of."""
        return [(mti, mti) for mti in _MTIS]


class LinkFilter(_AmongTheNewest):
    """Messages of one link."""

    title = gettext_lazy("link")
    parameter_name = "link"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Offer the links there are."""
        return [(name, name) for name in links.names()]


@admin.register(Message)
class MessageAdmin(ReadOnly):
    """Every message that was on the wire, masked."""

    list_display = ("at", "direction", "message_type", "meaning", "link", "epoch", "remarked")
    list_display_links = ("at",)
    list_filter = (DirectionFilter, MtiFilter, LinkFilter)
    list_filter_submit = True
    search_fields = ("payment_id",)
    search_help_text = gettext_lazy("The payment's id, in full")
    list_before_template: Any = "admin/processor/message/newest.html"
    ordering = ("-id",)

    @display(description=gettext_lazy("direction"))  # type: ignore[arg-type]  # Django takes lazy text
    def direction(self, message: Message) -> str:
        """To or from the bank."""
        return _("to the bank") if message.outward else _("from the bank")

    @display(description="MTI", ordering="mti")
    def message_type(self, message: Message) -> str:
        """The MTI."""
        return message.mti

    @display(description=gettext_lazy("meaning"))  # type: ignore[arg-type]  # Django takes lazy text
    def meaning(self, message: Message) -> str:
        """The message in words."""
        return described(message)[0]

    @display(description=gettext_lazy("remark"))  # type: ignore[arg-type]  # Django takes lazy text
    def remarked(self, message: Message) -> str:
        """What is to be said of it."""
        return named(message.remark)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one message field by field."""
        message: Message | None = self.get_object(request, object_id)
        if message is None:
            raise Http404
        if not self.has_view_permission(request, message):
            raise PermissionDenied
        words, fields = described(message)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{self.direction(message).capitalize()}: {message.mti} {words}",
            "message": message,
            "remark": named(message.remark),
            "fields": fields,
            "payment": _payment_of(message),
            "may_reveal": message.is_kept and actor_of(request).may(revealing.REVEAL),  # type: ignore[attr-defined]
        }
        return TemplateResponse(request, "admin/processor/message/fields.html", context)

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Message]":
        """No page but one reads what is sealed."""
        return revealing.without_bodies(super().get_queryset(request))

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Message]", search_term: str
    ) -> tuple["QuerySet[Message]", bool]:
        """A term is a payment's id, in full: then an index knows it."""
        if not search_term.strip():
            return queryset, False
        try:
            return queryset.filter(payment_id=UUID(search_term.strip())), False
        except ValueError:
            return queryset.none(), False

    def get_urls(self) -> list[Any]:
        """Add the page of a message as it was on the wire."""
        raw = self.admin_site.admin_view(self.raw)
        return [path("<int:message_id>/raw/", raw, name="message_raw"), *super().get_urls()]

    def raw(self, request: HttpRequest, message_id: int) -> HttpResponse:
        """Ask why; then show the message in the clear, once for each time it is asked, and let nobody keep the page."""
        by = actor_of(request)
        if not (by.may(revealing.REVEAL) and self.has_view_permission(request)):
            raise PermissionDenied
        message: Message | None = self.get_object(request, str(message_id))
        if message is None:
            raise Http404
        form, shown = RevealForm(request.POST or None), None
        if request.method == "POST" and form.is_valid():
            try:
                shown = revealing.reveal(message.pk, by, form.cleaned_data["reason"])
            except (NotKept, SealBroken) as error:
                messages.error(request, str(error))
                return redirect("admin:processor_message_change", message.pk)
        context = {
            **self.admin_site.each_context(request),
            **(_in_the_clear(shown) if shown else {}),
            "opts": self.opts,
            "title": _("Raw message %(mti)s") % {"mti": message.mti},
            "message": message,
            "words": described(message)[0],
            "form": form,
            "payment": _payment_of(message),
            "page": reverse("admin:processor_message_change", args=[message.pk]),
            "days": settings.RAW_MESSAGE_DAYS,
        }
        response = TemplateResponse(request, "admin/processor/message/raw.html", context)
        response["Cache-Control"] = "no-store"
        return response


def _in_the_clear(shown: Raw) -> dict[str, Any]:
    return {
        "is_shown": True,
        "lines": dump(shown.body, shown.dialect),
        "length": len(shown.body),
        "fields": fields_in_words(shown.fields, shown.dialect),
        "unreadable": shown.unreadable,
        "blanked": never_kept(map(int, shown.fields), shown.dialect),
    }


def _payment_of(message: Message) -> str:
    return reverse(PAYMENT_PAGE, args=[message.payment_id]) if message.payment_id else ""
