"""evolve(state, event) -> state: what each event changes, and nothing else."""

from collections.abc import Iterable
from functools import singledispatch
from typing import Any, TypeAlias
from uuid import UUID

from msgspec.structs import replace

from transactions.domain import events as e
from transactions.domain.errors import ImpossibleEvent
from transactions.domain.state import PaymentState, is_beside, next_status
from transactions.domain.values import Attempt, MessageKind, Operation, Outcome, ReasonCode, Status, Undoing

_Attempts: TypeAlias = tuple[Attempt, ...]
_Changes: TypeAlias = dict[str, Any]


def evolve(state: PaymentState | None, event: e.Event, payment_id: UUID | None = None) -> PaymentState:
    """Return the state after an event; only the first, Accepted, comes to no state."""
    if isinstance(event, e.Accepted):
        if state is not None or payment_id is None:
            raise ImpossibleEvent("a payment is accepted once, first of all")
        return PaymentState(payment_id, event.instruction, event.placement)
    if state is None:
        raise ImpossibleEvent("a payment begins with Accepted")
    status = next_status(state, event)
    return replace(state, **_changes(event, state), status=status, version=state.version + 1)


def fold(payment_id: UUID, events: Iterable[e.Event]) -> PaymentState:
    """Return what the events of one payment make of it (E1)."""
    state: PaymentState | None = None
    for event in events:
        state = evolve(state, event, payment_id)
    if state is None:
        raise ImpossibleEvent("a payment has at least one event")
    return state


@singledispatch
def _changes(event: Any, state: PaymentState) -> _Changes:
    """What an event changes besides status and version."""
    raise ImpossibleEvent(f"{type(event).__name__} has no effect that this code knows")


@_changes.register
def _dispatched(event: e.Dispatched, state: PaymentState) -> _Changes:
    if state.attempt(event.attempt):
        repeated = {"mti": event.mti, "digest": event.digest, "repeats": event.repeat, "outcome": Outcome.OPEN}
        return {"attempts": _with(state.attempts, event.attempt, **repeated)}
    attempt = Attempt(
        number=event.attempt,
        kind=event.kind,
        mti=event.mti,
        stan=event.stan,
        transmitted_at=event.transmitted_at,
        terminal_id=event.terminal_id,
        rrn=event.rrn,
        link=event.link,
        business_date=event.business_date,
        digest=event.digest,
        reverses=event.reverses,
    )
    return {"attempts": (*state.attempts, attempt)}


@_changes.register
def _recalled(event: e.Recalled, state: PaymentState) -> _Changes:
    """What was written before, a reversal or an advice's repeat, stays as open as it was."""
    attempt = state.attempt(event.attempt)
    if attempt and attempt.kind is not MessageKind.REVERSAL and not attempt.repeats:
        return {"attempts": _with(state.attempts, event.attempt, outcome=Outcome.UNSENT)}
    return {}


@_changes.register
def _approved(event: e.Approved, state: PaymentState) -> _Changes:
    attempts = _with(
        state.attempts,
        event.attempt,
        outcome=Outcome.APPROVED,
        response_code=event.response_code,
        authorisation_code=event.authorisation_code,
        host_rrn=event.host_rrn,
    )
    return {
        "attempts": attempts,
        "accepted_attempt": event.attempt,
        "response_code": event.response_code,
        "authorisation_code": event.authorisation_code,
        "balances": event.balances,
        "reason": None,
    }


@_changes.register
def _attempt_declined(event: e.AttemptDeclined, state: PaymentState) -> _Changes:
    attempts = _with_declined(state.attempts, event.attempt, event.response_code, event.host_rrn)
    return {"attempts": attempts, "response_code": event.response_code, "reason": ReasonCode.DECLINED_BY_HOST}


@_changes.register
def _declined(event: e.Declined, state: PaymentState) -> _Changes:
    attempts = state.attempts
    if event.attempt is not None:
        attempts = _with_declined(attempts, event.attempt, event.response_code, event.host_rrn)
    return {"attempts": attempts, "response_code": event.response_code, "reason": event.reason}


@_changes.register
def _failed(event: e.Failed, state: PaymentState) -> _Changes:
    attempts = state.attempts
    attempt = state.attempt(event.attempt) if event.attempt else None
    if attempt and attempt.outcome is Outcome.OPEN:
        attempts = _with(attempts, attempt.number, outcome=Outcome.ABANDONED)
    return {"attempts": attempts, "reason": event.reason}


