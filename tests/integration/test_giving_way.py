"""Two that each hold what the other wants: one gives way and begins again, and whoever asked for it is told the end."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.conf import settings
from django.db import connection

from queueing import lanes, queue
from queueing.database import rows
from queueing.models import Lane, QueueEntry
from staff.audit import Actor
from tests.integration.conftest import Hand, answering, status_of
from tests.integration.test_settling import settling_beside, wait_until_one_waits_for_a_lock
from transactions import asking, auditing, bulk, following, forwarding, missing, recovery, services
from transactions.accepting import put
from transactions.actions import ACTIONS
from transactions.domain.errors import NotAllowed
from transactions.domain.values import Operation, ReasonCode
from transactions.following import FollowUp, follow
from transactions.models import Payment

OPAL = Actor("opal", may=lambda _: True)


@pytest.fixture(autouse=True)
def everything_holds(hand: Hand) -> object:
    """Whoever gives way, the invariants hold afterwards."""
    yield
    assert [str(violation) for violation in auditing.violations()] == []


@pytest.fixture
def first_to_look(hand: Hand) -> Iterator[None]:
    """This connection finds a deadlock before any other does, and so is the one that ends for it."""
    with connection.cursor() as cursor:
        cursor.execute("SET deadlock_timeout = '10ms'")
        yield
        cursor.execute("RESET deadlock_timeout")


@pytest.fixture
def patient_for_a_moment(hand: Hand) -> Iterator[None]:
    """What this connection cannot lock within a few seconds, it waits for in vain."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '5s'")
        yield
        cursor.execute("RESET lock_timeout")


class Late:
    """A function before whose first call here another thread begins, and comes as far as to wait for a lock."""

    def __init__(self, late: Callable[..., Any], other: threading.Thread) -> None:
        self._late = late
        self._other = other
        self._here = threading.get_ident()
        self.calls = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if threading.get_ident() == self._here:
            self.calls += 1
            if self.calls == 1:
                self._other.start()
                wait_until_one_waits_for_a_lock()
        return self._late(*args, **kwargs)


def cancelling_beside(payment: Payment) -> threading.Thread:
    """Whoever cancels the next of a lane: its entry first, then the lane; not begun. In the end nothing is changed."""

    def cancel() -> None:
        with psycopg.connect(settings.DATABASE_DIRECT_URL) as other:
            other.execute("SELECT 1 FROM queueing_queueentry WHERE payment_id = %s FOR UPDATE", (payment.id,))
            other.execute("SELECT 1 FROM queueing_lane FOR UPDATE")

    return threading.Thread(target=cancel)


