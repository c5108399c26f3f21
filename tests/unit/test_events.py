"""Events as they are kept: written and read by one serialiser, for ever."""

from typing import Any
from uuid import uuid4

import msgspec
import pytest

from tests.builders import NOON, PAYMENT_ID, accepted, dispatched, payment, reversal_required
from transactions.domain import events as e
from transactions.domain.errors import ImpossibleEvent, UnknownEvent
from transactions.domain.evolve import evolve, fold
from transactions.domain.values import Balance, Operation, ReasonCode, Status
from transactions.store import FIRST_HEAD, chained

EVERY_EVENT: tuple[e.Event, ...] = (
    accepted(metadata={"branch": "Menteng", "count": 3}),
    dispatched(),
    e.Recalled(1, ReasonCode.LINK_UNAVAILABLE, NOON),
    e.Approved(1, "00", "123456", "H1", (Balance(None, "001", "IDR", 5),)),
    e.AttemptDeclined(1, "91", NOON),
    e.Declined(ReasonCode.DECLINED_BY_HOST, "51", 1),
    e.Failed(ReasonCode.HOST_TIMEOUT, 1),
    reversal_required(),
    e.Unaccepted(2, ReasonCode.HOST_TIMEOUT, NOON),
    e.Reversed(1, 2, "00"),
    e.AnswerNoted(1, "00", approval=True),
    e.Held(ReasonCode.CANNOT_BE_ENCODED),
    e.RetryRequested("why"),
    e.Resolved(1, Status.REVERSED, "letter of the bank"),
    e.Cancelled(ReasonCode.CANCELLED_BY_STAFF, "why"),
    e.Expired(),
    e.ChildApproved(uuid4(), Operation.REFUND, 100),
)


def test_every_kind_of_event_is_tried_here() -> None:
    assert {type(event) for event in EVERY_EVENT} == set(e.EVENT_TYPES.values())


@pytest.mark.parametrize("event", EVERY_EVENT, ids=lambda event: type(event).__name__)
def test_what_is_written_is_read_again(event: e.Event) -> None:
    kind, content = e.event_to_data(event)
    through_json = msgspec.json.decode(msgspec.json.encode(content))

    assert e.event_from_data(kind, through_json) == event


@pytest.mark.parametrize(
    ("kind", "content"),
    [("Teleported", {"v": 1}), ("Expired", {"v": 2}), ("Expired", {}), ("Approved", {"v": 1, "attempt": "one"})],
)
def test_what_newer_code_wrote_is_not_guessed_at(kind: str, content: dict[str, object]) -> None:
    with pytest.raises(UnknownEvent):
        e.event_from_data(kind, content)


def test_a_history_that_cannot_be_is_refused() -> None:
    with pytest.raises(ImpossibleEvent):
        fold(PAYMENT_ID, [])
    with pytest.raises(ImpossibleEvent):
        evolve(None, dispatched(), PAYMENT_ID)
    with pytest.raises(ImpossibleEvent):
        payment(e.Approved(1, "00"))
    with pytest.raises(ImpossibleEvent):
        evolve(payment(), accepted(), PAYMENT_ID)


def test_the_hash_speaks_of_everything_in_the_event() -> None:
    whole: tuple[Any, ...] = (FIRST_HEAD, PAYMENT_ID, 1, "Expired", {"v": 1, "reason": "x"}, "api:k", NOON)
    changes = [
        (0, bytes(31) + b"\1"),
        (1, uuid4()),
        (2, 2),
        (3, "Failed"),
        (4, {"v": 1, "reason": "y"}),
        (5, "api:l"),
        (6, NOON.replace(microsecond=1)),
    ]

    variants = [[*whole[:place], value, *whole[place + 1 :]] for place, value in changes]
    hashes = {chained(*variant) for variant in [list(whole), *variants]}

    assert len(hashes) == len(changes) + 1


def test_the_order_of_members_does_not_matter_to_the_hash() -> None:
    first = chained(FIRST_HEAD, PAYMENT_ID, 1, "X", {"a": 1, "b": {"c": 2, "d": 3}}, "", NOON)

    assert first == chained(FIRST_HEAD, PAYMENT_ID, 1, "X", {"b": {"d": 3, "c": 2}, "a": 1}, "", NOON)


class TestChildren:
    approved = (dispatched(), e.Approved(1, "00"))

    def test_captures_and_refunds_add_up(self) -> None:
        state = payment(
            *self.approved,
            e.ChildApproved(uuid4(), Operation.CAPTURE, 300),
            e.ChildApproved(uuid4(), Operation.CAPTURE, 200),
            e.ChildApproved(uuid4(), Operation.REFUND, 100),
        )

        assert (state.captured_minor, state.refunded_minor) == (500, 100)

    def test_a_void_is_remembered(self) -> None:
        child = uuid4()

        assert payment(*self.approved, e.ChildApproved(child, Operation.VOID, 1)).voided_by == child