@_changes.register
def _reversal_required(event: e.ReversalRequired, state: PaymentState) -> _Changes:
    approved = event.reason is ReasonCode.LATE_APPROVAL or event.approval
    attempts = _with(
        state.attempts,
        event.attempt,
        outcome=Outcome.APPROVED if approved else Outcome.UNKNOWN,
        undoing=Undoing.OPEN,
        response_code=event.response_code,
        authorisation_code=event.authorisation_code,
        host_rrn=event.host_rrn,
    )
    if reversal := state.reversal_of(event.attempt):
        attempts = _with(attempts, reversal.number, outcome=Outcome.OPEN)
    return {"attempts": attempts} if is_beside(state, event) else {"attempts": attempts, "reason": event.reason}


@_changes.register
def _unaccepted(event: e.Unaccepted, state: PaymentState) -> _Changes:
    return {"attempts": _with(state.attempts, event.attempt, response_code=event.response_code)}


@_changes.register
def _reversed(event: e.Reversed, state: PaymentState) -> _Changes:
    answered = _with(state.attempts, event.by, outcome=Outcome.APPROVED, response_code=event.response_code)
    return {"attempts": _with(answered, event.attempt, undoing=Undoing.ACCEPTED)}


@_changes.register
def _held(event: e.Held, state: PaymentState) -> _Changes:
    return {} if is_beside(state, event) else {"reason": event.reason}


@_changes.register
def _resolved(event: e.Resolved, state: PaymentState) -> _Changes:
    attempts = state.attempts
    if reversal := state.reversal_of(event.attempt):
        attempts = _with(attempts, reversal.number, outcome=Outcome.ABANDONED)
    if event.outcome is Status.APPROVED:
        attempts = _with(attempts, event.attempt, outcome=Outcome.APPROVED, undoing=Undoing.NONE)
        accepted = {"accepted_attempt": event.attempt}
    else:
        attempts = _with(attempts, event.attempt, outcome=Outcome.UNKNOWN, undoing=Undoing.ACCEPTED)
        accepted = {}
    if is_beside(state, event):
        return {"attempts": attempts}
    return {"attempts": attempts, "reason": ReasonCode.RESOLVED_BY_STAFF, **accepted}


@_changes.register
def _answer_noted(event: e.AnswerNoted, state: PaymentState) -> _Changes:
    if not event.approval:
        return {}
    approved = {"outcome": Outcome.APPROVED, "response_code": event.response_code}
    return {"attempts": _with(state.attempts, event.attempt, **approved)}


@_changes.register
def _retry_requested(event: e.RetryRequested, state: PaymentState) -> _Changes:
    """A reason for being on hold asks for a person: it does not outlast the hold, least of all the payment's end."""
    if state.status is not Status.ON_HOLD:
        return {}
    is_undone = state.current is not None and state.current.undoing is Undoing.OPEN
    return {"reason": ReasonCode.REVERSAL_RETRIED if is_undone else None}


@_changes.register(e.Cancelled)
@_changes.register(e.Expired)
def _over(event: e.Cancelled | e.Expired, state: PaymentState) -> _Changes:
    return {"reason": event.reason}


@_changes.register
def _child_approved(event: e.ChildApproved, state: PaymentState) -> _Changes:
    if event.operation is Operation.CAPTURE:
        return {"captured_minor": state.captured_minor + event.amount_minor}
    if event.operation is Operation.REFUND:
        return {"refunded_minor": state.refunded_minor + event.amount_minor}
    return {"voided_by": event.child_id}


def _with_declined(attempts: _Attempts, number: int, code: str, host_rrn: str | None) -> _Attempts:
    return _with(attempts, number, outcome=Outcome.DECLINED, response_code=code, host_rrn=host_rrn)


def _with(attempts: _Attempts, number: int, **changes: Any) -> _Attempts:
    """Return the attempts with one of them changed; what is None says nothing new."""
    known = {name: value for name, value in changes.items() if value is not None}
    if not any(attempt.number == number for attempt in attempts):
        raise ImpossibleEvent(f"there is no attempt {number}")
    return tuple([replace(attempt, **known) if attempt.number == number else attempt for attempt in attempts])
