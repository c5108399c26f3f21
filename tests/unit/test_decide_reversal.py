"""Undoing: reversals until the host accepts them, and approvals nobody wants (M5, M6)."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import (
    NOON,
    answer,
    dispatched,
    payment,
    reversal_dispatched,
    reversal_required,
)
from transactions.domain import commands as c
from transactions.domain import events as e
from transactions.domain.decide import decide
from transactions.domain.errors import DomainError, NotAllowed
from transactions.domain.evolve import evolve
from transactions.domain.state import PaymentState
from transactions.domain.values import MessageKind, Outcome, ReasonCode, Status, Undoing, Verdict

REVERSING = (dispatched(), reversal_required(), reversal_dispatched())
REVERSED = (*REVERSING, e.Reversed(1, 2, "00"))


def after(state: PaymentState, command: c.Command) -> PaymentState:
    for event in decide(state, command):
        state = evolve(state, event)
    return state


def decided(attempt: int, verdict: Verdict, code: str = "00") -> c.RecordAnswer:
    return c.RecordAnswer(attempt, answer(verdict, code), decisive=True, at=NOON)


def late(attempt: int, verdict: Verdict = Verdict.APPROVED, code: str = "00") -> c.RecordAnswer:
    return c.RecordAnswer(attempt, answer(verdict, code), decisive=False, at=NOON)


def test_an_accepted_reversal_ends_the_payment() -> None:
    state = after(payment(*REVERSING), decided(2, Verdict.APPROVED))

    assert state.status is Status.REVERSED
    assert state.attempts[0].undoing is Undoing.ACCEPTED


class TestM7AnOriginalTheHostDoesNotHave:
    @pytest.mark.parametrize("reason", [ReasonCode.HOST_TIMEOUT, ReasonCode.CONNECTION_LOST])
    def test_it_needs_no_undoing_where_nothing_can_have_been_overtaken(self, reason: ReasonCode) -> None:
        state = payment(dispatched(), reversal_required(reason=reason), reversal_dispatched())

        assert after(state, decided(2, Verdict.NOT_FOUND, "25")).status is Status.REVERSED

    def test_after_a_takeover_the_repeat_must_be_told_the_same(self) -> None:
        state = payment(dispatched(), reversal_required(reason=ReasonCode.LINK_TAKEN_OVER), reversal_dispatched())

        (event,) = decide(state, decided(2, Verdict.NOT_FOUND, "25"))
        assert isinstance(event, e.Unaccepted)
        state = evolve(evolve(state, event), reversal_dispatched(repeat=1))

        assert after(state, decided(2, Verdict.NOT_FOUND, "25")).status is Status.REVERSED


class TestM7AnOriginalTheHostApprovedAndDoesNotHave:
    """What was approved was known: "not found" contradicts it, and moves a person, never the payment's end."""

    NOTED = (*REVERSING, e.AnswerNoted(1, "00", approval=True))
    ASKED_AGAIN = (*NOTED, e.Unaccepted(2, ReasonCode.REVERSAL_DECLINED, NOON, "25"), reversal_dispatched(repeat=1))

    def test_the_host_is_asked_once_more(self) -> None:
        (event,) = decide(payment(*self.NOTED), decided(2, Verdict.NOT_FOUND, "25"))

        assert isinstance(event, e.Unaccepted)
        assert evolve(payment(*self.NOTED), event).status is Status.REVERSING

    def test_a_host_that_stays_with_it_is_a_persons_to_ask(self) -> None:
        state = after(payment(*self.ASKED_AGAIN), decided(2, Verdict.NOT_FOUND, "25"))

        assert (state.status, state.reason) == (Status.ON_HOLD, ReasonCode.APPROVED_THEN_NOT_FOUND)
        assert [attempt.number for attempt in state.undoing] == [1]
        assert after(state, c.Retry("the bank found it")).status is Status.REVERSING
        assert after(state, c.Resolve(1, Status.APPROVED, "letter")).status is Status.APPROVED

    def test_a_host_that_finds_it_on_the_repeat_has_undone_it(self) -> None:
        assert after(payment(*self.ASKED_AGAIN), decided(2, Verdict.APPROVED)).status is Status.REVERSED

    def test_silence_in_between_does_not_forget_what_it_said(self) -> None:
        state = payment(
            *self.ASKED_AGAIN, e.Unaccepted(2, ReasonCode.HOST_TIMEOUT, NOON), reversal_dispatched(repeat=2)
        )

        assert after(state, decided(2, Verdict.NOT_FOUND, "25")).status is Status.ON_HOLD

    def test_one_that_was_told_in_time_and_did_not_count_is_no_less_known(self) -> None:
        partly = e.ReversalRequired(1, ReasonCode.PARTIAL_APPROVAL, "10", approval=True)
        state = payment(dispatched(), partly, reversal_dispatched())

        (event,) = decide(state, decided(2, Verdict.NOT_FOUND, "25"))

        assert isinstance(event, e.Unaccepted)

    def test_an_approval_that_comes_after_the_end_is_asked_about_once(self) -> None:
        unknown = (*REVERSING, e.Reversed(1, 2, "25"))
        state = after(payment(*unknown), late(1))

        state = after(evolve(state, reversal_dispatched(repeat=1)), decided(2, Verdict.NOT_FOUND, "25"))

        assert state.status is Status.REVERSED
        assert [attempt.number for attempt in state.undoing] == [1]

    @pytest.mark.parametrize("code", ["51", "68"])
    def test_a_late_answer_that_tells_of_no_approval_leaves_it_final(self, code: str) -> None:
        state = after(payment(*REVERSING), late(1, Verdict.DECLINED, code))

        assert after(state, decided(2, Verdict.NOT_FOUND, "25")).status is Status.REVERSED


