"""Taking: in order, once, by the holder only; and giving back what was not written (F1, M12, M13)."""

import asyncio
import threading
import time
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from processor.keys.pan_vault import vault_of
from processor.store import LinkStore
from queueing.models import QueueEntry
from tests.integration.conftest import Hand, status_of
from transactions import forwarding
from transactions.domain.errors import NotAllowed
from transactions.domain.values import ReasonCode
from transactions.models import Payment
from transactions.services import cancel


def amounts(hand: Hand) -> list[int]:
    return [Payment.objects.get(id=one.payment_id).amount for one in hand.taken]


def test_frames_are_taken_in_the_order_of_acceptance(hand: Hand) -> None:
    for amount in (1, 2, 3, 4):
        hand.accept(amount)

    hand.take(3)
    assert amounts(hand) == [1, 2, 3]
    hand.take(3)
    assert amounts(hand) == [4]


def test_a_higher_priority_goes_first(hand: Hand) -> None:
    for amount, priority in ((1, 5), (2, 0), (3, 9), (4, 5)):
        hand.accept(amount, priority=priority)

    hand.take()

    assert amounts(hand) == [3, 1, 4, 2]


def test_priority_never_overtakes_inside_a_lane(hand: Hand) -> None:
    hand.accept(1, lane="a", priority=0)
    hand.accept(2, lane="a", priority=9)

    assert [one.attempt for one in hand.take()] == [1]
    hand.answer(hand.taken[0])
    hand.take()
    assert amounts(hand) == [2]


def test_what_was_written_more_often_than_is_counted_stops_no_other(hand: Hand) -> None:
    hand.accept(1)
    hand.accept(2)
    forwarding.forward()
    QueueEntry.objects.filter(id=min(QueueEntry.objects.values_list("id", flat=True))).update(
        takes=32_767, unsent_tries=32_767
    )

    hand.take()
    assert amounts(hand) == [1, 2]
    hand.run(lambda store: store.untake(hand.taken, failed=True))
    hand.take()
    assert amounts(hand) == [1, 2]


def test_what_is_taken_is_taken_once(hand: Hand) -> None:
    for amount in range(1, 40):
        hand.accept(amount)
    forwarding.forward()
    taken: list[int] = []

    def take() -> None:
        store = LinkStore(settings.DATABASE_DIRECT_URL, "bank", 1, vault_of(settings.MASTER_KEY))

        async def all_of_it() -> None:
            while found := await store.take(3, 1):
                taken.extend(one.entry_id for one in found)
            await store.close()

        asyncio.run(all_of_it())

    takers = [threading.Thread(target=take) for _ in range(4)]
    for taker in takers:
        taker.start()
    for taker in takers:
        taker.join()

    assert len(taken) == len(set(taken)) == 39


class TestTheFence:
    def test_another_epoch_takes_nothing(self, hand: Hand) -> None:
        hand.accept()
        forwarding.forward()
        hand.epoch = 2

        assert hand.take() == []

    def test_a_released_lease_takes_nothing(self, hand: Hand) -> None:
        hand.accept()
        forwarding.forward()
        with connection.cursor() as cursor:
            cursor.execute("UPDATE processor_lease SET released = true")

        assert hand.take() == []

    def test_a_take_waits_for_a_grant_that_is_under_way_and_then_takes_nothing(self, hand: Hand) -> None:
        hand.accept()
        forwarding.forward()
        granting = psycopg.connect(settings.DATABASE_DIRECT_URL)
        granting.execute("UPDATE processor_lease SET epoch = 2")
        result: list[Any] = []
        taking = threading.Thread(target=lambda: result.append(hand.run(lambda store: store.take(10, 1))))
        taking.start()
        taking.join(0.3)

        assert taking.is_alive()
        granting.commit()
        taking.join(5)
        granting.close()
        assert result == [[]]
        assert QueueEntry.objects.get().state == "dispatched"

    def test_a_grant_waits_for_a_take_that_is_under_way(self, hand: Hand) -> None:
        taking = psycopg.connect(settings.DATABASE_DIRECT_URL)
        taking.execute("SELECT 1 FROM processor_lease WHERE epoch = 1 FOR SHARE")
        granting = psycopg.connect(settings.DATABASE_DIRECT_URL, options="-c lock_timeout=300")

        with pytest.raises(psycopg.errors.LockNotAvailable):
            granting.execute("UPDATE processor_lease SET epoch = 2")
        taking.close()
        granting.close()


def test_what_was_made_under_another_configuration_is_not_taken(hand: Hand) -> None:
    hand.accept()
    forwarding.forward()
    hand.version = 2

    assert hand.run(lambda store: store.take(10, 2)) == []


def test_what_has_expired_is_not_taken(hand: Hand) -> None:
    payment = hand.accept()
    forwarding.forward()
    QueueEntry.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    assert hand.run(lambda store: store.take(10, 1)) == []
    assert status_of(payment) == "in_flight"


def test_the_holder_is_told_how_long_it_may_wait_before_writing(hand: Hand) -> None:
    hand.accept(expires_in_s=60)

    (taken,) = hand.take()

    assert 50 < taken.expires_at - time.monotonic() < 61


class TestGivingBack:
    def test_it_is_dispatched_again_and_was_never_intended(self, hand: Hand) -> None:
        hand.accept()
        (taken,) = hand.take()

        hand.run(lambda store: store.untake([taken], failed=True))

        entry = QueueEntry.objects.get()
        assert (entry.state, entry.takes, entry.unsent_tries) == ("dispatched", 0, 1)

    def test_only_the_holder_that_took_it_gives_it_back(self, hand: Hand) -> None:
        hand.accept()
        (taken,) = hand.take()
        hand.epoch = 2

        hand.run(lambda store: store.untake([taken], failed=False))

        assert QueueEntry.objects.get().state == "taken"


class TestCancelRacingWithTake:
    def test_what_is_dispatched_can_still_be_cancelled(self, hand: Hand) -> None:
        payment = hand.accept()
        forwarding.forward()

        cancel(payment.id, actor="api:test", reason=ReasonCode.CANCELLED_BY_CLIENT)

        assert status_of(payment) == "cancelled"
        assert hand.run(lambda store: store.take(10, 1)) == []

    def test_what_is_taken_cannot(self, hand: Hand) -> None:
        payment = hand.accept()
        hand.take()

        with pytest.raises(NotAllowed):
            cancel(payment.id, actor="api:test", reason=ReasonCode.CANCELLED_BY_CLIENT)
        assert status_of(payment) == "in_flight"

    def test_one_of_them_wins_never_both(self, hand: Hand) -> None:
        payments = [hand.accept(amount) for amount in range(1, 31)]
        forwarding.forward()
        cancelled: set[Any] = set()

        def cancel_all() -> None:
            for payment in payments:
                try:
                    cancel(payment.id, actor="api:test", reason=ReasonCode.CANCELLED_BY_CLIENT)
                    cancelled.add(payment.id)
                except NotAllowed:
                    pass
            connection.close()

        cancelling = threading.Thread(target=cancel_all)
        cancelling.start()
        taken = {one.payment_id for _ in range(10) for one in hand.run(lambda store: store.take(3, 1))}
        cancelling.join()

        assert not taken & cancelled
        assert taken | cancelled == {payment.id for payment in payments}
