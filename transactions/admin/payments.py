"""Payments: finding one, reading its story, and the few things staff may do about it, each with a reason."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.paginator import InfinitePaginator
from unfold.widgets import UnfoldAdminTextareaWidget

from processor import links
from processor.codec.dialects import DIALECTS
from processor.models import Message
from queueing.models import QueueEntry
from transactions import services
from transactions.admin import words
from transactions.admin.story import tell
from transactions.domain.errors import NotAllowed
from transactions.domain.values import ReasonCode
from transactions.models import Attempt, Event, Payment

_LAST_FOUR: Final = re.compile(r"[0-9]{4}\Z")
_STAN: Final = re.compile(r"[0-9]{1,6}\Z")
_RRN: Final = re.compile(r"[0-9A-Za-z]{12}\Z")
_CANCELLABLE: Final = frozenset({"waiting", "blocked", "ready", "dispatched", "held"})
_RETRYABLE: Final = frozenset({"waiting", "held"})


class ReasonForm(forms.Form):
    """Why a member of staff does something; kept with the payment."""

    reason = forms.CharField(
        min_length=3,
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "autofocus": True}),
        help_text="It is recorded with your name. Never write card numbers here.",
    )


@admin.register(Payment)
class PaymentAdmin(ModelAdmin):
    """Read, search, retry, cancel; nothing here is edited."""

    list_display = ("short_id", "state", "what", "money", "card", "reference", "link", "accepted")
    list_display_links = ("short_id",)
    list_filter = ("status", "operation", "link", "created_at")
    search_fields = ("id",)
    search_help_text = "Payment id, reference, STAN, RRN or the last four digits of the card"
    ordering = ("-id",)
    list_per_page = 25
    paginator = InfinitePaginator
    show_full_result_count = False
    list_fullwidth = True

    @display(description="payment", ordering="id")
    def short_id(self, payment: Payment) -> str:
        """The end of the id tells payments of one moment apart."""
        return f"…{str(payment.id)[-12:]}"

    @display(description="status", ordering="status", label=words.COLOURS)
    def state(self, payment: Payment) -> tuple[str, str]:
        """The status in its colour."""
        return payment.status, words.spoken(payment.status)

    @display(description="operation", ordering="operation")
    def what(self, payment: Payment) -> str:
        """The operation in words."""
        return words.spoken(payment.operation)

    @display(description="card")
    def card(self, payment: Payment) -> str | None:
        """The card, masked."""
        return payment.masked_pan

    @display(description="accepted", ordering="id")
    def accepted(self, payment: Payment) -> datetime:
        """When it was accepted; ids are in that order."""
        return payment.created_at

    @display(description="amount", ordering="amount")
    def money(self, payment: Payment) -> str:
        """The amount in its currency's form."""
        return words.money(payment.amount, payment.currency)

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Payment]", search_term: str
    ) -> tuple["QuerySet[Payment]", bool]:
        """Look where a term of its form can be found, by index only."""
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(_where(term)), False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Payments come from clients."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Payment | None = None) -> bool:
        """Everything shown is derived from events."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Payment | None = None) -> bool:
        """Nothing is ever deleted."""
        return False

    def get_urls(self) -> list[Any]:
        """Add the pages of the actions."""
        own = [
            path("<uuid:payment_id>/cancel/", self.admin_site.admin_view(self.cancel), name="payment_cancel"),
            path("<uuid:payment_id>/retry/", self.admin_site.admin_view(self.retry), name="payment_retry"),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one payment with its story."""
        payment = self.get_object(request, object_id)
        if payment is None:
            raise Http404
        if not self.has_view_permission(request, payment):
            raise PermissionDenied
        entries = _entries(payment)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _title(payment),
            "payment": payment,
            "status": words.spoken(payment.status),
            "colour": words.COLOURS.get(payment.status, ""),
            "reason": words.reason(payment.reason),
            "facts": _facts(payment),
            "attempts": Attempt.objects.filter(payment_id=payment.id).order_by("number"),
            "entries": entries,
            "chapters": _chapters(payment),
            "actions": self._actions(request, payment, entries),
        }
        return TemplateResponse(request, "admin/transactions/payment/story.html", context)

    def cancel(self, request: HttpRequest, payment_id: UUID) -> HttpResponse:
        """Ask for a reason, then cancel."""

        def act(actor: str, note: str) -> None:
            services.cancel(payment_id, actor=actor, reason=ReasonCode.CANCELLED_BY_STAFF, note=note)

        return self._act(request, payment_id, "cancel", act, "The payment was cancelled. No money moved.")

    def retry(self, request: HttpRequest, payment_id: UUID) -> HttpResponse:
        """Ask for a reason, then go on."""

        def act(actor: str, note: str) -> None:
            services.retry(payment_id, actor=actor, note=note)

        return self._act(request, payment_id, "retry", act, "The payment goes on now.")

    def _act(
        self, request: HttpRequest, payment_id: UUID, action: str, act: Callable[[str, str], None], done: str
    ) -> HttpResponse:
        if not request.user.has_perm(f"transactions.{action}_payment"):
            raise PermissionDenied
        payment = self.get_object(request, str(payment_id))
        if payment is None:
            raise Http404
        story = reverse("admin:transactions_payment_change", args=[payment_id])
        if request.method == "GET" and action not in _possible(_entries(payment)):
            messages.error(request, _TOO_LATE)
            return redirect(story)
        form = ReasonForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                act(f"staff:{request.user.get_username()}", form.cleaned_data["reason"])
            except NotAllowed as error:
                messages.error(request, str(error))
            else:
                messages.success(request, done)
            return redirect(story)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _ACTIONS[action][0],
            "explanation": _ACTIONS[action][1],
            "subject": _title(payment),
            "status": words.spoken(payment.status),
            "colour": words.COLOURS.get(payment.status, ""),
            "form": form,
            "story": story,
        }
        return TemplateResponse(request, "admin/transactions/payment/reason.html", context)

    def _actions(self, request: HttpRequest, payment: Payment, entries: list[QueueEntry]) -> list[dict[str, str]]:
        possible = _possible(entries)
        return [
            {"name": title, "address": reverse(f"admin:payment_{action}", args=[payment.id])}
            for action, (title, _) in _ACTIONS.items()
            if action in possible and request.user.has_perm(f"transactions.{action}_payment")
        ]


