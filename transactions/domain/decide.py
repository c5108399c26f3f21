"""decide(state, command) -> events: every rule of a payment's life (M3 to M8, M11, M13).

Pure: it reads no clock, rolls no dice and asks no table. What it returns is appended or dropped as a whole.
"""

from datetime import datetime, timedelta
from functools import singledispatch
from typing import Any

from queueing.retry import Failure, decide_retry
from transactions.domain import commands as c
from transactions.domain import events as e
from transactions.domain.answers import NotFound, may_have_moved_money, not_found, tells_of_approval
from transactions.domain.errors import ImpossibleEvent, NotAllowed
from transactions.domain.state import PaymentState
from transactions.domain.values import (
    Answer,
    Attempt,
    MessageKind,
    Outcome,
    ReasonCode,
    Status,
    Undoing,
    Verdict,
)

Events = tuple[e.Event, ...]


def decide(state: PaymentState | None, command: c.Command) -> Events:
    """Return what happens; raises NotAllowed when the state does not allow the command."""
    if isinstance(command, c.Accept):
        if state is not None:
            raise NotAllowed("this payment was accepted already")
        return (accepted(command),)
    if state is None:
        raise NotAllowed("there is no such payment")
    return _decide(command, state)


def accepted(command: c.Accept) -> e.Accepted:
    """Return the one event that every payment begins with."""
    return e.Accepted(command.instruction, command.placement, command.note, command.route)


@singledispatch
def _decide(command: Any, state: PaymentState) -> Events:
    raise ImpossibleEvent(f"no rule for the command {type(command).__name__}")


@_decide.register
def _dispatch(command: c.Dispatch, state: PaymentState) -> Events:
    if command.reverses is None and state.status is not Status.QUEUED:
        raise NotAllowed(f"nothing is to be sent for a payment that is {state.status}")
    if command.reverses is not None:
        original = state.attempt(command.reverses)
        if original is None or original.undoing is not Undoing.OPEN:
            raise NotAllowed("there is no open reversal of this attempt")
    elif not state.attempt(command.attempt) and not may_try_again(state):
        raise NotAllowed("the previous attempt is neither unsent, declined nor reversed")
    return (
        e.Dispatched(
            attempt=command.attempt,
            kind=command.kind,
            mti=command.mti,
            stan=command.stan,
            transmitted_at=command.transmitted_at,
            terminal_id=command.terminal_id,
            rrn=command.rrn,
            link=command.link,
            business_date=command.business_date,
            digest=command.digest,
            reverses=command.reverses,
            repeat=command.repeat,
        ),
    )


def may_try_again(state: PaymentState) -> bool:
    """M8: there is no attempt yet, or the last is provably unsent, declined for good, or reversed and that accepted."""
    last = state.current
    return last is None or last.outcome in (Outcome.UNSENT, Outcome.DECLINED) or last.undoing is Undoing.ACCEPTED


@_decide.register
def _recall(command: c.Recall, state: PaymentState) -> Events:
    attempt = _attempt(state, command.attempt)
    if attempt.kind is not MessageKind.REQUEST or not command.unsent_tries:
        return (e.Recalled(command.attempt, command.reason),)
    retry = decide_retry(Failure.UNSENT, command.unsent_tries, command.roll, command.retries, _since(command))
    if not retry.again:
        recalled = e.Recalled(command.attempt, command.reason)
        return recalled, e.Failed(ReasonCode.RETRIES_EXHAUSTED, command.attempt)
    return (e.Recalled(command.attempt, command.reason, _later(command.at, retry.after_s)),)


@_decide.register
def _record_answer(command: c.RecordAnswer, state: PaymentState) -> Events:
    attempt = _attempt(state, command.attempt)
    if not command.decisive:
        return _evidence(command, attempt, state)
    if attempt.kind is MessageKind.REVERSAL:
        return _reversal_answered(command, attempt, state)
    if attempt.kind is MessageKind.ADVICE:
        return _advice_answered(command, attempt)
    return _request_answered(command, attempt, state)


def _request_answered(command: c.RecordAnswer, attempt: Attempt, state: PaymentState) -> Events:
    answer = command.answer
    code = answer.response_code or ""
    if answer.verdict is Verdict.APPROVED:
        return (e.Approved(attempt.number, code, answer.authorisation_code, answer.host_rrn, answer.balances),)
    if answer.verdict is Verdict.INVALID:
        return _unknown(attempt, answer.reason or ReasonCode.OUTCOME_UNKNOWN, state, answer)
    is_transient = answer.verdict is Verdict.TRANSIENT
    declines = 1 + sum(a.outcome is Outcome.DECLINED for a in state.attempts)
    failure = Failure.HOST if is_transient else Failure.BUSINESS
    retry = decide_retry(failure, declines, command.roll, command.retries, _since(command))
    again_at = _later(command.at, retry.after_s)
    if retry.again and again_at < state.placement.expires_at:
        return (e.AttemptDeclined(attempt.number, code, again_at, answer.host_rrn),)
    reason = ReasonCode.RETRIES_EXHAUSTED if is_transient else ReasonCode.DECLINED_BY_HOST
    return (e.Declined(reason, code, attempt.number, answer.host_rrn),)


