"""What staff may do about one payment, each on a page that asks for a reason. Decides nothing: `actions` does."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminRadioSelectWidget

from queueing.models import QueueEntry
from staff import requests
from staff.audit import actor_of
from staff.pages import ReasonForm
from staff.speech import unchanged
from transactions import actions, asking, selectors
from transactions.actions import ACTIONS, Action
from transactions.admin import words
from transactions.admin.objections import say
from transactions.domain.errors import NotAllowed
from transactions.domain.money import exponent
from transactions.domain.values import Status
from transactions.models import Payment

_OUTCOMES: Final = (
    (Status.APPROVED.value, gettext_lazy("Approved: the bank carried it out, and the money stays moved")),
    (Status.REVERSED.value, gettext_lazy("Reversed: the bank gave the money back, or never moved it")),
)


class ResolveForm(ReasonForm):
    """What became of it at the bank, and how one knows."""

    outcome = forms.ChoiceField(
        label=gettext_lazy("What became of it?"), choices=_OUTCOMES, widget=UnfoldAdminRadioSelectWidget
    )
    field_order = ("outcome", "reason")


class AmountForm(ReasonForm):
    """How much of a payment is captured or refunded, in the currency's own unit; at most what is left of it."""

    field_order = ("amount", "reason")

    def __init__(self, given: Any, payment: Payment, left: int | None) -> None:
        digits = exponent(payment.currency)
        self._unit = Decimal(1).scaleb(-digits)
        most = None if left is None else left * self._unit
        super().__init__(given, initial={"amount": most})
        self.fields["amount"] = forms.DecimalField(
            label=_("Amount in %(currency)s") % {"currency": payment.currency},
            decimal_places=digits,
            min_value=self._unit,
            max_value=most,
            widget=UnfoldAdminDecimalFieldWidget(),
            help_text="" if left is None else _("At most %(sum)s.") % {"sum": words.money(left, payment.currency)},
        )
        self.order_fields(self.field_order)

    def clean_amount(self) -> int:
        """Return it in minor units."""
        return int(self.cleaned_data["amount"] / self._unit)


@dataclass(frozen=True, slots=True)
class Offer:
    """An action for this person: its page where the payment's state allows it, else why it does not."""

    title: str
    address: str
    objection: str


class Acting(ModelAdmin):
    """The pages of the actions, beside a payment's own."""

    def get_urls(self) -> list[Any]:
        """Add the pages of the actions."""
        act = self.admin_site.admin_view(self.act)
        own = [path(f"<uuid:payment_id>/{name}/", act, {"name": name}, name=f"payment_{name}") for name in ACTIONS]
        return own + super().get_urls()

    def act(self, request: HttpRequest, payment_id: UUID, name: str) -> HttpResponse:
        """Say what will happen and ask why; then do it, or ask a second person."""
        action, by = ACTIONS[name], actor_of(request)
        if not (by.may(action.permission) and self.has_view_permission(request)):
            raise PermissionDenied
        payment: Payment | None = self.get_object(request, str(payment_id))
        if payment is None:
            raise Http404
        form = _form(action, payment, request.POST or None)
        story = reverse("admin:transactions_payment_change", args=[payment_id])
        if request.method == "POST" and form.is_valid():
            _carry_out(request, action, payment, form.cleaned_data)
            return redirect(story)
        if request.method != "POST" and (objection := say(actions.objection(action, payment))):
            messages.error(request, unchanged(objection))
            return redirect(story)
        return TemplateResponse(
            request, "admin/transactions/payment/reason.html", self._context(request, action, payment, form, story)
        )

    def _context(
        self, request: HttpRequest, action: Action, payment: Payment, form: forms.Form, story: str
    ) -> dict[str, Any]:
        return {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": action.title,
            "action": action,
            "subject": title(payment),
            "payment": payment,
            "moved": actions.moved(payment),
            "status": words.spoken(payment.status),
            "colour": words.COLOURS.get(payment.status, ""),
            "form": form,
            "story": story,
        }

    def offers(self, request: HttpRequest, payment: Payment) -> list[Offer]:
        """Return what this person may do, with where or why not now."""
        by = actor_of(request)
        mine = [action for action in ACTIONS.values() if by.may(action.permission)]
        standing = actions.standing(payment) if mine else None
        return [
            Offer(
                str(action.title),
                reverse(f"admin:payment_{action.name}", args=[payment.id]),
                say(asking.objection(standing, action.wish({}))) if standing else "",
            )
            for action in mine
        ]


def _form(action: Action, payment: Payment, given: Any) -> forms.Form:
    if action.takes_amount and action.follows_as:
        return AmountForm(given, payment, asking.left(actions.standing(payment), action.follows_as))
    return (ResolveForm if action.name == "resolve" else ReasonForm)(given)


def _carry_out(request: HttpRequest, action: Action, payment: Payment, given: dict[str, Any]) -> None:
    """Do it or ask for it, and say what came of it."""
    reason = given.pop("reason")
    try:
        if action.needs_second:
            asked = actions.ask(action, payment, actor_of(request), reason, given)
            messages.success(
                request,
                _("Asked for. Nothing happens until somebody else agrees; the request expires in %(time)s.")
                % {"time": words.duration((asked.expires_at - asked.created_at).total_seconds())},
            )
        else:
            actions.carry_out(action, payment.id, actor_of(request), reason)
            messages.success(request, str(action.done))
    except (NotAllowed, requests.NotPossible) as error:
        messages.error(request, unchanged(say(str(error))))


def title(payment: Any) -> str:
    """Return a payment in words."""
    return f"{words.spoken(payment.operation).capitalize()}, {words.money(payment.amount, payment.currency)}"


def followers(payment: Payment) -> list[dict[str, Any]]:
    """Return the captures, refunds and voids of a payment, first to last, and how each stands."""
    return [
        {
            "title": title(child),
            "status": words.spoken(child.status),
            "colour": words.COLOURS.get(child.status, ""),
            "at": child.created_at,
            "address": reverse("admin:transactions_payment_change", args=[child.id]),
        }
        for child in (selectors.children(payment.id) if payment.original is None else ())
    ]


def entries_of(payment: Payment) -> list[QueueEntry]:
    """Return what is owed for a payment, to look at."""
    return list(QueueEntry.objects.filter(payment_id=payment.id).order_by("id"))


def asked_about(payment: Payment) -> list[dict[str, Any]]:
    """Return what waits for a second person about a payment."""
    return [requests.shown(asked) for asked in requests.waiting(actions.subject_of(payment.id))]
