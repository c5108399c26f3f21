"""What filed frames mean for one payment: commands for the domain, moves for the queue.

No database here: the payment and its frames come in, what is to be done comes out.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from queueing.queue import ReversalBeside
from queueing.retry import USUAL, RetryPolicy
from transactions.domain import commands as c
from transactions.domain import events as e
from transactions.domain.decide import decide
from transactions.domain.errors import ImpossibleEvent
from transactions.domain.evolve import evolve
from transactions.domain.state import PaymentState
from transactions.domain.values import Attempt, MessageKind, Outcome, ReasonCode
from transactions.filed import Filed
from transactions.iso8583 import read_answer
from transactions.store import Change, Loaded, Observed

ACTOR: Final = "ferryman"

_REASONS: Final = {
    "timeout": ReasonCode.HOST_TIMEOUT,
    "taken_over": ReasonCode.LINK_TAKEN_OVER,
}


@dataclass(slots=True)
class Moves:
    """What the queue is to do."""

    close: list[int] = field(default_factory=list)
    wait: list[tuple[int, datetime]] = field(default_factory=list)
    owe: list[tuple[int, int]] = field(default_factory=list)
    beside: list[ReversalBeside] = field(default_factory=list)
    hold: list[tuple[int, str]] = field(default_factory=list)

    def __iadd__(self, other: "Moves") -> "Moves":
        self.close += other.close
        self.wait += other.wait
        self.owe += other.owe
        self.beside += other.beside
        self.hold += other.hold
        return self


@dataclass(slots=True)
class Judgement:
    """One payment's frames, judged one after another."""

    before: Loaded
    at: datetime
    state: PaymentState
    events: list[e.Event] = field(default_factory=list)
    observed: list[Observed] = field(default_factory=list)
    moves: Moves = field(default_factory=Moves)
    done: list[Filed] = field(default_factory=list)
    #: strays that say nothing before the frame that decides has been settled
    postponed: list[Filed] = field(default_factory=list)
    retries: RetryPolicy = USUAL
    #: frame id -> what the journal should remark
    remarks: dict[int, str] = field(default_factory=dict)

    @property
    def change(self) -> Change:
        """What is to be appended."""
        return Change(self.before, self.events, self.state, ACTOR, self.at, self.observed)


def judge(
    before: Loaded,
    frames: Sequence[Filed],
    mac_keys: Sequence[bytes],
    roll: float,
    at: datetime,
    retries: RetryPolicy = USUAL,
) -> Judgement:
    """Judge all frames of a payment as they were filed; what may not decide waits for the one that does."""
    judgement = Judgement(before, at, before.state, retries=retries)
    for frame in sorted(frames, key=lambda frame: (_comes_too_early(frame, before.state), frame.id)):
        _judge_one(frame, judgement, mac_keys, roll)
    return judgement


def _comes_too_early(frame: Filed, state: PaymentState) -> bool:
    """A stray about an attempt that nobody decided yet says nothing before the frame that decides."""
    attempt = state.attempt(frame.attempt or 0)
    return not frame.decides and attempt is not None and _is_undecided(attempt)


def hold(before: Loaded, frames: Sequence[Filed], at: datetime) -> Judgement:
    """Set a payment on hold because its frames could not be judged."""
    judgement = Judgement(before, at, before.state)
    deciding = next((frame for frame in frames if frame.decides), None)
    _apply(c.Hold(ReasonCode.CANNOT_BE_SETTLED, deciding.attempt if deciding else None), judgement)
    if deciding:
        judgement.moves.hold.append((_entry(deciding), ReasonCode.CANNOT_BE_SETTLED.value))
    return judgement


def _judge_one(frame: Filed, judgement: Judgement, mac_keys: Sequence[bytes], roll: float) -> None:
    attempt = judgement.state.attempt(frame.attempt or 0)
    if attempt is None:
        raise ImpossibleEvent(f"a frame speaks of attempt {frame.attempt}, which the payment does not know")
    if not frame.decides and _is_undecided(attempt):
        judgement.postponed.append(frame)
        return
    for event in _apply(_command(frame, attempt, judgement, mac_keys, roll), judgement):
        _move(event, frame, judgement)
    judgement.done.append(frame)
    if frame.decides:
        answered_at = frame.received_at if frame.kind == "answer" else None
        judgement.observed.append(Observed(attempt.number, frame.taken_epoch, frame.taken_at, answered_at))


def _is_undecided(attempt: Attempt) -> bool:
    return attempt.kind is not MessageKind.REVERSAL and attempt.outcome is Outcome.OPEN


def _command(frame: Filed, attempt: Attempt, judgement: Judgement, mac_keys: Sequence[bytes], roll: float) -> c.Command:
    if frame.kind == "silence":
        reason = _REASONS.get(frame.cause, ReasonCode.CONNECTION_LOST)
        judgement.remarks[frame.id] = frame.cause
        return c.RecordSilence(attempt.number, reason, judgement.at, roll, judgement.retries)
    answer = read_answer(frame.message, attempt, judgement.state.instruction, frame.dialect, mac_keys)
    late = "" if frame.decides else "late or duplicate"
    judgement.remarks[frame.id] = answer.reason.value if answer.reason else late
    accepted_at = judgement.before.accepted_at
    return c.RecordAnswer(attempt.number, answer, frame.decides, judgement.at, roll, judgement.retries, accepted_at)


def _apply(command: c.Command, judgement: Judgement) -> Sequence[e.Event]:
    events = decide(judgement.state, command)
    for event in events:
        judgement.state = evolve(judgement.state, event)
    judgement.events += events
    return events


def _move(event: e.Event, frame: Filed, judgement: Judgement) -> None:
    """What an event means for the queue; evidence that decides nothing moves no entry."""
    moves = judgement.moves
    if not frame.decides:
        if isinstance(event, e.ReversalRequired):
            moves.beside.append(beside(event.attempt, judgement.state))
        return
    match event:
        case e.Approved() | e.Declined() | e.Failed() | e.Reversed():
            moves.close.append(_entry(frame))
        case e.AttemptDeclined(not_before=not_before) | e.Unaccepted(not_before=not_before):
            moves.wait.append((_entry(frame), not_before))
        case e.ReversalRequired(attempt=attempt):
            moves.owe.append((_entry(frame), attempt))
        case e.Held(reason=reason):
            moves.hold.append((_entry(frame), reason.value))
        case _:
            raise ImpossibleEvent(f"{type(event).__name__} cannot settle a queue entry")


def _entry(frame: Filed) -> int:
    if frame.entry_id is None:
        raise ImpossibleEvent("a frame that decides has a queue entry")
    return frame.entry_id


def beside(attempt: int, state: PaymentState) -> ReversalBeside:
    """M6: a reversal of an attempt on its own; of what was reversed before, the repeat of that reversal."""
    undone, reversal = state.attempt(attempt), state.reversal_of(attempt)
    return ReversalBeside(
        payment_id=state.id,
        link=undone.link if undone else state.placement.link,
        reverses=attempt,
        attempt=reversal.number if reversal else None,
        takes=reversal.repeats + 1 if reversal else 0,
        request_id=state.placement.request_id,
    )