def test_an_unanswered_reversal_is_repeated() -> None:
    (event,) = decide(payment(*REVERSING), c.RecordSilence(2, ReasonCode.HOST_TIMEOUT, NOON))

    assert event == e.Unaccepted(2, ReasonCode.HOST_TIMEOUT, NOON + timedelta(seconds=1))
    assert evolve(payment(*REVERSING), event).status is Status.REVERSING


def test_a_declined_reversal_is_repeated() -> None:
    (event,) = decide(payment(*REVERSING), decided(2, Verdict.DECLINED, "91"))

    assert isinstance(event, e.Unaccepted)
    assert event.response_code == "91"


def test_a_refused_reversal_is_held_for_a_person() -> None:
    state = after(payment(*REVERSING), decided(2, Verdict.REFUSED, "57"))

    assert state.status is Status.ON_HOLD
    assert state.reason is ReasonCode.REVERSAL_REFUSED
    assert after(state, c.Retry("the bank agreed")).status is Status.REVERSING


def test_what_was_held_and_then_reversed_asks_for_no_person_any_more() -> None:
    held = after(payment(*REVERSING), decided(2, Verdict.REFUSED, "57"))
    state = after(held, c.Retry("the bank agreed"))
    assert (state.status, state.reason) == (Status.REVERSING, ReasonCode.REVERSAL_RETRIED)

    state = after(evolve(state, reversal_dispatched(repeat=1)), decided(2, Verdict.APPROVED))

    assert (state.status, state.reason) == (Status.REVERSED, ReasonCode.REVERSAL_RETRIED)


@given(repeats=st.integers(0, 500))
def test_nothing_ever_drops_a_reversal(repeats: int) -> None:
    state = payment(dispatched(), reversal_required(), reversal_dispatched(repeat=repeats))

    (event,) = decide(state, c.RecordSilence(2, ReasonCode.CONNECTION_LOST, NOON))

    assert isinstance(event, e.Unaccepted)


def test_a_repeat_keeps_the_reversals_identity() -> None:
    state = payment(*REVERSING, e.Unaccepted(2, ReasonCode.HOST_TIMEOUT, NOON), reversal_dispatched(repeat=1))

    assert len(state.attempts) == 2
    assert (state.attempts[1].mti, state.attempts[1].repeats) == ("0421", 1)


def test_a_reversal_needs_something_to_undo() -> None:
    command = c.Dispatch(
        **{name: getattr(reversal_dispatched(), name) for name in e.Dispatched.__struct_fields__},
    )

    with pytest.raises(NotAllowed):
        decide(payment(dispatched()), command)


