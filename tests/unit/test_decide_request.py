"""A payment's own message: given these events, when this command, then these events."""

from datetime import timedelta

import pytest

from tests.builders import NOON, accepted, answer, dispatched, instruction, payment, placement, reversal_required
from transactions.domain import commands as c
from transactions.domain import events as e
from transactions.domain.decide import decide
from transactions.domain.errors import NotAllowed
from transactions.domain.evolve import evolve
from transactions.domain.state import PaymentState
from transactions.domain.values import Operation, ReasonCode, Status, Verdict

DECLINED_91 = e.AttemptDeclined(1, "91", NOON)


def when(state: PaymentState, command: c.Command) -> tuple[e.Event, ...]:
    return decide(state, command)


def then_status(state: PaymentState, command: c.Command) -> Status:
    for event in decide(state, command):
        state = evolve(state, event)
    return state.status


def answered(verdict: Verdict, code: str = "00", attempt: int = 1, **details: object) -> c.RecordAnswer:
    return c.RecordAnswer(attempt, answer(verdict, code, **details), decisive=True, at=NOON)


def as_dispatch(event: e.Dispatched) -> c.Dispatch:
    return c.Dispatch(**{name: getattr(event, name) for name in e.Dispatched.__struct_fields__})


def test_a_payment_begins_with_accepted() -> None:
    assert decide(None, c.Accept(instruction(), placement())) == (accepted(),)


def test_a_payment_is_accepted_once() -> None:
    with pytest.raises(NotAllowed):
        decide(payment(), c.Accept(instruction(), placement()))


def test_a_queued_payment_is_dispatched() -> None:
    state = payment()

    assert when(state, as_dispatch(dispatched())) == (dispatched(),)
    assert then_status(state, as_dispatch(dispatched())) is Status.IN_FLIGHT


def test_an_approval_ends_it() -> None:
    state = payment(dispatched())
    approval = answered(Verdict.APPROVED, authorisation_code="123456", host_rrn="H1")

    assert when(state, approval) == (e.Approved(1, "00", "123456", "H1"),)
    assert then_status(state, approval) is Status.APPROVED


def test_a_decline_ends_it_with_its_code() -> None:
    assert when(payment(dispatched()), answered(Verdict.DECLINED, "51")) == (
        e.Declined(ReasonCode.DECLINED_BY_HOST, "51", 1),
    )


class TestAPassingDecline:
    def test_it_is_tried_again_later(self) -> None:
        (event,) = when(payment(dispatched()), answered(Verdict.TRANSIENT, "91"))

        assert event == e.AttemptDeclined(1, "91", NOON + timedelta(seconds=1))

    def test_the_third_ends_it_with_the_last_code(self) -> None:
        state = payment(dispatched(), DECLINED_91, dispatched(2), e.AttemptDeclined(2, "91", NOON), dispatched(3))

        assert when(state, answered(Verdict.TRANSIENT, "96", attempt=3)) == (
            e.Declined(ReasonCode.RETRIES_EXHAUSTED, "96", 3),
        )

    def test_it_is_not_tried_again_after_its_time(self) -> None:
        state = payment(accepted(expires_at=NOON + timedelta(seconds=0.5)), dispatched())

        assert isinstance(when(state, answered(Verdict.TRANSIENT, "91"))[0], e.Declined)

    def test_the_next_attempt_may_be_dispatched(self) -> None:
        assert then_status(payment(dispatched(), DECLINED_91), as_dispatch(dispatched(2))) is Status.IN_FLIGHT


class TestM8ANewAttemptNeedsTheOldOneSettled:
    def test_not_while_one_is_open(self) -> None:
        with pytest.raises(NotAllowed):
            when(payment(dispatched()), as_dispatch(dispatched(2)))

    def test_not_while_one_is_being_reversed(self) -> None:
        with pytest.raises(NotAllowed):
            when(payment(dispatched(), reversal_required()), as_dispatch(dispatched(2)))

    def test_after_one_that_was_never_sent(self) -> None:
        state = payment(dispatched(), e.Recalled(1, ReasonCode.LINK_UNAVAILABLE))

        assert then_status(state, as_dispatch(dispatched(2))) is Status.IN_FLIGHT


