"""Recovery: what was dropped is found; it never declares silence."""

from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from django.db import OperationalError
from django.utils import timezone

from processor.models import InboundFrame
from queueing.models import Lane, QueueEntry
from tests.integration.conftest import Hand, answering, status_of
from tests.stack import wait_until
from transactions import auditing, forwarding, missing, recovery
from transactions.services import retry, reverse

Rings = list[tuple[str, float]]


@pytest.fixture(autouse=True)
def quiet(hand: Hand, rings: Rings) -> None:
    """Only what recovery rings counts here."""
    missing._looked_up_to = missing._FIRST
    rings.clear()


def recovered(rings: Rings) -> set[str]:
    rings.clear()
    recovery.recover()
    return {queue for queue, _ in rings}


def test_with_nothing_to_do_nobody_is_rung(rings: Rings) -> None:
    assert recovered(rings) == set()


def test_a_lost_ring_for_forwarding_is_rung_again(hand: Hand, rings: Rings) -> None:
    hand.accept()

    assert recovered(rings) == {"forward"}


def test_a_lost_ring_for_the_link_is_rung_again(hand: Hand, rings: Rings) -> None:
    hand.accept()
    forwarding.forward()

    assert recovered(rings) == {"forward", "link.bank"}


def test_a_lost_ring_for_settling_is_rung_again(hand: Hand, rings: Rings) -> None:
    hand.accept()
    (taken,) = hand.take()
    hand.file(answering(taken))

    assert recovered(rings) == {"settle"}


def test_what_is_due_is_woken(hand: Hand, rings: Rings) -> None:
    hand.accept()
    hand.answer(hand.take()[0], "91")
    assert recovered(rings) == set()

    QueueEntry.objects.update(not_before=timezone.now())

    assert recovered(rings) == {"forward"}
    assert QueueEntry.objects.get().state == "ready"


def test_what_was_taken_is_left_to_the_holder(hand: Hand, rings: Rings) -> None:
    payment = hand.accept()
    hand.take()
    QueueEntry.objects.update(taken_at=timezone.now() - timedelta(days=3))

    assert recovered(rings) == set()
    assert status_of(payment) == "in_flight"
    assert not InboundFrame.objects.exists()


def test_what_one_step_fails_at_stops_no_other_and_is_raised(
    hand: Hand, rings: Rings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand.accept()
    rings.clear()

    def fail() -> None:
        raise ValueError

    monkeypatch.setattr(recovery, "find_missing", fail)
    with pytest.raises(ExceptionGroup) as raised:
        recovery.recover()

    assert [type(error) for error in raised.value.exceptions] == [ValueError]
    assert {queue for queue, _ in rings} == {"forward"}


def test_without_a_database_no_step_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[str] = []

    def away() -> None:
        raise OperationalError

    with pytest.raises(OperationalError):
        recovery.in_turn(away, partial(taken.append, "next"))

    assert taken == []


class TestExpiry:
    def test_what_waits_for_a_link_that_is_down_ends_unsent(self, hand: Hand) -> None:
        payment = hand.accept(expires_in_s=-1)

        recovery.recover()

        assert status_of(payment) == "expired"
        assert payment.reason == "expired_unsent"
        assert not QueueEntry.objects.exists()

    def test_one_that_cannot_end_keeps_no_other_from_it(self, hand: Hand, rings: Rings) -> None:
        lost, payment, ready = hand.accept(1, expires_in_s=-1), hand.accept(2, expires_in_s=-1), hand.accept(3)
        QueueEntry.objects.filter(payment_id=lost.id).update(payment_id=UUID(int=1))

        rung = recovered(rings)

        assert (status_of(payment), status_of(ready)) == ("expired", "queued")
        assert rung == {"forward"}

    def test_what_is_dispatched_is_recalled_first(self, hand: Hand) -> None:
        payment = hand.accept(expires_in_s=1)
        forwarding.forward()
        wait_until(lambda: timezone.now() > payment.expires_at, 3, "its time is over")

        recovery.recover()

        assert status_of(payment) == "expired"
        assert hand.run(lambda store: store.take(10, 1)) == []

    def test_what_was_taken_does_not_expire(self, hand: Hand) -> None:
        payment = hand.accept(expires_in_s=1)
        hand.take()
        wait_until(lambda: timezone.now() > payment.expires_at, 3, "its time is over")

        recovery.recover()

        assert status_of(payment) == "in_flight"

    def test_a_lane_goes_on_behind_what_expired(self, hand: Hand) -> None:
        hand.accept(1, lane="a", expires_in_s=-1)
        second = hand.accept(2, lane="a")

        recovery.recover()

        assert [taken.payment_id for taken in hand.take()] == [second.id]

    def test_one_may_expire_in_the_middle_of_a_lane(self, hand: Hand) -> None:
        first = hand.accept(1, lane="a")
        hand.accept(2, lane="a", expires_in_s=-1)
        third = hand.accept(3, lane="a")

        recovery.recover()

        assert Lane.objects.get().open == 2
        hand.answer(hand.take()[0])
        assert [taken.payment_id for taken in hand.take()] == [third.id]
        assert status_of(first) == "approved"


def test_twice_at_once_does_no_harm(hand: Hand, rings: Rings) -> None:
    hand.accept()

    assert recovered(rings) == recovered(rings) == {"forward"}


class TestAPaymentWithoutItsEntry:
    """Only a bug or a hand in the database makes one."""

    def test_one_that_was_never_sent_waits_for_a_person_and_can_go_on(self, hand: Hand, rings: Rings) -> None:
        payment = hand.accept()
        QueueEntry.objects.all().delete()

        recovery.recover()
        recovery.recover()

        assert (status_of(payment), payment.reason) == ("on_hold", "entry_missing")
        assert QueueEntry.objects.get().state == "held"
        retry(payment.id, actor="staff:alice", note="looked at it")
        hand.answer(hand.take()[0])
        assert status_of(payment) == "approved"

    def test_one_that_may_be_with_the_bank_can_only_be_undone(self, hand: Hand) -> None:
        payment = hand.accept()
        hand.take()
        QueueEntry.objects.all().delete()

        recovery.recover()

        assert status_of(payment) == "on_hold"
        reverse(payment.id, actor="staff:alice", note="")
        hand.answer(hand.take()[0])
        assert status_of(payment) == "reversed"

    def test_a_reversal_nobody_owes_is_owed_again(self, hand: Hand) -> None:
        payment = hand.accept()
        hand.silence(hand.take()[0])
        QueueEntry.objects.all().delete()

        recovery.recover()

        hand.answer(hand.take()[0])
        assert status_of(payment) == "reversed"
        assert [str(violation) for violation in auditing.violations()] == []

    def test_all_that_have_theirs_are_left_alone(self, hand: Hand, settings: Any) -> None:
        settings.BATCH = 1
        payments = [hand.accept() for _ in range(12)]
        QueueEntry.objects.filter(payment_id=payments[-1].id).delete()

        for _ in range(2):
            recovery.recover()

        assert [status_of(payment) for payment in payments] == ["queued"] * 11 + ["on_hold"]