class TestM6UnwantedApprovals:
    def test_a_late_approval_while_it_is_being_undone_changes_nothing(self) -> None:
        assert decide(payment(*REVERSING), late(1)) == (e.AnswerNoted(1, "00", approval=True),)

    def test_one_after_it_was_undone_is_undone_again(self) -> None:
        (event,) = decide(payment(*REVERSED), late(1))
        state = evolve(payment(*REVERSED), event)

        assert event == e.ReversalRequired(1, ReasonCode.LATE_APPROVAL, "00")
        assert state.status is Status.REVERSED
        assert state.attempts[0].undoing is Undoing.OPEN
        assert state.attempts[1].outcome is Outcome.OPEN

    def test_the_repeat_ends_it_again(self) -> None:
        state = payment(
            *REVERSED,
            e.ReversalRequired(1, ReasonCode.LATE_APPROVAL),
            reversal_dispatched(repeat=1),
            e.Reversed(1, 2, "94"),
        )

        assert state.status is Status.REVERSED
        assert not state.undoing

    def test_one_after_a_decline_is_undone_beside_the_ended_payment(self) -> None:
        state = payment(dispatched(), e.Declined(ReasonCode.DECLINED_BY_HOST, "51", 1))

        state = after(state, late(1))

        assert state.status is Status.DECLINED
        assert [attempt.number for attempt in state.undoing] == [1]

    def test_one_of_an_earlier_attempt_is_undone_beside_the_running_one(self) -> None:
        state = payment(dispatched(), e.AttemptDeclined(1, "91", NOON), dispatched(2))

        state = after(state, late(1))

        assert state.status is Status.IN_FLIGHT
        assert after(state, decided(2, Verdict.APPROVED)).status is Status.APPROVED
        assert [attempt.number for attempt in state.undoing] == [1]

    def test_its_reversal_does_not_end_the_running_payment(self) -> None:
        state = payment(
            dispatched(),
            e.AttemptDeclined(1, "91", NOON),
            e.ReversalRequired(1, ReasonCode.LATE_APPROVAL),
            reversal_dispatched(2, reverses=1),
            e.Reversed(1, 2, "00"),
        )

        assert state.status is Status.QUEUED

    def test_one_of_an_attempt_thought_unsent_is_undone(self) -> None:
        state = payment(dispatched(), e.Recalled(1, ReasonCode.LINK_UNAVAILABLE))

        assert isinstance(decide(state, late(1))[0], e.ReversalRequired)

    def test_the_duplicate_of_the_answer_it_rests_on_is_noted(self) -> None:
        state = payment(dispatched(), e.Approved(1, "00"))

        assert decide(state, late(1)) == (e.AnswerNoted(1, "00"),)

    def test_a_late_partial_approval_is_undone_too(self) -> None:
        command = c.RecordAnswer(
            1, answer(Verdict.INVALID, "10", reason=ReasonCode.PARTIAL_APPROVAL), decisive=False, at=NOON
        )

        assert isinstance(decide(payment(*REVERSED), command)[0], e.ReversalRequired)

    def test_a_late_decline_is_noted(self) -> None:
        assert decide(payment(*REVERSED), late(1, Verdict.DECLINED, "51")) == (e.AnswerNoted(1, "51"),)

    def test_a_refused_reversal_beside_an_ended_payment_does_not_reopen_it(self) -> None:
        state = payment(
            dispatched(),
            e.Declined(ReasonCode.DECLINED_BY_HOST, "51", 1),
            e.ReversalRequired(1, ReasonCode.LATE_APPROVAL),
            reversal_dispatched(),
        )

        state = after(state, decided(2, Verdict.REFUSED, "12"))

        assert state.status is Status.DECLINED
        assert after(state, c.Retry("the bank agreed")).status is Status.DECLINED


class TestWhateverComes:
    """Every sequence of answers and silences, in any order, keeps what must hold."""

    verdicts = st.sampled_from(
        [(Verdict.APPROVED, "00"), (Verdict.DECLINED, "51"), (Verdict.TRANSIENT, "91"), (Verdict.INVALID, "68")]
    )
    happenings = st.lists(st.tuples(st.sampled_from(["answer", "late", "silence", "send"]), verdicts), max_size=14)

    @given(happenings=happenings)
    def test_it_ends_once_and_every_unknown_attempt_is_undone(
        self, happenings: list[tuple[str, tuple[Verdict, str]]]
    ) -> None:
        state, ends = payment(), set()
        for kind, (verdict, code) in happenings:
            command = self._command(state, kind, verdict, code)
            if command is None:
                continue
            try:
                state = after(state, command)
            except DomainError:
                continue
            if state.status.is_final:
                ends.add(state.status)
            for attempt in state.attempts:
                if attempt.outcome is Outcome.UNKNOWN and attempt.kind is not MessageKind.REVERSAL:
                    assert attempt.undoing is not Undoing.NONE
        assert len(ends) <= 1

    def _command(self, state: PaymentState, kind: str, verdict: Verdict, code: str) -> c.Command | None:
        last = state.attempts[-1] if state.attempts else None
        if kind == "send":
            return self._send(state)
        if last is None:
            return None
        if kind == "silence" and last.outcome is Outcome.OPEN:
            return c.RecordSilence(last.number, ReasonCode.HOST_TIMEOUT, NOON)
        if kind == "answer" and last.outcome is Outcome.OPEN:
            return decided(last.number, verdict, code)
        return late(1, verdict, code) if kind == "late" and state.attempts[0].outcome is not Outcome.OPEN else None

    def _send(self, state: PaymentState) -> c.Command:
        undone = state.undoing[0] if state.undoing else None
        event = dispatched(state.next_attempt)
        if undone:
            known = state.reversal_of(undone.number)
            event = reversal_dispatched(
                known.number if known else state.next_attempt, undone.number, known.repeats + 1 if known else 0
            )
        return c.Dispatch(**{name: getattr(event, name) for name in e.Dispatched.__struct_fields__})
