"""What may follow an approved payment: capture, refund and void, each a payment of its own."""

from transactions.domain.errors import NotAllowed
from transactions.domain.state import PaymentState
from transactions.domain.values import Instruction, Operation, Original, Status

_REFUNDABLE = (Operation.PURCHASE, Operation.BILL_PAYMENT)


def child_instruction(original: PaymentState, operation: Operation, amount_minor: int) -> Instruction:
    """Return the instruction of a capture, refund or void; raises NotAllowed with the reason for people."""
    _RULES[operation](original, amount_minor)
    parent = original.instruction
    return Instruction(
        operation=operation,
        amount_minor=amount_minor,
        currency=parent.currency,
        terminal_id=parent.terminal_id,
        card_acceptor_id=parent.card_acceptor_id,
        masked_pan=parent.masked_pan,
        source_account=parent.source_account,
        destination_account=parent.destination_account,
        original=_reference(original),
    )


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


def _capture(original: PaymentState, amount_minor: int) -> None:
    _approved(original)
    if original.instruction.operation is not Operation.AUTHORISATION:
        raise NotAllowed("Only an authorisation is captured; this payment moved its money already.")
    if original.captured_minor + amount_minor > original.instruction.amount_minor:
        raise NotAllowed("The captures would be more than was authorised.")


def _refund(original: PaymentState, amount_minor: int) -> None:
    _approved(original)
    if original.instruction.operation is Operation.AUTHORISATION:
        moved = original.captured_minor
    elif original.instruction.operation in _REFUNDABLE:
        moved = original.instruction.amount_minor
    else:
        raise NotAllowed(f"A {original.instruction.operation} is not refunded.")
    if original.refunded_minor + amount_minor > moved:
        raise NotAllowed("The refunds would be more than was paid.")


def _void(original: PaymentState, amount_minor: int) -> None:
    _approved(original)
    if original.captured_minor or original.refunded_minor:
        raise NotAllowed("Part of this payment was captured or refunded; it cannot be voided as a whole.")
    if amount_minor != original.instruction.amount_minor:
        raise NotAllowed("A void is of the whole amount.")


def _approved(original: PaymentState) -> None:
    if original.status is not Status.APPROVED:
        raise NotAllowed(f"The payment is {original.status}; only an approved one can be followed up.")
    if original.voided_by is not None:
        raise NotAllowed("The payment was voided.")


_RULES = {Operation.CAPTURE: _capture, Operation.REFUND: _refund, Operation.VOID: _void}
