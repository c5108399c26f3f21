"""What a holder has in hand: given back whole, and nothing that was taken is forgotten (M4)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from django.utils import timezone

from processor.models import InboundFrame
from processor.store import LinkStore, Taken
from processor.taking import Taker
from queueing.models import QueueEntry
from tests.integration.conftest import Hand
from transactions import forwarding, settling

PATIENCE_S = 30.0


@dataclass
class Slow:
    """The real store, with a word to say at the moment a take has committed."""

    store: LinkStore
    committed: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    fails: bool = False

    async def take(self, limit: int, version: int, lowest: int) -> list[Taken]:
        """Commit, and tell late or never."""
        taken = await self.store.take(limit, version, lowest)
        self.committed.set()
        await self.go_on.wait()
        if self.fails:
            raise psycopg.OperationalError
        return taken

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)


def playing(hand: Hand, story: Callable[[Taker, Slow], Awaitable[None]], capacity: int = 10) -> None:
    """Tell a story with a taker that has just begun to take."""

    async def tell(store: LinkStore) -> None:
        slow = Slow(store)
        taker = Taker("bank", slow, lambda: capacity, lambda: None)  # type: ignore[arg-type]
        taker.version = 1
        running = asyncio.create_task(taker.run())
        taker.look()
        async with asyncio.timeout(PATIENCE_S):
            await slow.committed.wait()
            await story(taker, slow)
        running.cancel()

    hand.run(tell)


def states() -> set[str]:
    return set(QueueEntry.objects.values_list("state", flat=True))


@pytest.fixture
def three(hand: Hand) -> Hand:
    """Three payments dispatched."""
    for amount in (1, 2, 3):
        hand.accept(amount)
    forwarding.forward()
    return hand


def test_what_is_just_being_taken_is_given_back_too(three: Hand) -> None:
    async def story(taker: Taker, slow: Slow) -> None:
        giving = asyncio.create_task(taker.give_back(failed=True))
        await asyncio.sleep(0)
        slow.go_on.set()
        await giving
        assert taker.in_hand == 0

    playing(three, story)

    assert states() == {"dispatched"}
    assert set(QueueEntry.objects.values_list("unsent_tries", flat=True)) == {1}


def test_a_take_that_committed_and_was_not_told_is_settled_as_silence(three: Hand) -> None:
    async def story(taker: Taker, slow: Slow) -> None:
        slow.fails = True
        slow.go_on.set()
        assert await taker.file_orphans(list) == 3

    playing(three, story)
    settling.settle()

    assert states() == {"ready"}
    assert set(QueueEntry.objects.values_list("kind", flat=True)) == {"reversal"}


def test_what_is_in_hand_or_in_flight_is_no_orphan(three: Hand) -> None:
    async def story(taker: Taker, slow: Slow) -> None:
        slow.go_on.set()
        while not taker.in_hand:
            await asyncio.sleep(0)
        written = taker.next(1, 0.0, ())
        assert taker.in_hand == 2
        assert await taker.file_orphans(lambda: [one.entry_id for one in written]) == 0

    playing(three, story)

    assert not InboundFrame.objects.exists()


def test_what_a_look_passed_over_is_taken_without_another_ring(hand: Hand) -> None:
    payment = hand.accept()
    for amount in (2, 3, 4):
        hand.accept(amount, priority=9)
    forwarding.forward()

    async def story(taker: Taker, slow: Slow) -> None:
        slow.go_on.set()
        while taker.in_hand < 3:
            await asyncio.sleep(0)
        assert len(taker.next(3, 0.0, ())) == 3
        taker.room_grew()
        while not taker.in_hand:
            await asyncio.sleep(0)
        (taken,) = taker.next(3, 0.0, ())
        assert taken.payment_id == payment.id

    playing(hand, story, capacity=3)


def test_what_expired_in_hand_goes_back_unsent(three: Hand) -> None:
    async def story(taker: Taker, slow: Slow) -> None:
        slow.go_on.set()
        while not taker.in_hand:
            await asyncio.sleep(0)
        assert taker.next(10, float(10**12), ()) == []
        await taker.give_back(failed=True)

    playing(three, story)

    assert states() == {"dispatched"}
    assert set(QueueEntry.objects.values_list("unsent_tries", flat=True)) == {0}


def test_a_repeat_waits_in_hand_while_an_earlier_write_of_it_is_in_flight(hand: Hand) -> None:
    hand.accept()
    hand.silence(hand.take()[0])
    (written,) = hand.take()
    hand.answer(written, "91")  # filed by the holder before us, while our own write of it still waits
    payment = hand.accept()
    QueueEntry.objects.filter(state="waiting").update(not_before=timezone.now())
    forwarding.forward()

    async def story(taker: Taker, slow: Slow) -> None:
        slow.go_on.set()
        while taker.in_hand < 2:
            await asyncio.sleep(0)
        (other,) = taker.next(10, 0.0, {written.key})
        assert other.payment_id == payment.id
        assert taker.next(10, 0.0, {written.key}) == []
        (repeat,) = taker.next(10, 0.0, ())
        assert (repeat.key, repeat.mti) == (written.key, "0421")

    playing(hand, story)
