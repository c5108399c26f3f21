"""What staff may do about a payment that hangs: reverse it, or resolve it on evidence; each once, never by guessing."""

import pytest

from queueing.models import QueueEntry
from tests.integration.conftest import Hand, status_of
from transactions import auditing, forwarding
from transactions.domain.errors import NotAllowed
from transactions.domain.values import ReasonCode, Status
from transactions.models import Attempt, Event, Payment
from transactions.services import cancel, resolve, retry, reverse

ALICE = "staff:alice"


@pytest.fixture(autouse=True)
def everything_holds(hand: Hand) -> object:
    """Whatever a test does, the invariants hold afterwards."""
    yield
    assert [str(violation) for violation in auditing.violations()] == []


class TestReversing:
    def test_what_could_not_be_settled_is_undone_at_the_bank(self, hand: Hand, unsettled: Payment) -> None:
        reverse(unsettled.id, actor=ALICE, note="the log says it broke; card 4111111111111111")

        assert status_of(unsettled) == "reversing"
        told = Event.objects.get(payment_id=unsettled.id, type="ReversalRequired")
        assert (told.actor, told.data["reason"]) == (ALICE, "reversed_by_staff")
        assert "4111111111111111" not in told.data["note"]

        hand.answer(hand.take()[0], "00")
        assert status_of(unsettled) == "reversed"

    def test_a_payment_the_bank_may_have_done_is_never_sent_again_nor_cancelled(self, unsettled: Payment) -> None:
        with pytest.raises(NotAllowed, match="may have carried this out"):
            retry(unsettled.id, actor=ALICE, note="")
        with pytest.raises(NotAllowed, match="may have carried this out"):
            cancel(unsettled.id, actor=ALICE, reason=ReasonCode.CANCELLED_BY_STAFF)
        assert status_of(unsettled) == "on_hold"

    def test_only_what_hangs_can_be_reversed(self, hand: Hand) -> None:
        payment = hand.accept()
        with pytest.raises(NotAllowed):
            reverse(payment.id, actor=ALICE, note="")

        hand.answer(hand.take()[0])
        with pytest.raises(NotAllowed):
            reverse(payment.id, actor=ALICE, note="")
        assert status_of(payment) == "approved"


class TestResolving:
    @pytest.mark.parametrize("hanging", ["unsettled", "refused"])
    @pytest.mark.parametrize("outcome", [Status.APPROVED, Status.REVERSED])
    def test_a_person_ends_it_as_the_bank_says(
        self, request: pytest.FixtureRequest, hanging: str, outcome: Status
    ) -> None:
        payment = request.getfixturevalue(hanging)

        resolve(payment.id, outcome=outcome, evidence="statement of 20 November, line 7", actor=ALICE)

        assert (status_of(payment), payment.reason) == (outcome, "resolved_by_staff")
        assert payment.accepted_attempt == (1 if outcome is Status.APPROVED else None)
        assert not QueueEntry.objects.exists()
        assert not Attempt.objects.filter(undoing="open").exists()
        resolved = Event.objects.get(payment_id=payment.id, type="Resolved")
        assert (resolved.actor, resolved.data["evidence"]) == (ALICE, "statement of 20 November, line 7")

    def test_twice_is_once(self, refused: Payment) -> None:
        resolve(refused.id, outcome=Status.REVERSED, evidence="e", actor=ALICE)
        with pytest.raises(NotAllowed):
            resolve(refused.id, outcome=Status.APPROVED, evidence="e", actor=ALICE)
        assert status_of(refused) == "reversed"

    def test_what_is_on_the_wire_just_now_is_the_banks_to_answer(self, hand: Hand, refused: Payment) -> None:
        retry(refused.id, actor=ALICE, note="")
        hand.take()

        with pytest.raises(NotAllowed, match="with the bank just now"):
            resolve(refused.id, outcome=Status.REVERSED, evidence="e", actor=ALICE)

    @pytest.mark.parametrize("state", ["waiting", "dispatched"])
    def test_a_reversal_that_is_still_repeated_can_be_resolved_between_two_writes(self, hand: Hand, state: str) -> None:
        payment = hand.accept()
        hand.silence(hand.take()[0])
        hand.silence(hand.take()[0])
        if state == "dispatched":
            retry(payment.id, actor=ALICE, note="")
            forwarding.forward()
        assert QueueEntry.objects.get().state == state

        resolve(payment.id, outcome=Status.REVERSED, evidence="e", actor=ALICE)

        assert status_of(payment) == "reversed"

    def test_an_ended_payment_keeps_its_end_and_only_its_open_reversal_is_resolved(self, hand: Hand) -> None:
        payment = hand.accept()
        taken = hand.take()[0]
        hand.silence(taken)
        hand.answer(hand.take()[0], "00")
        hand.stray(taken)
        assert status_of(payment) == "reversed"
        assert QueueEntry.objects.get().kind == "reversal"

        with pytest.raises(NotAllowed):
            resolve(payment.id, outcome=Status.APPROVED, evidence="e", actor=ALICE)
        resolve(payment.id, outcome=Status.REVERSED, evidence="e", actor=ALICE)

        assert status_of(payment) == "reversed"
        assert not QueueEntry.objects.exists()

    def test_what_was_never_sent_is_cancelled_instead(self, hand: Hand) -> None:
        payment = hand.accept()
        with pytest.raises(NotAllowed):
            resolve(payment.id, outcome=Status.REVERSED, evidence="e", actor=ALICE)
        cancel(payment.id, actor=ALICE, reason=ReasonCode.CANCELLED_BY_STAFF)
        assert status_of(payment) == "cancelled"