def _reversal_answered(command: c.RecordAnswer, reversal: Attempt, state: PaymentState) -> Events:
    answer = command.answer
    unknown = not_found(answer, reversal, state) if answer.verdict is Verdict.NOT_FOUND else None
    if answer.verdict is Verdict.APPROVED or unknown is NotFound.FINAL:
        return (e.Reversed(_undone(reversal), reversal.number, answer.response_code or ""),)
    if answer.verdict is Verdict.REFUSED:
        return (e.Held(ReasonCode.REVERSAL_REFUSED, reversal.number, answer.response_code),)
    if unknown is NotFound.CONTRADICTION:
        return (e.Held(ReasonCode.APPROVED_THEN_NOT_FOUND, reversal.number, answer.response_code),)
    reason = answer.reason or ReasonCode.REVERSAL_DECLINED
    return (_owed_still(command, reversal, reason, answer.response_code),)


def _advice_answered(command: c.RecordAnswer, advice: Attempt) -> Events:
    answer = command.answer
    code = answer.response_code or ""
    if answer.verdict is Verdict.APPROVED:
        return (e.Approved(advice.number, code, answer.authorisation_code, answer.host_rrn),)
    if answer.verdict in (Verdict.DECLINED, Verdict.REFUSED):
        return (e.Declined(ReasonCode.DECLINED_BY_HOST, code, advice.number, answer.host_rrn),)
    reason = answer.reason or ReasonCode.OUTCOME_UNKNOWN
    return (_owed_still(command, advice, reason, answer.response_code),)


def _evidence(command: c.RecordAnswer, attempt: Attempt, state: PaymentState) -> Events:
    """An answer that did not decide: an unwanted approval opens a reversal of that attempt (M6)."""
    answer = command.answer
    wanted = attempt.number == state.accepted_attempt or attempt.kind is not MessageKind.REQUEST
    being_undone = attempt.undoing is Undoing.OPEN or not state.instruction.operation.moves_money
    if wanted or being_undone or not may_have_moved_money(answer):
        tells = attempt.undoing is Undoing.OPEN and tells_of_approval(answer)
        return (e.AnswerNoted(attempt.number, answer.response_code, approval=tells or None),)
    return (
        e.ReversalRequired(
            attempt.number,
            ReasonCode.LATE_APPROVAL,
            answer.response_code,
            answer.authorisation_code,
            answer.host_rrn,
        ),
    )


@_decide.register
def _record_silence(command: c.RecordSilence, state: PaymentState) -> Events:
    attempt = _attempt(state, command.attempt)
    if attempt.kind is MessageKind.REQUEST:
        return _unknown(attempt, command.reason, state, None)
    return (_owed_still(command, attempt, command.reason, None),)


def _unknown(attempt: Attempt, reason: ReasonCode, state: PaymentState, answer: Answer | None) -> Events:
    """M4: what may have moved money is undone; a balance inquiry moved none."""
    if not state.instruction.operation.moves_money:
        return (e.Failed(reason, attempt.number),)
    code, authorisation, rrn = (
        (answer.response_code, answer.authorisation_code, answer.host_rrn) if answer else 3 * (None,)
    )
    approval = True if answer and tells_of_approval(answer) else None
    return (e.ReversalRequired(attempt.number, reason, code, authorisation, rrn, approval=approval),)


def _owed_still(
    command: c.RecordAnswer | c.RecordSilence, owed: Attempt, reason: ReasonCode, code: str | None
) -> e.Unaccepted:
    """M5: written again until the host accepts it; count slows it down, nothing drops it."""
    retry = decide_retry(Failure.OWED, owed.repeats + 1, command.roll, command.retries)
    return e.Unaccepted(owed.number, reason, _later(command.at, retry.after_s), code)


@_decide.register
def _hold(command: c.Hold, state: PaymentState) -> Events:
    return (e.Held(command.reason, command.attempt),)


