"""Webhooks as staff see them: endpoints, deliveries with every try, and sending one once more. Services do the work."""

from functools import partial
from typing import Any, Final
from uuid import UUID

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display

from queueing import clock
from staff.audit import Subject, actor_of, record
from staff.pages import ReadOnly, ReasonForm
from transactions.admin import words
from transactions.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookMessage
from transactions.webhooks import endpoints, replaying
from transactions.webhooks.errors import EndpointDisabled, UnknownEndpoint
from transactions.webhooks.signing import webhook_id

COLOURS: Final = {"pending": "info", "sending": "info", "delivered": "success", "exhausted": "danger"}
_ENDPOINT_COLOURS: Final = {"enabled": "success", "failing": "warning", "disabled": "danger", "deleted": ""}
_SHOWN: Final = 25


def state_of(endpoint: WebhookEndpoint) -> tuple[str, str]:
    """Return how an endpoint is, as a word for its colour and one for people."""
    if endpoint.deleted_at:
        return "deleted", _("deleted")
    if endpoint.disabled_at:
        return "disabled", _("disabled: %(why)s") % {"why": endpoint.get_disabled_reason_display()}
    if endpoint.failing_since:
        return "failing", _("failing")
    return "enabled", _("enabled")


def short(url: str, longest: int = 48) -> str:
    """Return a URL that fits into a line."""
    return url if len(url) <= longest else f"{url[: longest - 1]}…"


def answered(attempt: WebhookAttempt) -> str:
    """Return what came of a try, as a person would say it."""
    return str(attempt.response_code or words.spoken(attempt.error))


