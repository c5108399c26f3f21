"""`POST payments/batch`: a key and a result each, in one statement; what is refused stops no other."""

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from queueing.models import Lane, QueueEntry
from tests.builders import PAN
from tests.integration.conftest import Forgetful, Hand
from tests.integration.test_api import PURCHASE, is_problem, key_of, post
from transactions import auditing
from transactions.accepting import KeyReused, Order
from transactions.api import auth, throttle
from transactions.api.examples import BATCH_EXAMPLE
from transactions.batching import Item, accept_many
from transactions.domain.values import Operation
from transactions.models import Event, Payment
from transactions.sealing import open_pin

Send = Callable[..., Any]


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    auth._remembered.clear()
    throttle._buckets.clear()


@pytest.fixture
def api(hand: Hand) -> Client:
    return Client(headers={"Authorization": f"Bearer {key_of(hand.merchant, 'read', 'pay')}"})


@pytest.fixture
def send(api: Client) -> Send:
    def send_items(*items: Any, **headers: str) -> Any:
        return api.post("/api/v1/payments/batch", json.dumps({"payments": items}), "application/json", headers=headers)

    return send_items


def item(key: str | None = None, **changes: Any) -> dict[str, Any]:
    return {"idempotency_key": key or str(uuid.uuid4()), "payment": {**PURCHASE, **changes}}


def order(amount: int = 100, **details: Any) -> Order:
    return Order(Operation.PURCHASE, amount, "IDR", pan=PAN, **details)


def take_in(hand: Hand, *items: Item) -> list[Any]:
    return accept_many(items, merchant_id=hand.merchant.id, actor="api:test", request_id="request")


def statuses(response: Any) -> list[int]:
    assert response.status_code == 200, response.json()
    return [result["status"] for result in response.json()["items"]]


def test_each_payment_is_what_it_would_be_alone(hand: Hand, send: Send, api: Client) -> None:
    alone = post(api, {**PURCHASE, "reference": "order-1"}).json()

    (result,) = send(item(reference="order-1")).json()["items"]

    differing = {name for name, value in result["payment"].items() if alone[name] != value}
    assert (result["status"], result["replayed"], result["problem"]) == (202, False, None)
    assert differing == {"id", "created_at", "updated_at", "expires_at"}
    assert Event.objects.get(payment_id=result["payment"]["id"]).type == "Accepted"
    for taken in hand.take():
        hand.answer(taken)
    assert set(Payment.objects.values_list("status", flat=True)) == {"approved"}
    assert list(map(str, auditing.violations())) == []


def test_the_documented_example_is_accepted(send: Send) -> None:
    assert statuses(send(*BATCH_EXAMPLE["payments"])) == [202, 202]


def test_they_go_in_the_order_they_came_in(hand: Hand, send: Send) -> None:
    response = send(*(item(amount=amount) for amount in (300, 100, 200)))

    ids = [result["payment"]["id"] for result in response.json()["items"]]
    assert [str(entry.payment_id) for entry in QueueEntry.objects.order_by("id")] == ids


def test_what_is_refused_stops_no_other(send: Send) -> None:
    response = send(item(), item(amount=-1), {"payment": PURCHASE}, "nonsense", item(link="nowhere"), item("a,b"))

    assert statuses(response) == [202, 422, 400, 422, 422, 400]
    assert response.json()["items"][1]["problem"]["errors"][0]["pointer"] == "/amount"
    assert Payment.objects.count() == 1


def test_a_replay_and_another_body_are_told_apart(send: Send) -> None:
    send(item("a"), item("b"))

    response = send(item("a"), item("b", amount=200), item("c"))

    assert statuses(response) == [202, 422, 202]
    assert [result["replayed"] for result in response.json()["items"]] == [True, False, False]
    assert Payment.objects.count() == 3


def test_a_key_twice_in_a_batch_is_one_payment(send: Send) -> None:
    response = send(item("a"), item("a"), item("a", amount=200))

    assert statuses(response) == [202, 202, 422]
    first, again, _ = response.json()["items"]
    assert first["payment"]["id"] == again["payment"]["id"]


def test_a_key_of_a_single_post_is_the_same_key(send: Send, api: Client) -> None:
    first = post(api, key="a").json()

    (again,) = send(item("a")).json()["items"]
    assert (again["payment"]["id"], again["replayed"]) == (first["id"], True)


