"""Answers, silences and reversals of one payment in every order they can come in: M3 to M8 and M11 hold after each.

The frames are judged by the code that settles them, and what it asks of the queue is done to a queue in memory.
"""

import uuid
from dataclasses import dataclass, field, replace
from typing import Final

from hypothesis import example, given, settings
from hypothesis import strategies as st

from processor.codec.message import Message
from tests.builders import BANK, NOON, accepted, dispatched, reversal_dispatched
from transactions import judging
from transactions.domain import commands as c
from transactions.domain import events as e
from transactions.domain.decide import decide, may_try_again
from transactions.domain.evolve import evolve, fold
from transactions.domain.state import PaymentState
from transactions.domain.values import Attempt, MessageKind, Outcome, ReasonCode, Status, Undoing
from transactions.filed import Filed
from transactions.invariants import (
    Evidence,
    Owed,
    m3_ends_once,
    m4_unknown_is_undone,
    m5_reversals_keep_their_identity,
    m8_attempts_follow_settled_ones,
)
from transactions.store import Loaded

CHECKS: Final = (
    m3_ends_once,
    m4_unknown_is_undone,
    m5_reversals_keep_their_identity,
    m8_attempts_follow_settled_ones,
)
CODES: Final = ("00", "51", "91", "10", "68", "94", "25", "12")
CAUSES: Final = ("timeout", "connection_lost", "taken_over")
#: More than any payment needs once the host is well again.
_ENOUGH: Final = 40

Happening = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """What the queue owes, as far as it matters here."""

    id: int
    kind: str = "request"
    state: str = "ready"
    attempt: int | None = None
    reverses: int | None = None
    takes: int = 0


@dataclass
class Story:
    """One payment, its queue, and what the host said of it."""

    state: PaymentState
    events: list[e.Event]
    entries: dict[int, Entry] = field(default_factory=lambda: {1: Entry(1)})
    #: strays that wait for the frame that decides
    postponed: list[Filed] = field(default_factory=list)
    #: attempts that the host said it approved, whenever it did
    approved: set[int] = field(default_factory=set)
    #: those of them that we had judged before the frame that is judged now
    known: set[int] = field(default_factory=set)
    frames: int = 0

    # What can happen

    def send(self, _: str = "", which: int = 0) -> None:
        """Something that is ready, or waits for its time, goes out: reversals first."""
        able = sorted(
            (entry for entry in self.entries.values() if entry.state == "ready"), key=lambda o: o.kind != "reversal"
        )
        able = [entry for entry in able if entry.kind == "reversal" or may_try_again(self.state)]
        if not able:
            return
        entry = able[which % len(able)]
        earlier = entry.attempt if entry.kind == "reversal" else None
        number, repeat = earlier or self.state.next_attempt, entry.takes if earlier else 0
        made = reversal_dispatched(number, entry.reverses or 0, repeat) if entry.reverses else dispatched(number)
        if earlier:
            known = self.attempt(earlier)
            made = replace_event(made, stan=known.stan, transmitted_at=known.transmitted_at)
        self._apply(c.Dispatch(**{name: getattr(made, name) for name in e.Dispatched.__struct_fields__}))
        self.entries[entry.id] = replace(entry, state="taken", attempt=number, takes=entry.takes + 1)

    def answer(self, code: str, which: int) -> None:
        """The host answers something that is out."""
        if entry := self._taken(which):
            self._file(entry.attempt or 0, "answer", "", code, entry)

    def silence(self, cause: str, which: int) -> None:
        """Something that is out gets no answer."""
        if entry := self._taken(which):
            self._file(entry.attempt or 0, "silence", cause, "", entry)

    def late(self, code: str, which: int) -> None:
        """An answer to any attempt comes when it decides nothing: late, or once more."""
        if self.state.attempts:
            self._file(1 + which % len(self.state.attempts), "stray", "", code, None)

    def heal(self) -> None:
        """The host is well: everything goes out and is answered as it should be."""
        for _ in range(_ENOUGH):
            self.send()
            for entry in [entry for entry in self.entries.values() if entry.state == "taken"]:
                self._file(entry.attempt or 0, "answer", "", "00", entry)
            if all(entry.state == "held" for entry in self.entries.values()):
                break

    # How

    def attempt(self, number: int) -> Attempt:
        found = self.state.attempt(number)
        assert found
        return found

    def _taken(self, which: int) -> Entry | None:
        out = [entry for entry in self.entries.values() if entry.state == "taken"]
        return out[which % len(out)] if out else None

    def _apply(self, command: c.Command) -> None:
        for event in decide(self.state, command):
            self.state = evolve(self.state, event)
            self.events.append(event)

    def _file(self, number: int, kind: str, cause: str, code: str, entry: Entry | None) -> None:
        self.frames += 1
        asked = self.attempt(number)
        fields = {4: f"{self.state.instruction.amount_minor:012d}", 49: "360", 39: code}
        frame = Filed(
            id=self.frames,
            link="bank",
            epoch=1,
            kind=kind,
            entry_id=entry.id if entry else None,
            payment_id=self.state.id,
            attempt=number,
            cause=cause,
            received_at=NOON,
            dialect=BANK,
            decides=entry is not None,
            sent=None,
            taken_at=NOON,
            taken_epoch=1,
            body=None,
            sealed=None,
            message=Message(f"{asked.mti[:2]}{int(asked.mti[2]) + 1}0", fields) if code else None,
        )
        if code in ("00", "10") and asked.kind is MessageKind.REQUEST:
            self.approved.add(number)
        before = len(self.events)
        self._judge([frame, *self.postponed])
        self._check()
        self._check_m7(self.events[before:])

    def _judge(self, frames: list[Filed]) -> None:
        before = Loaded(self.state, b"", None, NOON)
        judged = judging.judge(before, frames, [], 0.5, NOON)
        self.state, self.postponed = judged.state, judged.postponed
        self.events += judged.events
        moves = judged.moves
        for entry_id in moves.close:
            del self.entries[entry_id]
        for entry_id, _ in moves.wait:
            self.entries[entry_id] = replace(self.entries[entry_id], state="ready")
        for entry_id, attempt in moves.owe:
            self.entries[entry_id] = Entry(entry_id, "reversal", reverses=attempt)
        for entry_id, _ in moves.hold:
            self.entries[entry_id] = replace(self.entries[entry_id], state="held")
        for beside in moves.beside:
            number = 1000 + self.frames
            assert number not in self.entries
            self.entries[number] = Entry(number, "reversal", "ready", beside.attempt, beside.reverses, beside.takes)

    # What must hold, always

    def _check(self) -> None:
        owed = [Owed(entry.kind, entry.state, has_pin=False) for entry in self.entries.values()]
        evidence = Evidence(self.state.id, (), b"", {}, (), {}, owed, self.state, self.events)
        assert [what for check in CHECKS for what in check(evidence)] == []
        assert fold(self.state.id, self.events) == self.state
        self._check_status()
        self._check_m6()
        for before, event in zip(self.events, self.events[1:], strict=False):
            if isinstance(event, e.Approved):
                assert event.response_code == "00"  # M11: and no other, 94 and 10 least of all
            if isinstance(event, e.Reversed) and event.response_code == "25":
                taken_over = self.state.reason is ReasonCode.LINK_TAKEN_OVER and event.attempt == 1
                assert not (taken_over and isinstance(before, e.Dispatched) and before.repeat == 0)  # M7

    def _check_status(self) -> None:
        """M3: once ended it stays as it ended, and what it rests on is not being undone."""
        ends = [event for event in self.events if isinstance(event, e.Approved | e.Declined | e.Failed)]
        if any(isinstance(event, e.Approved) for event in ends):
            assert self.state.status is Status.APPROVED
            assert self.attempt(self.state.accepted_attempt or 0).undoing is Undoing.NONE

    def _check_m7(self, new: list[e.Event]) -> None:
        """What the host told us it approved is not gone because the host does not find it."""
        ended = {event.attempt for event in new if isinstance(event, e.Reversed) and event.response_code == "25"}
        assert not ended & self.known, "a host that approved was believed that it never had it"
        self.known = self.approved - {frame.attempt for frame in self.postponed}

    def _check_m6(self) -> None:
        """Whatever else the host approved is being undone or was."""
        waiting = {frame.attempt for frame in self.postponed}
        for number in self.approved - waiting - {self.state.accepted_attempt}:
            assert self.attempt(number).undoing is not Undoing.NONE, (
                f"attempt {number} is approved and nobody undoes it"
            )


