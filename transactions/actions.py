"""What staff may do about a payment, as one table: who may, whether a second person has to agree, and how it is done.

Each leaves a record in the audit in the transaction that does it. The rules are the services'; a retry of
what is on hold is its release, so that has no second door.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from queueing.models import QueueEntry
from staff import requests
from staff.audit import Actor, Result, Subject, record
from staff.models import Request
from staff.requests import Kind, NotDone
from transactions import asking, following, services
from transactions.accepting import BacklogFull, LinkUnavailable
from transactions.domain.children import NOTHING
from transactions.domain.errors import NotAllowed
from transactions.domain.money import Money
from transactions.domain.values import Operation, ReasonCode, Status
from transactions.models import Attempt, Payment
from transactions.projections import attempt_of, state_of

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

APPROVE: Final = "transactions.approve_payment"
_KIND: Final = "transactions.payment"
Parameters = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that staff may do; `perform` takes the payment's id, the actor, the note and the parameters.

    It returns the payment that it made, where it made one.
    """

    name: str
    title: "StrPromise"
    #: what will happen, before it does
    meaning: "StrPromise"
    done: "StrPromise"
    wish: Callable[[Parameters], asking.Trial]
    perform: Callable[[UUID, str, str, Parameters], UUID | None]
    needs_second: bool = False
    #: of what follows a payment: which of them it is
    follows_as: Operation | None = None

    @property
    def code(self) -> str:
        """What it is called in the audit, and as a request."""
        return f"{self.name}_payment"

    @property
    def takes_amount(self) -> bool:
        """True for what may be of a part."""
        return self.follows_as in (Operation.CAPTURE, Operation.REFUND)

    @property
    def permission(self) -> str:
        """Who may do it, or ask for it."""
        return f"transactions.{self.code}"


def _cancel(payment_id: UUID, actor: str, note: str, _parameters: Parameters) -> None:
    # A client's second cancel is answered as its first; the audit names only who did it.
    if not services.cancel(payment_id, actor=actor, reason=ReasonCode.CANCELLED_BY_STAFF, note=note):
        raise NotAllowed(f"The payment has ended already ({Status.CANCELLED}); it cannot be cancelled.")


def _retry(payment_id: UUID, actor: str, note: str, _parameters: Parameters) -> None:
    services.retry(payment_id, actor=actor, note=note)


def _reverse(payment_id: UUID, actor: str, note: str, _parameters: Parameters) -> None:
    services.reverse(payment_id, actor=actor, note=note)


def _resolve(payment_id: UUID, actor: str, note: str, parameters: Parameters) -> None:
    services.resolve(payment_id, outcome=Status(parameters["outcome"]), evidence=note, actor=actor)


def _resolving(parameters: Parameters) -> asking.Trial:
    outcome = Status(parameters.get("outcome", Status.REVERSED))
    return asking.trial(lambda state, entries: asking.resolving(state, entries, outcome, ""))


def _following(operation: Operation, title: "StrPromise", meaning: "StrPromise", done: "StrPromise") -> Action:
    """Return a capture, refund or void as an action; `amount` is in minor units, `key` names the request once."""

    def perform(payment_id: UUID, actor: str, note: str, parameters: Parameters) -> UUID:
        amount, key = parameters.get("amount"), parameters["key"]
        return services.follow_up(operation, payment_id, amount_minor=amount, actor=actor, note=note, key=key)

    def wish(parameters: Parameters) -> asking.Trial:
        return asking.following(operation, parameters.get("amount"))

    return Action(operation.value, title, meaning, done, wish, perform, needs_second=True, follows_as=operation)


