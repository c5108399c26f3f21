"""Replays of webhooks: who had what sent once more, what came of it, and the page to do it."""

from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from staff.audit import Subject, actor_of, record
from staff.pages import ReadOnly, ReasonForm
from transactions.admin import words
from transactions.admin.webhooks import COLOURS, told
from transactions.domain.values import FINAL
from transactions.models import Merchant, WebhookDelivery, WebhookReplay
from transactions.webhooks import endpoints, replaying
from transactions.webhooks.replaying import Filters

_SHOWN: Final = 25
_ENDS: Final = [("", gettext_lazy("any end")), *((end.value, gettext_lazy(end.value)) for end in sorted(FINAL))]


def _when() -> UnfoldAdminTextInputWidget:
    return UnfoldAdminTextInputWidget(attrs={"type": "datetime-local"})


class ReplayForm(ReasonForm):
    """Which payments' webhooks to send once more, and why."""

    merchant = forms.ModelChoiceField(
        Merchant.objects.order_by("name"), label=gettext_lazy("Merchant"), widget=UnfoldAdminSelectWidget
    )
    payment = forms.UUIDField(
        label=gettext_lazy("Only this payment"), required=False, widget=UnfoldAdminTextInputWidget
    )
    status = forms.ChoiceField(
        label=gettext_lazy("Ended as"), choices=_ENDS, required=False, widget=UnfoldAdminSelectWidget
    )
    since = forms.DateTimeField(label=gettext_lazy("Accepted from"), required=False, widget=_when())
    until = forms.DateTimeField(label=gettext_lazy("Accepted before"), required=False, widget=_when())
    #: what was looked at before it is sent
    seen = forms.CharField(required=False, widget=forms.HiddenInput)
    field_order = ("merchant", "payment", "status", "since", "until", "reason")

    @property
    def filters(self) -> Filters:
        """What it is narrowed to."""
        given = self.cleaned_data
        return Filters(given["payment"], given["status"] or None, given["since"], given["until"])

    @property
    def token(self) -> str:
        """What was looked at, as one text."""
        return f"{self.cleaned_data['merchant'].pk} {self.filters}"


@admin.register(WebhookReplay)
class WebhookReplayAdmin(ReadOnly):
    """Who had what sent once more."""

    list_display = ("at", "by", "merchant", "payments", "deliveries", "reason")
    list_filter = ("merchant",)
    list_select_related = ("merchant",)
    ordering = ("-id",)

    @admin.display(description=gettext_lazy("by"))
    def by(self, made: WebhookReplay) -> str:
        """Who did it."""
        return words.actor(made.actor)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The add button leads to the page of the replay."""
        return bool(request.user.has_perm("transactions.replay_webhook"))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask which, say how many that is, then send them."""
        if not (self.has_add_permission(request) and self.has_view_permission(request)):
            raise PermissionDenied
        form = ReplayForm(request.POST or None, initial={"payment": request.GET.get("payment", "")})
        context: dict[str, Any] = {}
        if request.method == "POST" and form.is_valid():
            context = _looked_at(form)
            if form.cleaned_data["seen"] == form.token and context["possible"]:
                return self._replay(request, form)
        shared = {**self.admin_site.each_context(request), "opts": self.opts, "title": _("Replay webhooks")}
        back = reverse("admin:transactions_webhookreplay_changelist")
        shown = {**shared, **context, "form": form, "back": back}
        return TemplateResponse(request, "admin/transactions/webhooks/replay_form.html", shown)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one replay and what came of it."""
        made: WebhookReplay | None = self.get_object(request, object_id)
        if made is None:
            raise Http404
        if not self.has_view_permission(request, made):
            raise PermissionDenied
        deliveries = WebhookDelivery.objects.filter(replay=made).select_related("message", "endpoint").order_by("-id")
        names = dict(WebhookDelivery.State.choices)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Replay by %(who)s") % {"who": words.actor(made.actor)},
            "replay": made,
            "by": words.actor(made.actor),
            "filters": [(words.spoken(name), value) for name, value in made.filters.items() if value],
            "outcome": [(names[state], COLOURS[state], n) for state, n in replaying.outcome(made).items()],
            "deliveries": [told(delivery) for delivery in deliveries[:_SHOWN]],
        }
        return TemplateResponse(request, "admin/transactions/webhooks/replay.html", context)

    def _replay(self, request: HttpRequest, form: ReplayForm) -> HttpResponse:
        by, given = actor_of(request), form.cleaned_data
        # All of it with its record or nothing: who is not answered and does it again does it once.
        with transaction.atomic():
            merchant, actor = given["merchant"].pk, f"staff:{by.name}"
            made = replaying.replay(merchant, form.filters, actor=actor, reason=given["reason"])
            detail = {"payments": made.payments, "deliveries": made.deliveries, **made.filters}
            subject = Subject("transactions.webhookreplay", str(made.id))
            record("replay_webhooks", by, subject=subject, why=given["reason"], detail=detail)
        said = _("What there is to tell is on its way once more. Payments: %(payments)s. Deliveries: %(deliveries)s.")
        messages.success(request, said % {"deliveries": made.deliveries, "payments": made.payments})
        return redirect(reverse("admin:transactions_webhookreplay_change", args=[made.id]))


def _looked_at(form: ReplayForm) -> dict[str, Any]:
    """Return what sending would do, and remember that it was looked at."""
    merchant = form.cleaned_data["merchant"].pk
    payments = replaying.count(merchant, form.filters)
    listening = endpoints.live(merchant).filter(disabled_at__isnull=True).count()
    form.data = {**{name: form.data[name] for name in form.data}, "seen": form.token}
    too_many = payments > replaying.MOST
    return {
        "looked": True,
        "payments": replaying.MOST if too_many else payments,
        "too_many": too_many,
        "listening": listening,
        "possible": 0 < payments <= replaying.MOST and listening > 0,
    }
