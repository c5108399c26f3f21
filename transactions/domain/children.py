"""What may follow an approved payment: capture, refund and void, each a payment of its own.

What was asked for and has not ended counts as done: a child whose end is unknown keeps what it reserves.
"""

import msgspec

from transactions.domain.errors import NotAllowed
from transactions.domain.state import PaymentState
from transactions.domain.values import Instruction, Operation, Original, Status

_REFUNDABLE = (Operation.PURCHASE, Operation.BILL_PAYMENT)


class Reserved(msgspec.Struct, frozen=True):
    """What the children of a payment that have not ended hold of it, in minor units."""

    capture: int = 0
    refund: int = 0
    void: int = 0


NOTHING = Reserved()


def child_instruction(
    original: PaymentState, operation: Operation, amount_minor: int | None, reserved: Reserved = NOTHING
) -> Instruction:
    """Return the instruction of a capture, refund or void, of all that is left where no amount is given.

    Raises NotAllowed with the reason for people.
    """
    left = _left(original, operation, reserved)
    amount = left if amount_minor is None else amount_minor
    if amount > left:
        raise NotAllowed(f"Of this payment {left} can still be {_DONE[operation]}, in minor units.")
    if operation is Operation.VOID and amount != original.instruction.amount_minor:
        raise NotAllowed("A void is of the whole amount.")
    parent = original.instruction
    return Instruction(
        operation=operation,
        amount_minor=amount,
        currency=parent.currency,
        terminal_id=parent.terminal_id,
        card_acceptor_id=parent.card_acceptor_id,
        masked_pan=parent.masked_pan,
        source_account=parent.source_account,
        destination_account=parent.destination_account,
        original=_reference(original),
    )


def _left(original: PaymentState, operation: Operation, reserved: Reserved) -> int:
    if original.status is not Status.APPROVED:
        raise NotAllowed(f"The payment is {original.status}; only an approved one can be followed up.")
    if original.voided_by is not None:
        raise NotAllowed("The payment was voided.")
    if reserved.void:
        raise NotAllowed("A void of this payment is on its way; its end decides what can follow.")
    left = _LEFT[operation](original, reserved)
    if left <= 0:
        raise NotAllowed(f"Nothing of this payment is left to be {_DONE[operation]}.")
    return left


def _reference(original: PaymentState) -> Original:
    attempt = original.attempt(original.accepted_attempt or 0)
    if attempt is None:
        raise NotAllowed("The payment has no approved attempt to refer to.")
    return Original(
        payment_id=original.id,
        operation=original.instruction.operation,
        mti=attempt.mti,
        stan=attempt.stan,
        transmitted_at=attempt.transmitted_at,
        rrn=attempt.rrn,
        authorisation_code=original.authorisation_code,
    )


def _capturable(original: PaymentState, reserved: Reserved) -> int:
    if original.instruction.operation is not Operation.AUTHORISATION:
        raise NotAllowed("Only an authorisation is captured; this payment moved its money already.")
    return original.instruction.amount_minor - original.captured_minor - reserved.capture


def _refundable(original: PaymentState, reserved: Reserved) -> int:
    """Of an authorisation, what the bank has accepted as captured; what is on its way to it is not paid yet."""
    if original.instruction.operation is Operation.AUTHORISATION:
        moved = original.captured_minor
    elif original.instruction.operation in _REFUNDABLE:
        moved = original.instruction.amount_minor
    else:
        raise NotAllowed(f"A {_spoken(original.instruction.operation)} is not refunded.")
    return moved - original.refunded_minor - reserved.refund


def _voidable(original: PaymentState, reserved: Reserved) -> int:
    if not original.instruction.operation.moves_money or original.instruction.operation.is_child:
        raise NotAllowed(f"A {_spoken(original.instruction.operation)} is not voided.")
    if original.captured_minor or original.refunded_minor:
        raise NotAllowed("Part of this payment was captured or refunded; it cannot be voided as a whole.")
    if reserved.capture or reserved.refund:
        raise NotAllowed("A capture or refund of this payment is on its way; it cannot be voided as a whole.")
    return original.instruction.amount_minor


def _spoken(operation: Operation) -> str:
    return operation.value.replace("_", " ")


_LEFT = {Operation.CAPTURE: _capturable, Operation.REFUND: _refundable, Operation.VOID: _voidable}
_DONE = {Operation.CAPTURE: "captured", Operation.REFUND: "refunded", Operation.VOID: "voided"}