@pytest.mark.usefixtures("first_to_look")
class TestInALane:
    """Whoever ends the head has its lane and wants the next; whoever cancels the next has that and wants the lane."""

    @pytest.fixture
    def lane(self, hand: Hand) -> tuple[Payment, Payment]:
        head, following = hand.accept(1, lane="a"), hand.accept(2, lane="a")
        hand.file(answering(hand.take()[0]))
        return head, following

    def test_a_cancel_that_gives_way_to_the_settling_is_done(
        self, lane: tuple[Payment, Payment], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        late = Late(queue.close, settler := settling_beside())
        monkeypatch.setattr(queue, "close", late)

        services.cancel(lane[1].id, actor="api:test", reason=ReasonCode.CANCELLED_BY_CLIENT)
        settler.join()

        assert late.calls > 1
        assert [status_of(payment) for payment in lane] == ["approved", "cancelled"]
        assert not Lane.objects.exists()

    def test_so_is_one_of_a_job_whose_item_is_in_a_larger_transaction(
        self, lane: tuple[Payment, Payment], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        late = Late(queue.close, settler := settling_beside())
        monkeypatch.setattr(queue, "close", late)
        job = bulk.begin(ACTIONS["cancel"], [lane[1].id], OPAL, "the shop closed")

        bulk.work()
        settler.join()

        assert late.calls > 1
        assert bulk.progress(job) == {"done": 1}
        assert [status_of(payment) for payment in lane] == ["approved", "cancelled"]

    def test_recovery_that_gives_way_to_a_cancel_goes_on(
        self, hand: Hand, monkeypatch: pytest.MonkeyPatch, rings: list[tuple[str, float]]
    ) -> None:
        head, following = hand.accept(1, lane="a", expires_in_s=-1), hand.accept(2, lane="a")
        late = Late(rows, other := cancelling_beside(following))
        monkeypatch.setattr(lanes, "rows", late)
        rings.clear()

        recovery.recover()
        other.join()

        assert late.calls > 1
        assert [status_of(payment) for payment in (head, following)] == ["expired", "queued"]
        assert {"forward"} == {queue for queue, _ in rings}

    def test_forwarding_that_gives_way_to_a_cancel_goes_on(self, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
        head, following = hand.accept(1, lane="a", expires_in_s=-1), hand.accept(2, lane="a")
        late = Late(rows, other := cancelling_beside(following))
        monkeypatch.setattr(lanes, "rows", late)
        monkeypatch.setitem(forwarding._alone, "bank", 0)

        forwarding.forward()
        other.join()

        assert late.calls > 1
        assert [status_of(payment) for payment in (head, following)] == ["expired", "in_flight"]

    def test_a_capture_that_gives_way_to_the_settling_of_another_is_accepted(
        self, hand: Hand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever settles a child has its lane and wants the original; the next one has that and wants the lane."""
        original = hand.accept(1000, operation=Operation.AUTHORISATION)
        hand.answer(hand.take()[0])
        first = capture(hand, original, "first")
        hand.file(answering(hand.take()[0]))
        late = Late(put, settler := settling_beside())
        monkeypatch.setattr(following, "put", late)

        second = capture(hand, original, "second")
        settler.join()

        assert late.calls > 1
        assert [status_of(payment) for payment in (first, second)] == ["approved", "queued"]
        original.refresh_from_db()
        assert original.captured_amount == 100


def capture(hand: Hand, original: Payment, key: str) -> Payment:
    receipt = follow(
        FollowUp(Operation.CAPTURE, original.id, 100, lane="a"),
        merchant_id=hand.merchant.id,
        idempotency_key=key,
        actor="api:test",
        request_id="request",
    )
    return Payment.objects.get(id=receipt.payment.id)


def test_what_a_refused_cancel_kept_locked_is_rung_for(
    hand: Hand, monkeypatch: pytest.MonkeyPatch, rings: list[tuple[str, float]]
) -> None:
    """A claim passes over what is locked: without a ring it would wait for the next recovery."""
    payment = hand.accept()
    hand.silence(hand.take()[0])
    assert QueueEntry.objects.get().state == "ready"
    judge = asking.cancelling

    def while_a_claim_passes_over(*args: Any) -> asking.Wish:
        forwarder = threading.Thread(target=forward_apart)
        forwarder.start()
        forwarder.join(timeout=30)
        assert QueueEntry.objects.get().state == "ready"
        return judge(*args)

    monkeypatch.setattr(asking, "cancelling", while_a_claim_passes_over)
    rings.clear()
    with pytest.raises(NotAllowed):
        services.cancel(payment.id, actor="api:test", reason=ReasonCode.CANCELLED_BY_CLIENT)

    assert rings[-1] == ("forward", 0.0)


def forward_apart() -> None:
    forwarding.forward()
    connection.close()


@pytest.mark.usefixtures("patient_for_a_moment")
def test_who_looks_for_what_is_missing_waits_for_no_entry(hand: Hand) -> None:
    """Others lock an entry, then its payment: who does it the other way meets them."""
    payment = hand.accept()
    (first,) = hand.take()
    hand.answer(first, "91")
    hand.stray(first)
    assert list(QueueEntry.objects.order_by("id").values_list("kind", flat=True)) == ["request", "reversal"]
    QueueEntry.objects.filter(kind="reversal").delete()

    with psycopg.connect(settings.DATABASE_DIRECT_URL) as other:
        other.execute("SELECT 1 FROM queueing_queueentry WHERE payment_id = %s FOR UPDATE", (payment.id,))
        missing.find_missing()

    assert QueueEntry.objects.filter(kind="reversal", reverses=1).count() == 1