@pytest.mark.parametrize("body", [{}, [], {"payments": []}, {"payments": {}}, {"payments": [1], "more": 1}])
def test_a_body_that_is_no_batch_is_422(api: Client, body: Any) -> None:
    response = api.post("/api/v1/payments/batch", json.dumps(body), "application/json")

    assert is_problem(response, 422, "invalid")


def test_a_thousand_are_taken_and_one_more_is_not(send: Send) -> None:
    items = [item() for _ in range(1001)]

    assert is_problem(send(*items), 422, "invalid")
    assert set(statuses(send(*items[:1000]))) == {202}
    assert Payment.objects.count() == QueueEntry.objects.count() == 1000


def test_a_body_over_its_size_is_413(api: Client) -> None:
    response = api.post("/api/v1/payments/batch", b" " * 1_000_001, "application/json")

    assert is_problem(response, 413, "too-large")


def test_it_needs_the_scope(hand: Hand) -> None:
    reader = Client(headers={"Authorization": f"Bearer {key_of(hand.merchant, 'read')}"})

    assert is_problem(reader.post("/api/v1/payments/batch", b"{}", "application/json"), 403, "lacking-scope")


def test_one_that_comes_too_fast_has_its_replays_answered(send: Send, settings: Any) -> None:
    settings.RATE_LIMIT, settings.RATE_BURST = 0.1, 1
    send(item("a"), item("b"))

    response = send(item("a"), item("c"))

    assert statuses(response) == [202, 429]
    assert response.json()["items"][1]["retry_after"] > 1


def test_a_full_backlog_refuses_the_new_ones(hand: Hand, send: Send, settings: Any, monkeypatch: Any) -> None:
    send(item("a"))
    settings.BACKLOG_LIMIT = 0
    monkeypatch.setattr("queueing.backlog._remembered", Forgetful())

    assert statuses(send(item("a"), item())) == [202, 503]


def test_lanes_are_counted_and_only_their_heads_may_move(hand: Hand) -> None:
    hand.accept(lane="b")
    lanes = ["a", "b", None, "a", "b", "c"]

    receipts = take_in(hand, *(Item(f"key-{n}-x", order(lane=lane)) for n, lane in enumerate(lanes)))

    states = {entry.payment_id: entry.state for entry in QueueEntry.objects.all()}
    assert [states[receipt.payment.id] for receipt in receipts] == [
        "ready", "blocked", "ready", "blocked", "blocked", "ready",
    ]  # fmt: skip
    open_ones = {lane.lane.split("/")[1]: lane.open for lane in Lane.objects.all()}
    assert open_ones == {"a": 2, "b": 3, "c": 1}
    assert list(map(str, auditing.violations())) == []


def test_a_pin_block_and_metadata_arrive_as_they_do_alone(hand: Hand) -> None:
    details = {"pin_block": bytes(range(32)), "source_account": "1", "metadata": {"né": "\\u00e9 \u2028 '%s'"}}
    (receipt,) = take_in(
        hand, Item("a", Order(Operation.WITHDRAWAL, 100, "IDR", pan=PAN, expiry="3012", **details))  # type: ignore[arg-type]
    )  # fmt: skip

    payment = Payment.objects.get(id=receipt.payment.id)
    assert payment.metadata == details["metadata"]
    pin = QueueEntry.objects.get().pin
    assert pin is not None
    assert open_pin(bytes(pin), payment.id) == details["pin_block"]


def test_two_batches_with_the_same_keys_at_once_make_one_payment_each(hand: Hand) -> None:
    items = [Item(f"key-{number}", order(lane=str(number % 3))) for number in range(50)]
    other = [Item(item.idempotency_key, order(200)) for item in items[:10]]

    def take(batch: list[Item]) -> list[Any]:
        try:
            return take_in(hand, *batch)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(take, [items, items[::-1], other, items, other[::-1], items[10:], items[::-1], items]))

    assert Payment.objects.count() == QueueEntry.objects.count() == 50
    by_key = {payment.idempotency_key: payment for payment in Payment.objects.all()}
    for sent, result in zip(items, results[0], strict=True):
        winner = by_key[sent.idempotency_key]
        assert isinstance(result, KeyReused) if winner.amount == 200 else result.payment.id == winner.id
    assert list(map(str, auditing.violations())) == []


def test_a_batch_is_one_statement(hand: Hand, statements: list[str]) -> None:
    hand.receive()
    statements.clear()

    take_in(hand, *(Item(f"key-{number}-y", order()) for number in range(100)))

    assert len(statements) == 1
