"""A payment crosses, and its merchant is told; whoever dies on the way, it is told in the end."""

from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import Ferry
from tests.receiver import Receiver, answering, receiving
from tests.stack import wait_until

PAN = "4111111111111111"
TOLD_WITHIN_S = 20


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who takes everything."""
    with receiving() as listening:
        yield listening


@pytest.fixture
def told(ferry: Ferry) -> Ferry:
    """Everything prepared, and receivers on this machine are allowed."""
    ferry.settings["WEBHOOK_PRIVATE_ADDRESSES"] = "1"
    return ferry


def set_off(ferry: Ferry) -> None:
    """Start everything."""
    ferry.start("simulator", "web", "worker", "link", "beat")
    ferry.wait_until_up()


def subscribe(ferry: Ferry, receiver: Receiver) -> str:
    """Have a receiver told; returns the secret."""
    with ferry.client() as client:
        answer = client.post("/webhook-endpoints", json={"url": receiver.url})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["secret"])


def states(ferry: Ferry) -> dict[str, int]:
    """How many deliveries are in which state."""
    found = ferry.sql("SELECT state, count(*) AS n FROM transactions_webhookdelivery GROUP BY state")
    return {row.state: row.n for row in found}


def test_a_payment_crosses_and_its_merchant_is_told(told: Ferry, receiver: Receiver) -> None:
    set_off(told)
    secret = subscribe(told, receiver)

    with told.client() as client:
        payment = told.post(client, 100, wait=30, reference="order-7")
    wait_until(lambda: receiver.received, TOLD_WITHIN_S, "the webhook arrived")

    said = receiver.received[0].verified(secret)
    assert (said["type"], said["data"]) == ("payment.approved", payment)
    wait_until(lambda: states(told) == {"delivered": 1}, TOLD_WITHIN_S, "it is known to have arrived")


def test_a_receiver_that_was_away_is_told_everything_once_it_is_back(told: Ferry, receiver: Receiver) -> None:
    set_off(told)
    secret = subscribe(told, receiver)
    receiver.manner = answering(503)
    ids = told.post_all([100] * 20, expires_in=3600)
    told.wait_until_ended(30)
    wait_until(lambda: receiver.received, TOLD_WITHIN_S, "it was tried")

    receiver.manner = answering(200)
    wait_until(lambda: states(told) == {"delivered": 20}, 60, "all have arrived")

    assert {request.verified(secret)["data"]["id"] for request in receiver.received} == set(ids)
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 20


def test_no_secret_lies_about_in_the_clear(told: Ferry, receiver: Receiver) -> None:
    """S1: neither the card nor the signing secret stands in a table, a log or what is sent."""
    set_off(told)
    secret = subscribe(told, receiver)
    receiver.manner = answering(500, f"we echo {PAN}".encode())
    told.post_all([100], expires_in=3600)
    wait_until(lambda: told.sql("SELECT 1 FROM transactions_webhookattempt"), TOLD_WITHIN_S, "it was tried")

    tables = ("endpoint", "message", "delivery", "attempt", "replay")
    rows = [str(told.sql(f"SELECT t::text AS row FROM transactions_webhook{name} t")) for name in tables]
    logs = [process.log.read_text() for process in told.processes.values()]
    for found in (*rows, *logs, receiver.received[0].body.decode()):
        assert PAN not in found
        assert secret.removeprefix("whsec_") not in found
    assert secret.removeprefix("whsec_").encode().hex() not in rows[0]