_ACTIONS: Final = {
    "retry": ("Go on now", "It is put in the queue again. What may be with the bank already is never sent twice."),
    "cancel": ("Cancel payment", "It ends unsent. This works only until its message is taken for the bank."),
}


_TOO_LATE: Final = "The payment moved on meanwhile: this is not possible any more. Nothing was changed."


def _title(payment: Payment) -> str:
    return f"{words.spoken(payment.operation).capitalize()}, {words.money(payment.amount, payment.currency)}"


def _entries(payment: Payment) -> list[QueueEntry]:
    return list(QueueEntry.objects.filter(payment_id=payment.id).order_by("id"))


def _possible(entries: list[QueueEntry]) -> set[str]:
    """Return the actions worth offering; whether one is still allowed is decided when it is done (M12)."""
    cancellable = any(entry.kind != "reversal" and entry.state in _CANCELLABLE for entry in entries)
    retryable = any(entry.state in _RETRYABLE for entry in entries)
    return {name for name, offered in (("cancel", cancellable), ("retry", retryable)) if offered}


def _where(term: str) -> Q:
    try:
        return Q(id=UUID(term))
    except ValueError:
        pass
    found = Q(reference=term)
    if _LAST_FOUR.match(term):
        found |= Q(card_last4=term)
    if _STAN.match(term):
        found |= Q(id__in=Attempt.objects.filter(link__in=links.names(), stan=int(term)).values("payment_id"))
    if _RRN.match(term):
        found |= Q(id__in=Attempt.objects.filter(Q(rrn=term) | Q(host_rrn=term)).values("payment_id"))
    return found


def _chapters(payment: Payment) -> list[Any]:
    config = links.remembered(payment.link)
    dialect = config.dialect if config else DIALECTS["bank-ascii87"]
    events = Event.objects.filter(payment_id=payment.id).order_by("version")
    return tell(events, Message.objects.filter(payment_id=payment.id).order_by("id"), dialect)


def _facts(payment: Payment) -> list[tuple[str, Any]]:
    facts = [
        ("Payment", payment.id),
        ("Merchant", payment.merchant),
        ("Reference", payment.reference),
        ("Card", payment.masked_pan),
        ("From account", payment.source_account),
        ("To account", payment.destination_account),
        ("Biller", payment.biller),
        ("Customer number", payment.customer_number),
        ("Bank's code", payment.response_code),
        ("Authorisation code", payment.authorisation_code),
        ("RRN", payment.rrn),
        ("Bank's RRN", payment.host_rrn),
        ("Terminal", f"{payment.terminal_id} at {payment.card_acceptor_id}"),
        ("Link", payment.link),
        ("Lane", payment.lane),
        ("Priority", payment.priority),
        ("Expires if unsent", payment.expires_at),
        ("Accepted", payment.created_at),
        ("Ended", payment.ended_at),
    ]
    return [(name, value) for name, value in facts if value is not None]
