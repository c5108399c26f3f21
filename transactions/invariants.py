"""What must always hold of one payment, as pure checks: each returns sentences about what does not.

Shared by `manage.py verify` and the tests; the names are those of the invariants.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from processor.codec.dialects import DIALECTS
from transactions.domain import events as e
from transactions.domain.state import PaymentState
from transactions.domain.values import Attempt, MessageKind, Outcome, Status, Undoing
from transactions.projections import attempt_columns, changing_columns, fixed_columns
from transactions.store import FIRST_HEAD, chained

_UNDOABLE: Final = frozenset({Outcome.UNKNOWN})
_NOT_FOUND: Final = frozenset(dialect.write_code("25") for dialect in DIALECTS.values())
_ENDS: Final = (e.Approved, e.Declined, e.Failed, e.Cancelled, e.Expired)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """A row of the event table."""

    version: int
    type: str
    data: Mapping[str, Any]
    actor: str
    at: datetime
    hash: bytes


@dataclass(frozen=True, slots=True)
class Owed:
    """What the queue still owes for a payment."""

    kind: str
    state: str
    has_pin: bool


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything the database says about one payment."""

    payment_id: uuid.UUID
    stored: Sequence[StoredEvent]
    head: bytes
    columns: Mapping[str, Any]
    attempts: Sequence[Mapping[str, Any]]
    taken_at: Mapping[int, datetime | None]
    owed: Sequence[Owed]
    #: folded from the events; None where they cannot be
    state: PaymentState | None
    events: Sequence[e.Event]


Check = Callable[[Evidence], Iterator[str]]


def e1_events_are_chained(evidence: Evidence) -> Iterator[str]:
    """Versions have no gap, every hash follows from the one before, and the payment knows the last."""
    head = FIRST_HEAD
    for expected, event in enumerate(evidence.stored, start=1):
        if event.version != expected:
            yield f"event {expected} is missing"
            return
        at, data = event.at, dict(event.data)
        head = chained(head, evidence.payment_id, event.version, event.type, data, event.actor, at)
        if head != event.hash:
            yield f"event {event.version} ({event.type}) was altered: its hash does not follow from its content"
            return
    if head != evidence.head:
        yield "the payment's head is not the hash of its last event"


def e1_row_is_the_fold(evidence: Evidence) -> Iterator[str]:
    """The read model equals the fold of the events."""
    if evidence.state is None:
        yield "the events cannot be folded into a payment"
        return
    folded = {**fixed_columns(evidence.state), **changing_columns(evidence.state)}
    for name, value in folded.items():
        if evidence.columns[name] != value:
            yield f"column {name} differs from what the events say"
    known = {attempt["number"]: attempt for attempt in evidence.attempts}
    for attempt in evidence.state.attempts:
        row = known.pop(attempt.number, None)
        if row is None:
            yield f"attempt {attempt.number} has no row"
        elif differing := [name for name, value in attempt_columns(attempt).items() if row[name] != value]:
            yield f"attempt {attempt.number} differs from what the events say in {', '.join(differing)}"
    yield from (f"attempt {number} has a row and no event" for number in known)


def m3_ends_once(evidence: Evidence) -> Iterator[str]:
    """An ended payment owes no request; one that has not ended owes exactly one thing of its own."""
    if evidence.state is None:
        return
    ends = sum(isinstance(event, _ENDS) for event in evidence.events)
    if ends > 1:
        yield f"the payment ended {ends} times"
    own = [owed for owed in evidence.owed if owed.kind != "reversal"]
    status = evidence.state.status
    if status.is_final and own:
        yield f"the payment is {status} and still owes a request"
    if not status.is_final and not evidence.owed:
        yield f"the payment is {status} and nothing is owed for it"


def m4_unknown_is_undone(evidence: Evidence) -> Iterator[str]:
    """An attempt whose outcome is unknown is being reversed, or was, where it moves money."""
    if evidence.state is None or not evidence.state.instruction.operation.moves_money:
        return
    for attempt in evidence.state.attempts:
        if attempt.outcome in _UNDOABLE and attempt.undoing is Undoing.NONE:
            yield f"attempt {attempt.number} is unknown and nobody undoes it"
    open_reversals = len(evidence.state.undoing)
    owed = sum(owed.kind == "reversal" for owed in evidence.owed)
    if open_reversals != owed:
        yield f"{open_reversals} reversals are open and {owed} are in the queue"


def m5_reversals_keep_their_identity(evidence: Evidence) -> Iterator[str]:
    """One reversal for an attempt, whose STAN and field 7 stay, first as 0420 and ever after as 0421."""
    seen: dict[int, e.Dispatched] = {}
    for event in evidence.events:
        if not isinstance(event, e.Dispatched) or event.kind is not MessageKind.REVERSAL or event.reverses is None:
            continue
        first = seen.setdefault(event.reverses, event)
        if (first.attempt, first.stan, first.transmitted_at) != (event.attempt, event.stan, event.transmitted_at):
            yield f"the reversal of attempt {event.reverses} changed its identity"
        if event.mti[3] != ("1" if event.repeat else "0"):
            yield f"write {event.repeat} of the reversal of attempt {event.reverses} has the MTI {event.mti}"


def m7_not_found_is_no_end_of_what_was_approved(evidence: Evidence) -> Iterator[str]:
    """Once an approval of it was heard, an attempt is not reversed because the host does not find it."""
    approved: set[int] = set()
    for event in evidence.events:
        if isinstance(event, e.AnswerNoted | e.ReversalRequired) and event.approval:
            approved.add(event.attempt)
        elif isinstance(event, e.Reversed) and event.response_code in _NOT_FOUND and event.attempt in approved:
            yield f"attempt {event.attempt} was approved, and reversed by a host that did not find it"


def m8_attempts_follow_settled_ones(evidence: Evidence) -> Iterator[str]:
    """A new attempt needs the one before to be unsent, declined, or reversed and that accepted."""
    if evidence.state is None:
        return
    own = [attempt for attempt in evidence.state.attempts if attempt.kind is not MessageKind.REVERSAL]
    for attempt in own[:-1]:
        if not _was_settled(attempt):
            yield f"attempt {attempt.number} was followed by another while it was {attempt.outcome}"


def m13_nothing_is_sent_late(evidence: Evidence) -> Iterator[str]:
    """No request is taken after its time."""
    if evidence.state is None:
        return
    for attempt in evidence.state.attempts:
        taken_at = evidence.taken_at.get(attempt.number)
        late = taken_at is not None and taken_at > evidence.state.placement.expires_at
        if late and attempt.kind is MessageKind.REQUEST:
            yield f"attempt {attempt.number} was sent after the payment had expired"


def s2_no_pin_outlives_its_payment(evidence: Evidence) -> Iterator[str]:
    """Once a payment has ended or is reversed, its PIN block is gone."""
    if evidence.state is None:
        return
    over = evidence.state.status.is_final or evidence.state.status is Status.REVERSING
    if over and any(owed.has_pin for owed in evidence.owed):
        yield "a PIN block outlives its payment"


CHECKS: Final[Sequence[Check]] = (
    e1_events_are_chained,
    e1_row_is_the_fold,
    m3_ends_once,
    m4_unknown_is_undone,
    m5_reversals_keep_their_identity,
    m7_not_found_is_no_end_of_what_was_approved,
    m8_attempts_follow_settled_ones,
    m13_nothing_is_sent_late,
    s2_no_pin_outlives_its_payment,
)


def _was_settled(attempt: Attempt) -> bool:
    return attempt.outcome in (Outcome.UNSENT, Outcome.DECLINED) or attempt.undoing is not Undoing.NONE
