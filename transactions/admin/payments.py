"""Payments: finding one, reading its story, and the few things staff may do about it, each with a reason."""

from datetime import datetime
from functools import reduce
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display

from processor import links, revealing
from processor.codec.dialects import DIALECTS
from processor.models import Message
from transactions import actions, finding, selectors
from transactions.admin import listing, told, words
from transactions.admin.acting import asked_about, entries_of, followers, title
from transactions.admin.bulk import BulkActing
from transactions.admin.story import tell
from transactions.domain.values import ReasonCode
from transactions.models import Attempt, Event, Payment


@admin.register(Payment)
class PaymentAdmin(BulkActing):
    """Read, search, retry, cancel; nothing here is edited."""

    list_display = ("short_id", "state", "what", "money", "card", "called", "link", "accepted")
    list_display_links = ("short_id",)
    list_filter = listing.FILTERS
    list_filter_submit = True
    list_before_template = "admin/transactions/payment/searches.html"  # type: ignore[assignment]
    search_fields = ("id",)
    search_help_text = gettext_lazy("Id, reference, STAN, RRN, code, last four, amount, key")
    #: newest first, always: another order of millions is no page that anybody reads
    ordering = ("-id",)
    sortable_by = ()
    list_per_page = finding.PAGE
    show_full_result_count = False
    list_fullwidth = True

    @display(description=gettext_lazy("payment"), ordering="id")  # type: ignore[arg-type]  # Django takes lazy text
    def short_id(self, payment: Payment) -> str:
        """The end of the id tells payments of one moment apart."""
        return format_html('<span class="whitespace-nowrap">…{}</span>', str(payment.id)[-12:])

    @display(description=gettext_lazy("status"), ordering="status", label=words.COLOURS)  # type: ignore[arg-type]  # Django takes lazy text
    def state(self, payment: Payment) -> tuple[str, str]:
        """The status in its colour."""
        return payment.status, words.spoken(payment.status)

    @display(description=gettext_lazy("operation"), ordering="operation")  # type: ignore[arg-type]  # Django takes lazy text
    def what(self, payment: Payment) -> str:
        """The operation in words."""
        return words.spoken(payment.operation)

    @display(description=gettext_lazy("card"))  # type: ignore[arg-type]  # Django takes lazy text
    def card(self, payment: Payment) -> str | None:
        """The card, masked."""
        return payment.masked_pan

    @display(description=gettext_lazy("reference"))  # type: ignore[arg-type]  # Django takes lazy text
    def called(self, payment: Payment) -> str | None:
        """The client's reference, in one line: the whole of it is in its hint and on the payment's page."""
        if payment.reference is None:
            return None
        return format_html('<span class="fm-called" title="{0}">{0}</span>', payment.reference)

    @display(description=gettext_lazy("accepted"), ordering="id")  # type: ignore[arg-type]  # Django takes lazy text
    def accepted(self, payment: Payment) -> datetime:
        """When it was accepted; ids are in that order."""
        return payment.created_at

    @display(description=gettext_lazy("amount"), ordering="amount")  # type: ignore[arg-type]  # Django takes lazy text
    def money(self, payment: Payment) -> str:
        """The amount in its currency's form."""
        return words.money(payment.amount, payment.currency)

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Payment]", search_term: str
    ) -> tuple["QuerySet[Payment]", bool]:
        """Return everything that a term may mean, whichever page of it is shown."""
        term = search_term.strip()
        if not term:
            return queryset, False
        return queryset.filter(reduce(Q.__or__, finding.meanings(term))), False

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        """The list that neither counts nor skips."""
        return listing.PaymentList

    def get_urls(self) -> list[Any]:
        """Add where searches are kept."""
        return listing.urls(self) + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> TemplateResponse:
        """Show the list with the searches that who looks has kept."""
        shown: Any = {
            "saved_searches": list(listing.saved(request)),
            "is_searching": bool(request.GET),
            "many": self.many(request),
        }
        return super().changelist_view(request, {**(extra_context or {}), **shown})

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Payments come from clients."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Payment | None = None) -> bool:
        """Everything shown is derived from events."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Payment | None = None) -> bool:
        """Nothing is ever deleted."""
        return False

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one payment with its story."""
        payment = self.get_object(request, object_id)
        if payment is None:
            raise Http404
        if not self.has_view_permission(request, payment):
            raise PermissionDenied
        entries, offers = entries_of(payment), self.offers(request, payment)
        head = selectors.held_heads([payment]).get(payment.id)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title(payment),
            "payment": payment,
            "status": words.spoken(payment.status),
            "colour": words.COLOURS.get(payment.status, ""),
            "reason": words.reason(ReasonCode.LANE_HELD if head else payment.reason),
            "head": reverse("admin:transactions_payment_change", args=[head]) if head else "",
            "facts": _facts(payment),
            "attempts": [(one, _said(one)) for one in Attempt.objects.filter(payment_id=payment.id).order_by("number")],
            "entries": entries,
            "followers": followers(payment),
            "chapters": _chapters(payment),
            "may_reveal": request.user.has_perm(revealing.REVEAL),
            "offers": offers,
            "are_refused": any(offer.objection for offer in offers),
            "asked": asked_about(payment),
        }
        return TemplateResponse(request, "admin/transactions/payment/story.html", context)