@admin.register(WebhookEndpoint)
class WebhookEndpointAdmin(ReadOnly):
    """Who is told, and whether they listen."""

    list_display = ("address", "merchant", "state", "failing_since", "created_at")
    list_filter = ("merchant",)
    list_select_related = ("merchant",)
    search_fields = ("=id", "url")
    ordering = ("-id",)

    @admin.display(description=gettext_lazy("address"))
    def address(self, endpoint: WebhookEndpoint) -> str:
        """Its URL."""
        return short(endpoint.url)

    @display(description=gettext_lazy("state"), label=_ENDPOINT_COLOURS)  # type: ignore[arg-type]
    def state(self, endpoint: WebhookEndpoint) -> tuple[str, str]:
        """Whether it is told anything."""
        return state_of(endpoint)

    def get_urls(self) -> list[Any]:
        """Add disabling and enabling."""
        act = self.admin_site.admin_view(self.act)
        own = [
            path(f"<uuid:endpoint_id>/{name}/", act, {"enabled": enabled}, name=f"webhook_{name}")
            for name, enabled in (("enable", True), ("disable", False))
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one endpoint with what was sent there lately."""
        endpoint = self._found(request, object_id)
        name = "enable" if endpoint.disabled_at else "disable"
        may = request.user.has_perm("transactions.change_webhookendpoint") and endpoint.deleted_at is None
        deliveries = WebhookDelivery.objects.filter(endpoint=endpoint).select_related("message").order_by("-id")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": short(endpoint.url),
            "endpoint": endpoint,
            "state": state_of(endpoint)[1],
            "colour": _ENDPOINT_COLOURS[state_of(endpoint)[0]],
            "quiet": endpoint.disabled_at is None and endpoint.quiet_until and endpoint.quiet_until > clock.now(),
            "deliveries": [told(delivery) for delivery in deliveries[:_SHOWN]],
            "action": reverse(f"admin:webhook_{name}", args=[endpoint.id]) if may else "",
            "action_name": _("Enable") if name == "enable" else _("Disable"),
        }
        return TemplateResponse(request, "admin/transactions/webhooks/endpoint.html", context)

    def act(self, request: HttpRequest, endpoint_id: UUID, enabled: bool) -> HttpResponse:  # noqa: FBT001
        """Ask why, then enable or disable."""
        if not request.user.has_perm("transactions.change_webhookendpoint"):
            raise PermissionDenied
        endpoint = self._found(request, str(endpoint_id))
        if endpoint.deleted_at:
            raise Http404
        page = reverse("admin:transactions_webhookendpoint_change", args=[endpoint.id])
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            by, name = actor_of(request), "enable_webhook_endpoint" if enabled else "disable_webhook_endpoint"
            subject = Subject("transactions.webhookendpoint", str(endpoint.id))
            note = partial(record, name, by, subject=subject, why=form.cleaned_data["reason"])
            actor = f"staff:{by.name}"
            endpoints.change(endpoint.merchant_id, endpoint.id, {}, enabled=enabled, actor=actor, along=note)
            messages.success(request, _("It is enabled.") if enabled else _("It is disabled."))
            return redirect(page)
        if enabled:
            meaning = _("Payments that end from now on are told there. What was given up meanwhile can be replayed.")
        else:
            meaning = _("Nothing is sent there any more, and what waits is given up. It can be replayed later.")
        return asked(self, request, _("Enable") if enabled else _("Disable"), endpoint.url, meaning, form, page)

    def _found(self, request: HttpRequest, object_id: str) -> WebhookEndpoint:
        endpoint: WebhookEndpoint | None = self.get_object(request, object_id)
        if endpoint is None:
            raise Http404
        if not self.has_view_permission(request, endpoint):
            raise PermissionDenied
        return endpoint


@admin.register(WebhookDelivery)
class WebhookDeliveryAdmin(ReadOnly):
    """What was told to whom, and how often it took."""

    list_fullwidth = True
    list_display = ("number", "what", "payment", "to", "outcome", "tries", "written")
    list_filter = ("state",)
    list_select_related = ("message", "endpoint")
    search_fields = ("=id",)
    search_help_text = gettext_lazy("The delivery's number, the payment's id or a webhook-id")
    ordering = ("-id",)

    @admin.display(description=gettext_lazy("no."), ordering="id")
    def number(self, delivery: WebhookDelivery) -> int:
        """Its number."""
        return int(delivery.pk)

    @admin.display(description=gettext_lazy("type"))
    def what(self, delivery: WebhookDelivery) -> str:
        """What is told."""
        return delivery.message.type

    @admin.display(description=gettext_lazy("payment"))
    def payment(self, delivery: WebhookDelivery) -> str:
        """The payment it is about, with its page."""
        payment_id = delivery.message.payment_id
        if payment_id is None:
            return "–"
        address = reverse("admin:transactions_payment_change", args=[payment_id])
        return format_html('<a class="whitespace-nowrap" href="{}">…{}</a>', address, str(payment_id)[-12:])

    @admin.display(description=gettext_lazy("to"))
    def to(self, delivery: WebhookDelivery) -> str:
        """The endpoint."""
        return short(delivery.endpoint.url, 32)

    @admin.display(description=gettext_lazy("written"), ordering="id")
    def written(self, delivery: WebhookDelivery) -> str:
        """When there was something to tell, in the viewer's zone."""
        at = formats.date_format(timezone.localtime(delivery.created_at), "DATETIME_FORMAT")
        return format_html('<span class="whitespace-nowrap">{}</span>', at)

    @display(description=gettext_lazy("state"), label=COLOURS)  # type: ignore[arg-type]
    def outcome(self, delivery: WebhookDelivery) -> tuple[str, str]:
        """The state in its colour."""
        return delivery.state, delivery.get_state_display()

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[WebhookDelivery]", search_term: str
    ) -> tuple["QuerySet[WebhookDelivery]", bool]:
        """Look where a term of its form can be found, by index only."""
        term = search_term.strip().removeprefix("msg_")
        if not term:
            return queryset, False
        if term.isascii() and term.isdigit():
            return queryset.filter(id=int(term)), False
        try:
            sought = UUID(term)
        except ValueError:
            return queryset.none(), False
        # Which messages is asked first: a condition on two tables at once would be held against every delivery.
        named = WebhookMessage.objects.filter(Q(id=sought) | Q(payment_id=sought)).values_list("id", flat=True)
        return queryset.filter(message_id__in=list(named)), False

    def get_urls(self) -> list[Any]:
        """Add sending once more."""
        resend = self.admin_site.admin_view(self.resend)
        return [path("<int:delivery_id>/resend/", resend, name="webhook_resend"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one delivery with every try."""
        delivery = self._found(request, object_id)
        may = request.user.has_perm("transactions.replay_webhook")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{delivery.message.type} → {short(delivery.endpoint.url)}",
            "delivery": delivery,
            "webhook_id": webhook_id(delivery.message_id),
            "colour": COLOURS[delivery.state],
            "attempts": [
                (row, answered(row)) for row in WebhookAttempt.objects.filter(delivery=delivery).order_by("id")
            ],
            "resend": reverse("admin:webhook_resend", args=[delivery.pk]) if may else "",
        }
        return TemplateResponse(request, "admin/transactions/webhooks/delivery.html", context)

    def resend(self, request: HttpRequest, delivery_id: int) -> HttpResponse:
        """Ask why, then send it once more."""
        if not request.user.has_perm("transactions.replay_webhook"):
            raise PermissionDenied
        delivery = self._found(request, str(delivery_id))
        page, by = reverse("admin:transactions_webhookdelivery_change", args=[delivery.pk]), actor_of(request)
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            reason, endpoint = form.cleaned_data["reason"], delivery.endpoint
            try:
                with transaction.atomic():
                    made = replaying.resend(
                        endpoint.merchant_id, endpoint.id, delivery.pk, actor=f"staff:{by.name}", reason=reason
                    )
                    subject = Subject("transactions.webhookdelivery", str(delivery.pk))
                    record("resend_webhook", by, subject=subject, why=reason, detail={"delivery": made.pk})
            except (EndpointDisabled, UnknownEndpoint):
                messages.error(request, _("The endpoint is disabled or deleted. Nothing was sent."))
                return redirect(page)
            messages.success(request, _("It is on its way once more, with the same id. This is its delivery."))
            return redirect(reverse("admin:transactions_webhookdelivery_change", args=[made.pk]))
        meaning = _("The receiver gets the same message with the same id again, and knows it by that.")
        return asked(self, request, _("Send once more"), delivery.message.type, meaning, form, page)

    def _found(self, request: HttpRequest, object_id: str) -> WebhookDelivery:
        if not self.has_view_permission(request):
            raise PermissionDenied
        delivery = WebhookDelivery.objects.select_related("message", "endpoint__merchant", "replay")
        if not (found := delivery.filter(pk=object_id).first()):
            raise Http404
        return found


def told(delivery: WebhookDelivery) -> dict[str, Any]:
    """Return a delivery as a row of a table."""
    return {"row": delivery, "address": reverse("admin:transactions_webhookdelivery_change", args=[delivery.pk])}


def asked(
    page: ReadOnly, request: HttpRequest, title: str, subject: str, meaning: str, form: Any, back: str
) -> TemplateResponse:
    """Say what will happen and ask why."""
    context = {
        **page.admin_site.each_context(request),
        "opts": page.opts,
        "title": title,
        "subject": subject,
        "meaning": meaning,
        "form": form,
        "back": back,
    }
    return TemplateResponse(request, "admin/transactions/webhooks/ask.html", context)
