"""What a payment is now: a value folded from its events, and the table of its statuses."""

import uuid
from collections.abc import Mapping
from typing import Final

import msgspec

from transactions.domain import events as e
from transactions.domain.errors import ImpossibleEvent
from transactions.domain.values import Attempt, Balance, Instruction, Placement, ReasonCode, Status, Undoing


class PaymentState(msgspec.Struct, frozen=True):
    """A payment as its events tell it. Never changed: `evolve` returns the next one."""

    id: uuid.UUID
    instruction: Instruction
    placement: Placement
    status: Status = Status.QUEUED
    version: int = 1
    reason: ReasonCode | None = None
    response_code: str | None = None
    authorisation_code: str | None = None
    #: the attempt that the payment's end rests on
    accepted_attempt: int | None = None
    attempts: tuple[Attempt, ...] = ()
    balances: tuple[Balance, ...] = msgspec.field(default=())
    captured_minor: int = 0
    refunded_minor: int = 0
    voided_by: uuid.UUID | None = None

    def attempt(self, number: int) -> Attempt | None:
        """Return an attempt by its number."""
        for attempt in self.attempts:
            if attempt.number == number:
                return attempt
        return None

    def reversal_of(self, number: int) -> Attempt | None:
        """Return the reversal made for an attempt; there is at most one, written again as often as needed."""
        return next((attempt for attempt in self.attempts if attempt.reverses == number), None)

    @property
    def next_attempt(self) -> int:
        """The number of the next attempt."""
        return len(self.attempts) + 1

    @property
    def current(self) -> Attempt | None:
        """The latest attempt of the payment itself, not of a reversal."""
        return next((attempt for attempt in reversed(self.attempts) if attempt.reverses is None), None)

    @property
    def undoing(self) -> tuple[Attempt, ...]:
        """The attempts whose reversal the host has not accepted yet."""
        return tuple(attempt for attempt in self.attempts if attempt.undoing is Undoing.OPEN)


#: (status, event) -> status. What is not here, and not beside the payment (`is_beside`), cannot happen.
TRANSITIONS: Final[Mapping[tuple[Status, type[e.Event]], Status]] = {
    (Status.QUEUED, e.Dispatched): Status.IN_FLIGHT,
    (Status.QUEUED, e.RetryRequested): Status.QUEUED,
    (Status.QUEUED, e.Held): Status.ON_HOLD,
    (Status.QUEUED, e.Cancelled): Status.CANCELLED,
    (Status.QUEUED, e.Expired): Status.EXPIRED,
    (Status.QUEUED, e.Declined): Status.DECLINED,
    (Status.QUEUED, e.Failed): Status.FAILED,
    (Status.IN_FLIGHT, e.Recalled): Status.QUEUED,
    (Status.IN_FLIGHT, e.Approved): Status.APPROVED,
    (Status.IN_FLIGHT, e.Declined): Status.DECLINED,
    (Status.IN_FLIGHT, e.AttemptDeclined): Status.QUEUED,
    (Status.IN_FLIGHT, e.Unaccepted): Status.QUEUED,
    (Status.IN_FLIGHT, e.ReversalRequired): Status.REVERSING,
    (Status.IN_FLIGHT, e.Failed): Status.FAILED,
    (Status.IN_FLIGHT, e.Held): Status.ON_HOLD,
    (Status.REVERSING, e.Dispatched): Status.REVERSING,
    (Status.REVERSING, e.Recalled): Status.REVERSING,
    (Status.REVERSING, e.Unaccepted): Status.REVERSING,
    (Status.REVERSING, e.RetryRequested): Status.REVERSING,
    (Status.REVERSING, e.Held): Status.ON_HOLD,
    (Status.REVERSING, e.Reversed): Status.REVERSED,
    (Status.ON_HOLD, e.ReversalRequired): Status.REVERSING,
    (Status.ON_HOLD, e.Cancelled): Status.CANCELLED,
    (Status.ON_HOLD, e.Expired): Status.EXPIRED,
}

#: Where a held payment goes on from, by what its current attempt waits for.
_AFTER_HOLD: Final[Mapping[Undoing, Status]] = {Undoing.OPEN: Status.REVERSING, Undoing.NONE: Status.QUEUED}


#: Where a person's word about the current attempt ends the payment as that word says. Queued and in flight is so an
#: advice that waits to be repeated; `decide` lets no other be resolved there.
_RESOLVABLE: Final = frozenset({Status.ON_HOLD, Status.REVERSING, Status.QUEUED, Status.IN_FLIGHT})


def next_status(state: PaymentState, event: e.Event) -> Status:
    """Return the status after an event; raises ImpossibleEvent.

    What concerns another attempt than the current one, or comes after the end, changes no status (M6).
    """
    if is_beside(state, event):
        return state.status
    if isinstance(event, e.RetryRequested) and state.status is Status.ON_HOLD:
        return _AFTER_HOLD[state.current.undoing if state.current else Undoing.NONE]
    if isinstance(event, e.Resolved) and state.status in _RESOLVABLE:
        return event.outcome
    try:
        return TRANSITIONS[state.status, type(event)]
    except KeyError:
        raise ImpossibleEvent(f"{type(event).__name__} cannot follow the status {state.status}") from None


def is_beside(state: PaymentState, event: e.Event) -> bool:
    """True for an event that the payment's status does not depend on."""
    if isinstance(event, e.AnswerNoted | e.ChildApproved):
        return True
    if isinstance(event, e.RetryRequested):
        return state.status.is_final
    if isinstance(event, e.Resolved):
        return state.status.is_final or event.attempt != (state.current and state.current.number)
    if isinstance(event, e.ReversalRequired) and event.reason is ReasonCode.REVERSED_BY_STAFF:
        return False
    if not isinstance(event, e.Dispatched | e.Recalled | e.ReversalRequired | e.Unaccepted | e.Reversed | e.Held):
        return False
    subject = _subject(state, event)
    if state.status.is_final:
        return True
    if subject is None or (isinstance(event, e.Dispatched) and event.reverses is None):
        return False
    return subject != (state.current and state.current.number) or not _is_in_play(state)


def _is_in_play(state: PaymentState) -> bool:
    """True while the status speaks of the current attempt: it is on its way, or being undone."""
    if state.status is Status.ON_HOLD:
        return state.current is not None and state.current.undoing is Undoing.OPEN
    return state.status in (Status.IN_FLIGHT, Status.REVERSING)


def _subject(state: PaymentState, event: e.Event) -> int | None:
    """The attempt of the payment that an event is about; a reversal is about the attempt it undoes."""
    if isinstance(event, e.Dispatched):
        return event.reverses or event.attempt
    number: int | None = getattr(event, "attempt", None)
    attempt = state.attempt(number) if number else None
    return (attempt.reverses or attempt.number) if attempt else None