class TestM4SilenceIsUndone:
    @pytest.mark.parametrize("operation", [o for o in Operation if o.moves_money and not o.is_child])
    def test_whatever_moves_money_is_reversed(self, operation: Operation) -> None:
        state = payment(accepted(operation), dispatched())
        silence = c.RecordSilence(1, ReasonCode.HOST_TIMEOUT, NOON)

        assert when(state, silence) == (e.ReversalRequired(1, ReasonCode.HOST_TIMEOUT),)
        assert then_status(state, silence) is Status.REVERSING

    def test_a_balance_inquiry_just_failed(self) -> None:
        state = payment(accepted(Operation.BALANCE_INQUIRY), dispatched())

        assert when(state, c.RecordSilence(1, ReasonCode.HOST_TIMEOUT, NOON)) == (e.Failed(ReasonCode.HOST_TIMEOUT, 1),)

    @pytest.mark.parametrize("reason", [ReasonCode.BAD_MAC, ReasonCode.WRONG_ANSWER, ReasonCode.OUTCOME_UNKNOWN])
    def test_an_answer_that_does_not_count_is_silence(self, reason: ReasonCode) -> None:
        (event,) = when(payment(dispatched()), answered(Verdict.INVALID, "00", reason=reason))

        assert isinstance(event, e.ReversalRequired)
        assert event.reason is reason

    def test_an_advice_is_repeated_instead(self) -> None:
        state = payment(accepted(Operation.CAPTURE), dispatched(kind="advice", mti="0220"))
        (event,) = when(state, c.RecordSilence(1, ReasonCode.HOST_TIMEOUT, NOON))

        assert event == e.Unaccepted(1, ReasonCode.HOST_TIMEOUT, NOON + timedelta(seconds=1))


class TestGivenBackUnsent:
    def test_it_is_queued_again_at_once_when_the_link_went_down(self) -> None:
        recall = c.Recall(1, ReasonCode.LINK_UNAVAILABLE, NOON)

        assert when(payment(dispatched()), recall) == (e.Recalled(1, ReasonCode.LINK_UNAVAILABLE),)

    def test_it_waits_when_writing_it_failed(self) -> None:
        recall = c.Recall(1, ReasonCode.LINK_UNAVAILABLE, NOON, unsent_tries=3)

        assert when(payment(dispatched()), recall) == (
            e.Recalled(1, ReasonCode.LINK_UNAVAILABLE, NOON + timedelta(seconds=4)),
        )

    def test_the_fifth_failure_ends_it_and_nothing_moved(self) -> None:
        recall = c.Recall(1, ReasonCode.LINK_UNAVAILABLE, NOON, unsent_tries=5)

        assert when(payment(dispatched()), recall)[-1] == e.Failed(ReasonCode.RETRIES_EXHAUSTED, 1)
        assert then_status(payment(dispatched()), recall) is Status.FAILED


class TestCancelling:
    cancel = c.Cancel(ReasonCode.CANCELLED_BY_CLIENT)

    def test_a_queued_payment_is_cancelled(self) -> None:
        assert then_status(payment(), self.cancel) is Status.CANCELLED

    def test_a_dispatched_one_is_recalled_first(self) -> None:
        events = when(payment(dispatched()), self.cancel)

        assert [type(event) for event in events] == [e.Recalled, e.Cancelled]

    def test_one_being_reversed_is_not(self) -> None:
        with pytest.raises(NotAllowed):
            when(payment(dispatched(), reversal_required()), self.cancel)

    def test_an_ended_one_is_not(self) -> None:
        with pytest.raises(NotAllowed):
            when(payment(dispatched(), e.Approved(1, "00")), self.cancel)

    def test_a_held_one_is(self) -> None:
        assert then_status(payment(e.Held(ReasonCode.CANNOT_BE_ENCODED)), self.cancel) is Status.CANCELLED


class TestExpiring:
    late = c.Expire(NOON + timedelta(hours=1))

    def test_not_before_its_time(self) -> None:
        with pytest.raises(NotAllowed):
            when(payment(), c.Expire(NOON))

    def test_unsent_it_expires(self) -> None:
        assert when(payment(), self.late) == (e.Expired(),)

    def test_declined_before_it_ends_declined(self) -> None:
        state = payment(dispatched(), DECLINED_91)

        assert when(state, self.late) == (e.Declined(ReasonCode.RETRIES_EXHAUSTED, "91"),)


class TestOnHold:
    held = payment(e.Held(ReasonCode.CANNOT_BE_ENCODED))

    def test_it_is_open(self) -> None:
        assert self.held.status is Status.ON_HOLD
        assert not self.held.status.is_final

    def test_retry_queues_it_again(self) -> None:
        assert then_status(self.held, c.Retry("the key is there now")) is Status.QUEUED

    def test_an_ended_payment_is_never_reopened(self) -> None:
        with pytest.raises(NotAllowed):
            when(payment(dispatched(), e.Approved(1, "00")), c.Retry("please"))