@_decide.register
def _retry(command: c.Retry, state: PaymentState) -> Events:
    if state.status.is_final and not state.undoing:
        raise NotAllowed(f"The payment has ended ({state.status}); an ended payment is never reopened.")
    if _is_unclear(state):
        raise NotAllowed("The bank may have carried this out. It is never sent again: reverse it, or resolve it.")
    return (e.RetryRequested(command.note),)


def _is_unclear(state: PaymentState) -> bool:
    """True when a held payment hangs on a request that was sent, and that nobody could settle or undoes yet."""
    last = state.current
    is_open = last is not None and last.kind is MessageKind.REQUEST and last.outcome is Outcome.OPEN
    return state.status is Status.ON_HOLD and is_open


def _was_told(state: PaymentState) -> bool:
    """True when an advice was written that the host has not answered for good: it may have acted on it."""
    last = state.current
    if last is None or last.kind is not MessageKind.ADVICE or last.outcome is not Outcome.OPEN:
        return False
    return state.status is not Status.IN_FLIGHT or last.repeats > 0


@_decide.register
def _reverse(command: c.Reverse, state: PaymentState) -> Events:
    if not _is_unclear(state) or state.current is None:
        raise NotAllowed("Only a payment on hold that the bank may have carried out is reversed.")
    if not state.instruction.operation.moves_money:
        raise NotAllowed("A balance inquiry moved no money: there is nothing to reverse.")
    return (e.ReversalRequired(state.current.number, ReasonCode.REVERSED_BY_STAFF, note=command.note),)


@_decide.register
def _resolve(command: c.Resolve, state: PaymentState) -> Events:
    attempt = _attempt(state, command.attempt)
    is_unclear = (_is_unclear(state) or _was_told(state)) and attempt is state.current
    if attempt.undoing is not Undoing.OPEN and not is_unclear:
        raise NotAllowed("What became of this is known; there is nothing to resolve.")
    if command.outcome not in (Status.APPROVED, Status.REVERSED):
        raise NotAllowed("A payment is resolved as approved or as reversed.")
    if command.outcome is Status.APPROVED and (state.status.is_final or attempt is not state.current):
        raise NotAllowed(f"The payment is {state.status} already; only its open reversal can be resolved, as reversed.")
    return (e.Resolved(attempt.number, command.outcome, command.evidence),)


@_decide.register
def _cancel(command: c.Cancel, state: PaymentState) -> Events:
    """M12: the queue has decided that nothing of it is on the wire; here it must fit the payment as well."""
    recalled = _recall_if_dispatched(state, command.reason)
    if state.status not in (Status.QUEUED, Status.ON_HOLD) and not recalled:
        raise NotAllowed(f"The payment is {state.status} and cannot be cancelled any more.")
    if _is_unclear(state):
        raise NotAllowed("The bank may have carried this out: it cannot be cancelled. Reverse it, or resolve it.")
    if _was_told(state):
        raise NotAllowed("The bank may have carried this out: it cannot be cancelled. It is repeated until answered.")
    if state.undoing:
        raise NotAllowed("The payment is being reversed and cannot be cancelled.")
    return *recalled, e.Cancelled(command.reason, command.note)


@_decide.register
def _expire(command: c.Expire, state: PaymentState) -> Events:
    if command.at < state.placement.expires_at:
        raise NotAllowed("the payment has not expired")
    recalled = _recall_if_dispatched(state, ReasonCode.EXPIRED_UNSENT)
    if state.response_code:
        return *recalled, e.Declined(ReasonCode.RETRIES_EXHAUSTED, state.response_code)
    return *recalled, e.Expired()


def _recall_if_dispatched(state: PaymentState, reason: ReasonCode) -> Events:
    last = state.current
    if state.status is Status.IN_FLIGHT and last and last.outcome is Outcome.OPEN:
        return (e.Recalled(last.number, reason),)
    return ()


@_decide.register
def _record_child(command: c.RecordChild, state: PaymentState) -> Events:
    return (e.ChildApproved(command.child_id, command.operation, command.amount_minor),)


def _attempt(state: PaymentState, number: int) -> Attempt:
    attempt = state.attempt(number)
    if attempt is None:
        raise ImpossibleEvent(f"there is no attempt {number}")
    return attempt


def _undone(reversal: Attempt) -> int:
    if reversal.reverses is None:
        raise ImpossibleEvent("a reversal undoes an attempt")
    return reversal.reverses


def _since(command: c.RecordAnswer | c.Recall) -> float:
    """Seconds since the payment was accepted, where the caller knows when that was."""
    return (command.at - command.accepted_at).total_seconds() if command.accepted_at else 0.0


def _later(at: datetime, seconds: float) -> datetime:
    return at + timedelta(seconds=seconds)
