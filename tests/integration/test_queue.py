"""The queue by itself: no sweep passes over a row that commits late, and a claim says what it took (Q2)."""

import threading
import time
from datetime import timedelta

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from queueing import lanes, queue
from queueing.models import Lane, QueueEntry
from queueing.queue import LowWater
from queueing.retry import Failure, decide_retry
from tests.integration.conftest import Hand


def claimed(limit: int, low_water: LowWater) -> list[int]:
    with transaction.atomic():
        entries = queue.claim("bank", limit, low_water)
        queue.dispatch([queue.DispatchedFrame(e.id, 1, b"", "k", "0200") for e in entries], 1)
    return [entry.id for entry in entries]


def test_what_commits_late_is_not_passed_over(hand: Hand) -> None:
    hand.accept(1)
    late = psycopg.connect(settings.DATABASE_DIRECT_URL)
    late.execute(
        "INSERT INTO queueing_queueentry (payment_id, link, kind, priority, state, request_id, owed_since) "
        "VALUES (gen_random_uuid(), 'bank', 'request', 5, 'ready', '', now())"
    )
    for amount in (2, 3, 4):
        hand.accept(amount)
    low_water = LowWater()
    assert len(claimed(3, low_water)) == 3

    late.commit()
    late.close()
    found: list[int] = []
    deadline = time.monotonic() + 3
    while len(found) < 2 and time.monotonic() < deadline:
        found += claimed(3, low_water)

    assert len(found) == 2


def test_what_finds_too_little_has_looked_at_everything(hand: Hand) -> None:
    hand.accept(1)
    for amount in (2, 3, 4):
        hand.accept(amount, priority=9)
    low_water = LowWater()
    first, *urgent = QueueEntry.objects.order_by("id").values_list("id", flat=True)

    assert claimed(3, low_water) == urgent
    assert claimed(3, low_water) == [first]


def test_two_claims_at_once_share_nothing(hand: Hand) -> None:
    for amount in range(1, 21):
        hand.accept(amount)
    with transaction.atomic():
        first = [entry.id for entry in queue.claim("bank", 10, LowWater())]
        others: list[int] = []

        def claim() -> None:
            with transaction.atomic():
                others.extend(entry.id for entry in queue.claim("bank", 20, LowWater()))
            connection.close()

        thread = threading.Thread(target=claim)
        thread.start()
        thread.join()

    assert len(first) == len(others) == 10
    assert not set(first) & set(others)


def test_a_verb_changes_only_what_is_in_its_state(hand: Hand) -> None:
    hand.accept()
    (entry,) = QueueEntry.objects.all()

    assert queue.recall([(entry.id, None)]) == set()
    assert queue.wait([(entry.id, None)]) == set()
    assert queue.owe_reversals([(entry.id, 1)]) == set()
    assert queue.hold([(entry.id, "x")], "answered") == set()
    assert not queue.release(entry.id)
    assert queue.close([entry.id], ["answered"]) == set()
    assert QueueEntry.objects.get().state == "ready"


def test_a_caller_whose_clock_is_days_ahead_makes_nothing_wait_for_days(hand: Hand) -> None:
    hand.accept()
    (entry,) = QueueEntry.objects.all()

    queue.postpone([(entry.id, timezone.now() + timedelta(days=3))])

    entry.refresh_from_db()
    assert entry.not_before is not None
    assert entry.not_before - timezone.now() <= timedelta(seconds=360)


def test_the_longest_wait_is_the_longest_delay_of_a_retry() -> None:
    assert decide_retry(Failure.OWED, 100, 0.999).after_s <= 360


def test_verbs_take_nothing_and_do_nothing(hand: Hand) -> None:
    assert not queue.recall([])
    assert not queue.hold([], "ready")
    assert not queue.close([], ["ready"])


class TestLanesUnderLoad:
    def test_joining_and_leaving_at_once_loses_nobody(self, hand: Hand) -> None:
        hand.accept(lane="a", key="head")
        stop = threading.Event()

        def join() -> None:
            for number in range(30):
                hand.receive(lane="a", key=f"joining-{number}")
            stop.set()
            connection.close()

        joining = threading.Thread(target=join)
        joining.start()
        done = 0
        while not stop.is_set() or QueueEntry.objects.exists():
            done += self._close_the_head()
        joining.join()

        assert done == 31
        assert not Lane.objects.exists()

    @transaction.atomic
    def _close_the_head(self) -> int:
        heads = [entry.id for entry in queue.claim("bank", 5, LowWater())]
        assert len(heads) <= 1
        queue.close(heads, ["ready"])
        return len(heads)


def test_leaving_a_lane_that_nobody_is_in_is_nothing(hand: Hand) -> None:
    assert lanes.leave([]) == set()


@pytest.mark.parametrize(("ready", "room"), [(0, 4), (3, 1), (9, 0)])
def test_room_ahead_is_what_is_not_dispatched_yet(hand: Hand, ready: int, room: int) -> None:
    for amount in range(1, ready + 1):
        hand.accept(amount)
    claimed(ready or 1, LowWater())

    assert queue.room_ahead("bank", 4) == room
