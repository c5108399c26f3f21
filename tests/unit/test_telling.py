"""What a merchant heard, held against what there was to tell: what is in order is, and what is not is named (H1)."""

import uuid
from types import SimpleNamespace
from typing import Any

from tests.faults.telling import Heard, Telling, digest, violations, webhook_id

PAYMENT, MESSAGE = uuid.UUID(int=1), uuid.UUID(int=2)
BODY = '{"type":"payment.approved"}'
ID = webhook_id(MESSAGE)


def heard(body: str = BODY, taken: int = 1) -> Heard:
    return Heard(times=2, digests={digest(body.encode())}, taken=taken)


def judged(**differently: Any) -> list[str]:
    """Judge one payment that was approved and told twice, or what a test makes of it."""
    usual: dict[str, Any] = {
        "ended": [SimpleNamespace(id=PAYMENT, status="approved")],
        "messages": [SimpleNamespace(id=MESSAGE, payment_id=PAYMENT, type="payment.approved", body=BODY)],
        "deliveries": [SimpleNamespace(message_id=MESSAGE, state="delivered")],
        "heard": {ID: heard()},
    }
    return [found.partition(":")[0] for found in violations(Telling(**{**usual, **differently}))]


def test_what_came_twice_with_one_id_is_in_order() -> None:
    assert judged() == []


def test_an_end_that_nobody_was_told_is_named() -> None:
    assert judged(messages=[], deliveries=[], heard={}) == ["h1_every_end_is_a_message"]


def test_an_end_that_was_told_otherwise_is_named() -> None:
    assert judged(ended=[SimpleNamespace(id=PAYMENT, status="reversed")]) == ["h1_every_end_is_a_message"]


def test_what_is_still_owed_or_was_taken_by_nobody_is_named() -> None:
    assert judged(deliveries=[]) == ["h1_delivered_or_seen_to_be_given_up"]
    assert judged(deliveries=[SimpleNamespace(message_id=MESSAGE, state="pending")]) == [
        "h1_delivered_or_seen_to_be_given_up"
    ]
    assert judged(heard={ID: heard(taken=0)}) == ["h1_delivered_or_seen_to_be_given_up"]


def test_each_delivery_of_one_message_is_told_of() -> None:
    first, replayed = (SimpleNamespace(message_id=MESSAGE, state=state) for state in ("delivered", "pending"))

    assert judged(deliveries=[replayed, first]) == ["h1_delivered_or_seen_to_be_given_up"]
    assert judged(deliveries=[first, first]) == ["h1_delivered_or_seen_to_be_given_up"]
    assert judged(deliveries=[first, first], heard={ID: heard(taken=2)}) == []


def test_what_is_given_up_may_have_been_heard_by_nobody() -> None:
    assert judged(deliveries=[SimpleNamespace(message_id=MESSAGE, state="exhausted")], heard={}) == []


def test_what_was_said_before_its_commit_is_named() -> None:
    unknown = webhook_id(uuid.UUID(int=3))
    assert judged(heard={ID: heard(), unknown: heard()}) == ["h1_nothing_is_told_that_was_not_committed"]


def test_another_wording_under_the_same_id_is_named() -> None:
    assert judged(heard={ID: heard("{}")}) == ["h1_nothing_is_told_that_was_not_committed"]