def _said(attempt: Attempt) -> dict[str, str]:
    """Return an attempt in words."""
    told = {"kind": attempt.kind, "outcome": attempt.outcome, "undoing": attempt.undoing}
    return {**{name: words.spoken(word) for name, word in told.items()}, "took": _took(attempt)}


def _took(attempt: Attempt) -> str:
    """Return how long the bank took to answer."""
    if attempt.taken_at is None or attempt.answered_at is None:
        return ""
    return words.lapse((attempt.answered_at - attempt.taken_at).total_seconds())


def _chapters(payment: Payment) -> list[Any]:
    config = links.remembered(payment.link)
    dialect = config.dialect if config else DIALECTS["bank-ascii87"]
    events = Event.objects.filter(payment_id=payment.id).order_by("version")
    messages = revealing.without_bodies(Message.objects.filter(payment_id=payment.id)).order_by("id")
    chapters = tell(events, messages, dialect)
    return sorted([*chapters, *told.chapters_of(payment)], key=lambda chapter: chapter.at)


def _original(payment: Payment) -> str | None:
    """Return the payment that this one captures, refunds or voids, with its page."""
    if payment.original is None:
        return None
    original = payment.original["payment_id"]
    return format_html('<a href="{}">{}</a>', reverse("admin:transactions_payment_change", args=[original]), original)


def _facts(payment: Payment) -> list[tuple[str, Any]]:
    where = {"terminal": payment.terminal_id, "acceptor": payment.card_acceptor_id}
    facts = [
        (_("Payment"), payment.id),
        (_("Follows"), _original(payment)),
        (_("Merchant"), payment.merchant),
        (_("Reference"), payment.reference),
        (_("Card"), payment.masked_pan),
        *actions.moved(payment),
        (_("From account"), payment.source_account),
        (_("To account"), payment.destination_account),
        (_("Biller"), payment.biller),
        (_("Customer number"), payment.customer_number),
        (_("Bank's code"), payment.response_code),
        (_("Authorisation code"), payment.authorisation_code),
        (_("RRN"), payment.rrn),
        (_("Bank's RRN"), payment.host_rrn),
        (_("Terminal"), _("%(terminal)s at %(acceptor)s") % where),
        (_("Link"), payment.link),
        (_("Lane"), payment.lane),
        (_("Priority"), payment.priority),
        (_("Expires if unsent"), payment.expires_at),
        (_("Accepted"), payment.created_at),
        (_("Ended"), payment.ended_at),
    ]
    return [(name, value) for name, value in facts if value is not None]