ACTIONS: Final = {
    action.name: action
    for action in (
        Action(
            "retry",
            gettext_lazy("Go on now"),
            gettext_lazy(
                "It is released from hold, or from waiting for its time, and put in the queue again. What may be with "
                "the bank already is never sent twice."
            ),
            gettext_lazy("The payment goes on now."),
            lambda _p: asking.trial(lambda state, entries: asking.retrying(state, entries, "")),
            _retry,
        ),
        Action(
            "cancel",
            gettext_lazy("Cancel payment"),
            gettext_lazy(
                "It ends unsent, and no money moves. This works only until its message is taken for the bank."
            ),
            gettext_lazy("The payment was cancelled. No money moved."),
            lambda _p: asking.trial(
                lambda state, entries: asking.cancelling(state, entries, ReasonCode.CANCELLED_BY_STAFF, "")
            ),
            _cancel,
        ),
        Action(
            "reverse",
            gettext_lazy("Reverse payment"),
            gettext_lazy(
                "The bank is told to undo it, again and again until it accepts. If it had carried the payment out, the "
                "customer gets the money back."
            ),
            gettext_lazy("The reversal is on its way to the bank."),
            lambda _p: asking.trial(lambda state, entries: asking.reversing(state, entries, "")),
            _reverse,
            needs_second=True,
        ),
        Action(
            "resolve",
            gettext_lazy("Resolve on evidence"),
            gettext_lazy(
                "It ends as it was settled with the bank, and nothing more is sent. Approved: the money stays moved. "
                "Reversed: it was given back, or never moved. The reason is the evidence: it names the document."
            ),
            gettext_lazy("The payment ended as it was settled with the bank."),
            _resolving,
            _resolve,
            needs_second=True,
        ),
        _following(
            Operation.VOID,
            gettext_lazy("Void payment"),
            gettext_lazy(
                "The bank is told that the whole payment is void: the customer gets the money back, and what an "
                "authorisation holds is freed. The void is a payment of its own, with its own story."
            ),
            gettext_lazy("The void is on its way to the bank."),
        ),
        _following(
            Operation.CAPTURE,
            gettext_lazy("Capture payment"),
            gettext_lazy(
                "The bank is told to take this amount of what it authorised. The capture is a payment of its own, with "
                "its own story."
            ),
            gettext_lazy("The capture is on its way to the bank."),
        ),
        _following(
            Operation.REFUND,
            gettext_lazy("Refund payment"),
            gettext_lazy(
                "The bank is told to give the customer this amount back. The refund is a payment of its own, with its "
                "own story."
            ),
            gettext_lazy("The refund is on its way to the bank."),
        ),
    )
}


def subject_of(payment_id: UUID) -> Subject:
    """Return a payment as the subject of records and requests."""
    return Subject(_KIND, str(payment_id))


def standing(payment: Payment) -> asking.Standing:
    """Return a payment's state and what is owed for it, to look at: nothing is locked."""
    attempts = Attempt.objects.filter(payment_id=payment.id).order_by("number")
    state = state_of(payment, tuple(attempt_of(row) for row in attempts))
    entries = list(QueueEntry.objects.filter(payment_id=payment.id).order_by("id"))
    if state.status is not Status.APPROVED:
        return asking.Standing(state, entries)
    return asking.Standing(state, entries, following.reserved(payment.id))


def objection(action: Action, payment: Payment, parameters: Parameters | None = None) -> str:
    """Return why an action is not possible now, as a sentence; empty when it is."""
    return asking.objection(standing(payment), action.wish(parameters or {}))


def objections(action: Action, payments: Sequence[Payment]) -> dict[UUID, str]:
    """Return the objection of each of many payments, in three statements."""
    ids = [payment.id for payment in payments]
    attempts: dict[UUID, list[Attempt]] = {}
    for attempt in Attempt.objects.filter(payment_id__in=ids).order_by("number"):
        attempts.setdefault(attempt.payment_id, []).append(attempt)
    entries: dict[UUID, list[QueueEntry]] = {}
    for entry in QueueEntry.objects.filter(payment_id__in=ids).order_by("id"):
        entries.setdefault(entry.payment_id, []).append(entry)
    held = following.reserved_by(ids) if action.follows_as else {}
    return {
        payment.id: asking.objection(
            asking.Standing(
                state_of(payment, tuple(map(attempt_of, attempts.get(payment.id, ())))),
                entries.get(payment.id, ()),
                held.get(payment.id, NOTHING),
            ),
            action.wish({}),
        )
        for payment in payments
    }