def replace_event(event: e.Dispatched, **changes: object) -> e.Dispatched:
    return e.Dispatched(**{name: changes.get(name, getattr(event, name)) for name in e.Dispatched.__struct_fields__})  # type: ignore[arg-type]


def story() -> Story:
    first = accepted()
    return Story(fold(uuid.UUID(int=1), [first]), [first])


happenings = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.just(""), st.integers(0, 2)),
        st.tuples(st.just("answer"), st.sampled_from(CODES), st.integers(0, 2)),
        st.tuples(st.just("silence"), st.sampled_from(CAUSES), st.integers(0, 2)),
        st.tuples(st.just("late"), st.sampled_from(CODES), st.integers(0, 4)),
    ),
    max_size=16,
)


@settings(max_examples=600)
@given(happenings)
@example([("send", "", 0), ("answer", "91", 0), ("send", "", 0), ("answer", "00", 0), ("late", "00", 0)])
@example([("send", "", 0), ("silence", "taken_over", 0), ("send", "", 0), ("answer", "25", 0), ("late", "00", 0)])
@example([("send", "", 0), ("late", "00", 0), ("silence", "timeout", 0), ("send", "", 0), ("silence", "timeout", 0)])
@example([("send", "", 0), ("answer", "91", 0), ("late", "00", 0), ("send", "", 0), ("answer", "12", 0)])
@example([("send", "", 0), ("silence", "timeout", 0), ("late", "00", 0), ("send", "", 0), ("answer", "25", 0)])
@example([("send", "", 0), ("late", "00", 0), ("silence", "timeout", 0), ("send", "", 0), ("answer", "25", 0)])
@example(
    [
        *[("send", "", 0), ("silence", "timeout", 0), ("send", "", 0), ("late", "10", 0), ("answer", "25", 0)],
        *[("send", "", 0), ("answer", "91", 0), ("send", "", 0), ("answer", "25", 0), ("send", "", 0)],
        *[("answer", "25", 0), ("late", "00", 0)],
    ]
)
def test_whatever_the_order_it_ends_right(happened: list[Happening]) -> None:
    told = story()

    for name, what, which in happened:
        getattr(told, name)(what, which)
    told.heal()

    held = any(entry.state == "held" for entry in told.entries.values())
    left = [entry for entry in told.entries.values() if entry.state != "held"]
    # A person is asked about a refused reversal, and the next attempt waits for the answer (M5, M8).
    assert not left or (held and not may_try_again(told.state)), "something never ended"
    if not held:
        assert told.state.status.is_final
        assert not told.state.undoing
        assert all(attempt.outcome is not Outcome.OPEN for attempt in told.state.attempts)
