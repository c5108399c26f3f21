"""Accepting: one statement, one payment a key, durable and queued before it is acknowledged."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from processor import links
from queueing.models import Lane, QueueEntry
from tests.builders import PAN
from tests.integration.conftest import Forgetful, Hand
from transactions.accepting import BacklogFull, KeyReused, OrderRefused
from transactions.domain.values import Operation
from transactions.models import Event, Payment


def test_a_payment_its_first_event_and_its_entry_come_together(hand: Hand, rings: list[tuple[str, float]]) -> None:
    payment = hand.accept(reference="order-1", metadata={"branch": "Menteng"})

    entry = QueueEntry.objects.get(payment_id=payment.id)
    assert (payment.status, payment.version, payment.masked_pan) == ("queued", 1, "411111******1111")
    assert (entry.state, entry.kind, entry.priority) == ("ready", "request", 5)
    assert Event.objects.get(payment_id=payment.id).type == "Accepted"
    assert rings == [("forward", 0.0)]


def test_no_clear_card_number_is_stored_anywhere(hand: Hand) -> None:
    payment = hand.accept()
    hand.take()

    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT string_agg(t::text, '') FROM (SELECT p::text AS t FROM transactions_payment p UNION ALL "
            "SELECT e::text FROM transactions_event e UNION ALL SELECT q::text FROM queueing_queueentry q) AS every"
        )
        dump = cursor.fetchone()[0]
    assert str(payment.id) in dump
    assert PAN not in dump
    assert PAN.encode().hex() not in dump


@pytest.mark.parametrize(
    ("operation", "lifetime"),
    [(Operation.PURCHASE, timedelta(seconds=60)), (Operation.TRANSFER, timedelta(days=7))],
)
def test_who_waits_at_a_counter_waits_a_minute(hand: Hand, operation: Operation, lifetime: timedelta) -> None:
    payment = hand.accept(operation=operation)

    assert abs(payment.expires_at - timezone.now() - lifetime) < timedelta(seconds=5)


def test_the_same_key_is_the_same_payment(hand: Hand) -> None:
    first, again = hand.receive(key="k"), hand.receive(key="k")

    assert not first.replayed
    assert again.replayed
    assert again.payment.id == first.payment.id
    assert Payment.objects.count() == QueueEntry.objects.count() == Event.objects.count() == 1


def test_the_same_key_for_another_body_writes_nothing(hand: Hand) -> None:
    hand.receive(100, key="k")

    with pytest.raises(KeyReused):
        hand.receive(200, key="k")
    assert Payment.objects.count() == 1


@pytest.mark.parametrize("amounts", [[100] * 50, [100, 200] * 25], ids=["one body", "two bodies"])
def test_fifty_at_once_with_one_key_make_one_payment(hand: Hand, amounts: list[int]) -> None:
    def post(amount: int) -> Any:
        try:
            return hand.receive(amount, key="race").payment.id
        except KeyReused:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(50) as pool:
        ids = list(pool.map(post, amounts))

    assert Payment.objects.count() == QueueEntry.objects.count() == 1
    winner = Payment.objects.get()
    assert [winner.id if amount == winner.amount else None for amount in amounts] == ids


def test_accepting_is_one_statement(hand: Hand, statements: list[str]) -> None:
    hand.receive()
    statements.clear()

    hand.receive(key="another")

    assert len(statements) == 1


def test_an_unknown_link_is_refused(hand: Hand) -> None:
    with pytest.raises(OrderRefused) as caught:
        hand.receive(link="nowhere")
    assert caught.value.errors[0][:2] == ("/link", "unknown")


def test_what_the_links_dialect_cannot_carry_is_refused_at_the_door(hand: Hand) -> None:
    with pytest.raises(OrderRefused) as caught:
        hand.receive(operation=Operation.WITHDRAWAL, source_account="1", pin_block=bytes(8), terminal_id="T" * 16)
    assert [error[0] for error in caught.value.errors] == ["/card/pin_block"]


class TestABacklogOverItsLimit:
    @pytest.fixture(autouse=True)
    def limit(self, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        settings.BACKLOG_LIMIT = 2
        monkeypatch.setattr("queueing.backlog._remembered", Forgetful())

    def test_new_payments_are_refused(self, hand: Hand) -> None:
        for _ in range(3):
            hand.receive()

        with pytest.raises(BacklogFull):
            hand.receive()
        assert Payment.objects.count() == 3

    def test_it_is_each_links_own(self, hand: Hand) -> None:
        for _ in range(3):
            hand.receive()
        facts = {"dialect": "bank-ascii87", "framing": "ascii4", "terminal_id": "T", "card_acceptor_id": "C"}
        links.configure("other", facts, [("127.0.0.1", 2)])

        assert hand.receive(link="other").payment.link == "other"

    def test_counting_is_not_repeated_for_every_payment(self, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
        counted: list[str] = []

        def count(link: str, _: int) -> int:
            counted.append(link)
            return 0

        monkeypatch.setattr("queueing.backlog._remembered", {})
        monkeypatch.setattr("queueing.queue.waiting", count)

        for _ in range(5):
            hand.receive()

        assert counted == ["bank"]

    def test_replays_are_answered_all_the_same(self, hand: Hand) -> None:
        first = hand.receive(key="k")
        for _ in range(2):
            hand.receive()

        assert hand.receive(key="k").payment.id == first.payment.id
        with pytest.raises(KeyReused):
            hand.receive(999, key="k")


class TestLanes:
    def test_the_first_of_a_lane_may_move_and_the_rest_wait(self, hand: Hand) -> None:
        payments = [hand.accept(lane="a") for _ in range(3)]
        other = hand.accept(lane="b")

        states = {entry.payment_id: entry.state for entry in QueueEntry.objects.all()}
        assert [states[payment.id] for payment in payments] == ["ready", "blocked", "blocked"]
        assert states[other.id] == "ready"
        assert Lane.objects.get(lane=f"{hand.merchant.id}/a").open == 3

    def test_lanes_of_two_merchants_are_two_lanes(self, hand: Hand) -> None:
        hand.accept(lane="a")
        hand.merchant = type(hand.merchant).objects.create(name="Toko Buku")
        payment = hand.accept(lane="a", key="x")

        assert QueueEntry.objects.get(payment_id=payment.id).state == "ready"