def carry_out(action: Action, payment_id: UUID, by: Actor, reason: str) -> None:
    """Do what one person may do alone; raises PermissionDenied, or NotAllowed when the payment's state forbids it."""
    if action.needs_second or not by.may(action.permission):
        raise PermissionDenied
    try:
        with transaction.atomic():
            action.perform(payment_id, f"staff:{by.name}", reason, {})
            record(action.code, by, subject=subject_of(payment_id), why=reason)
    except NotAllowed as error:
        _refused(action, payment_id, by, reason, str(error))
        raise


def ask(action: Action, payment: Payment, by: Actor, reason: str, parameters: Parameters) -> Request:
    """Ask a second person to agree; raises PermissionDenied, NotAllowed, or NotPossible if that waits already."""
    if why := objection(action, payment, parameters):
        _refused(action, payment.id, by, reason, why)
        raise NotAllowed(why)
    return requests.ask(action.code, subject_of(payment.id), by, reason, parameters)


def _refused(action: Action, payment_id: UUID, by: Actor, reason: str, outcome: str) -> None:
    record(action.code, by, Result.REFUSED, subject=subject_of(payment_id), why=reason, detail={"outcome": outcome})


def kinds() -> list[Kind]:
    """Return the requests that actions become where a second person has to agree."""
    return [_kind(action) for action in ACTIONS.values() if action.needs_second]


def _kind(action: Action) -> Kind:
    def carry_out(asked: Request) -> str:
        note = _("%(reason)s (%(checker)s agreed)") % {"reason": asked.reason, "checker": asked.checker}
        given = {**asked.parameters, "key": f"request-{asked.pk}"}
        try:
            made = action.perform(UUID(asked.subject), f"staff:{asked.maker}", note, given)
        except NotAllowed as error:
            raise NotDone(str(error)) from None
        except (LinkUnavailable, BacklogFull):
            raise NotDone(_("The link cannot take it now. Ask again when it is up.")) from None
        return done(action, made)

    def facts(asked: Request) -> list[tuple[str, Any]]:
        return _facts(asked, action)

    return Kind(action.code, action.title, action.meaning, action.permission, APPROVE, carry_out, facts)


def done(action: Action, made: UUID | None) -> str:
    """Say what was done, and which payment it is where it made one."""
    if made is None:
        return str(action.done)
    return _("%(done)s It is the payment %(made)s.") % {"done": action.done, "made": made}


def _facts(asked: Request, action: Action) -> list[tuple[str, Any]]:
    payment = Payment.objects.select_related("merchant").get(id=asked.subject)
    facts = [
        (_("Operation"), payment.operation.replace("_", " ")),
        (_("Amount"), Money(payment.amount, payment.currency)),
        (_("Merchant"), payment.merchant),
        (_("Card"), payment.masked_pan),
        (_("Reference"), payment.reference),
        (_("RRN"), payment.rrn),
        (_("Status now"), payment.status.replace("_", " ")),
        (_("To end as"), asked.parameters.get("outcome")),
        *moved(payment),
        (_("Amount now"), Money(asked.parameters["amount"], payment.currency) if action.takes_amount else None),
    ]
    return [(name, value) for name, value in facts if value is not None]


def moved(payment: Payment) -> list[tuple[str, Any]]:
    """Return what captures and refunds have made of a payment, where there were any."""
    sums = ((_("Captured so far"), payment.captured_amount), (_("Refunded so far"), payment.refunded_amount))
    return [(name, Money(amount, payment.currency)) for name, amount in sums if amount]
