"""evolve(state, event) -> state: what each event changes, and nothing else."""

from collections.abc import Iterable
from dataclasses import replace
from functools import singledispatch
from typing import Any
from uuid import UUID

from transactions.domain import events as e
from transactions.domain.errors import ImpossibleEvent
from transactions.domain.state import PaymentState, is_beside, next_status
from transactions.domain.values import Attempt, MessageKind, Operation, Outcome, ReasonCode, Undoing


def evolve(state: PaymentState | None, event: e.Event, payment_id: UUID | None = None) -> PaymentState:
    """Return the state after an event; only the first, Accepted, comes to no state."""
    if isinstance(event, e.Accepted):
        if state is not None or payment_id is None:
            raise ImpossibleEvent("a payment is accepted once, first of all")
        return PaymentState(payment_id, event.instruction, event.placement)
    if state is None:
        raise ImpossibleEvent("a payment begins with Accepted")
    status = next_status(state, event)
    return replace(_apply(event, state), status=status, version=state.version + 1)


def fold(payment_id: UUID, events: Iterable[e.Event]) -> PaymentState:
    """Return what the events of one payment make of it (E1)."""
    state: PaymentState | None = None
    for event in events:
        state = evolve(state, event, payment_id)
    if state is None:
        raise ImpossibleEvent("a payment has at least one event")
    return state


@singledispatch
def _apply(event: Any, state: PaymentState) -> PaymentState:
    """What an event changes besides status and version."""
    raise ImpossibleEvent(f"{type(event).__name__} has no effect that this code knows")


@_apply.register
def _dispatched(event: e.Dispatched, state: PaymentState) -> PaymentState:
    if state.attempt(event.attempt):
        return _change(state, event.attempt, mti=event.mti, digest=event.digest, repeats=event.repeat)
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
    return replace(state, attempts=(*state.attempts, attempt))


@_apply.register
def _recalled(event: e.Recalled, state: PaymentState) -> PaymentState:
    attempt = state.attempt(event.attempt)
    if attempt and attempt.kind is MessageKind.REQUEST:
        return _change(state, event.attempt, outcome=Outcome.UNSENT)
    return state


@_apply.register
def _approved(event: e.Approved, state: PaymentState) -> PaymentState:
    after = _change(
        state,
        event.attempt,
        outcome=Outcome.APPROVED,
        response_code=event.response_code,
        authorisation_code=event.authorisation_code,
        host_rrn=event.host_rrn,
    )
    return replace(
        after,
        accepted_attempt=event.attempt,
        response_code=event.response_code,
        authorisation_code=event.authorisation_code,
        balances=event.balances,
        reason=None,
    )


@_apply.register
def _attempt_declined(event: e.AttemptDeclined, state: PaymentState) -> PaymentState:
    after = _declined_attempt(state, event.attempt, event.response_code, event.host_rrn)
    return replace(after, response_code=event.response_code, reason=ReasonCode.DECLINED_BY_HOST)


@_apply.register
def _declined(event: e.Declined, state: PaymentState) -> PaymentState:
    after = state
    if event.attempt is not None:
        after = _declined_attempt(state, event.attempt, event.response_code, event.host_rrn)
    return replace(after, response_code=event.response_code, reason=event.reason)


@_apply.register
def _failed(event: e.Failed, state: PaymentState) -> PaymentState:
    after = state
    attempt = state.attempt(event.attempt) if event.attempt else None
    if attempt and attempt.outcome is Outcome.OPEN:
        after = _change(state, attempt.number, outcome=Outcome.ABANDONED)
    return replace(after, reason=event.reason)


@_apply.register
def _reversal_required(event: e.ReversalRequired, state: PaymentState) -> PaymentState:
    late = event.reason is ReasonCode.LATE_APPROVAL
    after = _change(
        state,
        event.attempt,
        outcome=Outcome.APPROVED if late else Outcome.UNKNOWN,
        undoing=Undoing.OPEN,
        response_code=event.response_code,
        authorisation_code=event.authorisation_code,
        host_rrn=event.host_rrn,
    )
    reversal = after.reversal_of(event.attempt)
    if reversal:
        after = _change(after, reversal.number, outcome=Outcome.OPEN)
    return after if is_beside(state, event) else replace(after, reason=event.reason)


@_apply.register
def _unaccepted(event: e.Unaccepted, state: PaymentState) -> PaymentState:
    return _change(state, event.attempt, response_code=event.response_code)


@_apply.register
def _reversed(event: e.Reversed, state: PaymentState) -> PaymentState:
    after = _change(state, event.by, outcome=Outcome.APPROVED, response_code=event.response_code)
    return _change(after, event.attempt, undoing=Undoing.ACCEPTED)


@_apply.register
def _held(event: e.Held, state: PaymentState) -> PaymentState:
    return state if is_beside(state, event) else replace(state, reason=event.reason)


@_apply.register(e.AnswerNoted)
@_apply.register(e.RetryRequested)
def _unchanged(event: e.AnswerNoted | e.RetryRequested, state: PaymentState) -> PaymentState:
    return state


@_apply.register
def _cancelled(event: e.Cancelled, state: PaymentState) -> PaymentState:
    return replace(state, reason=event.reason)


@_apply.register
def _expired(event: e.Expired, state: PaymentState) -> PaymentState:
    return replace(state, reason=event.reason)


@_apply.register
def _child_approved(event: e.ChildApproved, state: PaymentState) -> PaymentState:
    if event.operation is Operation.CAPTURE:
        return replace(state, captured_minor=state.captured_minor + event.amount_minor)
    if event.operation is Operation.REFUND:
        return replace(state, refunded_minor=state.refunded_minor + event.amount_minor)
    return replace(state, voided_by=event.child_id)


def _declined_attempt(state: PaymentState, number: int, code: str, host_rrn: str | None) -> PaymentState:
    return _change(state, number, outcome=Outcome.DECLINED, response_code=code, host_rrn=host_rrn)


def _change(state: PaymentState, number: int, **changes: Any) -> PaymentState:
    """Change one attempt; what is None says nothing new."""
    known = {name: value for name, value in changes.items() if value is not None}
    if state.attempt(number) is None:
        raise ImpossibleEvent(f"there is no attempt {number}")
    attempts = (replace(a, **known) if a.number == number else a for a in state.attempts)
    return replace(state, attempts=tuple(attempts))
