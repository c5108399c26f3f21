"""What may follow an approved payment."""

from uuid import uuid4

import pytest

from tests.builders import accepted, dispatched, payment
from transactions.domain import events as e
from transactions.domain.children import child_instruction
from transactions.domain.errors import NotAllowed
from transactions.domain.values import Operation

WHOLE = 1_250_000
PURCHASE = (accepted(), dispatched(), e.Approved(1, "00"))
AUTHORISATION = (accepted(Operation.AUTHORISATION), dispatched(), e.Approved(1, "00", "123456"))


def follows(story: tuple[e.Event, ...], operation: Operation, amount: int) -> bool:
    try:
        child_instruction(payment(*story), operation, amount)
    except NotAllowed:
        return False
    return True


def approved_child(operation: Operation, amount: int) -> e.ChildApproved:
    return e.ChildApproved(uuid4(), operation, amount)


def test_only_an_approved_payment_is_followed_up() -> None:
    assert not follows((accepted(), dispatched()), Operation.REFUND, 1)


def test_an_authorisation_is_captured_up_to_its_amount() -> None:
    partly = (*AUTHORISATION, approved_child(Operation.CAPTURE, 1_000_000))

    assert follows(AUTHORISATION, Operation.CAPTURE, WHOLE)
    assert follows(partly, Operation.CAPTURE, 250_000)
    assert not follows(partly, Operation.CAPTURE, 250_001)


def test_a_purchase_is_not_captured() -> None:
    assert not follows(PURCHASE, Operation.CAPTURE, 1)


def test_refunds_never_exceed_what_was_paid() -> None:
    assert follows((*PURCHASE, approved_child(Operation.REFUND, WHOLE - 1)), Operation.REFUND, 1)
    assert not follows((*PURCHASE, approved_child(Operation.REFUND, WHOLE)), Operation.REFUND, 1)


def test_of_an_authorisation_only_what_was_captured_is_refunded() -> None:
    assert not follows(AUTHORISATION, Operation.REFUND, 1)
    assert follows((*AUTHORISATION, approved_child(Operation.CAPTURE, 100)), Operation.REFUND, 100)


@pytest.mark.parametrize("operation", [Operation.DEPOSIT, Operation.WITHDRAWAL, Operation.TRANSFER])
def test_some_operations_are_not_refunded(operation: Operation) -> None:
    assert not follows((accepted(operation), dispatched(), e.Approved(1, "00")), Operation.REFUND, 1)


def test_a_void_is_of_the_whole_and_of_what_nothing_followed() -> None:
    assert follows(PURCHASE, Operation.VOID, WHOLE)
    assert not follows(PURCHASE, Operation.VOID, 1)
    assert not follows((*PURCHASE, approved_child(Operation.REFUND, 1)), Operation.VOID, WHOLE)
    assert not follows((*PURCHASE, approved_child(Operation.VOID, WHOLE)), Operation.REFUND, 1)
