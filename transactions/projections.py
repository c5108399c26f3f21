"""From a payment's state to its rows, and back: the read model is the fold of the events, in columns (E1).

Pure. The columns named here are the ones that `rebuild` compares.
"""

import uuid
from datetime import date, datetime
from typing import Any, Protocol

import msgspec

from transactions.domain.state import PaymentState
from transactions.domain.values import (
    Attempt,
    Balance,
    Instruction,
    MessageKind,
    Operation,
    Original,
    Outcome,
    Placement,
    ReasonCode,
    Status,
    Undoing,
)


class PaymentRow(Protocol):
    """A row of `transactions_payment`, from Django or from SQL."""

    id: uuid.UUID
    merchant_id: int
    idempotency_key: str
    fingerprint: str
    fingerprint_key: str
    request_id: str
    operation: str
    amount: int
    currency: str
    masked_pan: str | None
    source_account: str | None
    destination_account: str | None
    biller: str | None
    customer_number: str | None
    terminal_id: str
    card_acceptor_id: str
    original: Any
    link: str
    lane: str | None
    priority: int
    expires_at: datetime
    reference: str | None
    metadata: Any
    status: str
    version: int
    reason: str | None
    response_code: str | None
    authorisation_code: str | None
    accepted_attempt: int | None
    balances: Any
    captured_amount: int
    refunded_amount: int
    voided_by: uuid.UUID | None


class AttemptRow(Protocol):
    """A row of `transactions_attempt`."""

    number: int
    kind: str
    mti: str
    stan: int
    transmitted_at: datetime
    terminal_id: str
    rrn: str
    link: str
    business_date: date
    digest: str
    reverses: int | None
    repeats: int
    outcome: str
    undoing: str
    response_code: str | None
    authorisation_code: str | None
    host_rrn: str | None


def fixed_columns(state: PaymentState) -> dict[str, Any]:
    """Return what acceptance settled and nothing changes."""
    instruction, placement = state.instruction, state.placement
    return {
        "id": state.id,
        "merchant_id": placement.merchant_id,
        "idempotency_key": placement.idempotency_key,
        "fingerprint": placement.fingerprint,
        "fingerprint_key": placement.fingerprint_key,
        "request_id": placement.request_id,
        "operation": instruction.operation.value,
        "amount": instruction.amount_minor,
        "currency": instruction.currency,
        "masked_pan": instruction.masked_pan,
        "card_last4": instruction.masked_pan[-4:] if instruction.masked_pan else None,
        "source_account": instruction.source_account,
        "destination_account": instruction.destination_account,
        "biller": instruction.biller,
        "customer_number": instruction.customer_number,
        "terminal_id": instruction.terminal_id,
        "card_acceptor_id": instruction.card_acceptor_id,
        "original": msgspec.to_builtins(instruction.original),
        "link": placement.link,
        "lane": placement.lane,
        "priority": placement.priority,
        "expires_at": placement.expires_at,
        "reference": placement.reference,
        "metadata": dict(placement.metadata),
    }


def changing_columns(state: PaymentState) -> dict[str, Any]:
    """Return what later events may change."""
    shown = state.attempt(state.accepted_attempt) if state.accepted_attempt else state.current
    return {
        "status": state.status.value,
        "version": state.version,
        "reason": state.reason.value if state.reason else None,
        "response_code": state.response_code,
        "authorisation_code": state.authorisation_code,
        "accepted_attempt": state.accepted_attempt,
        "rrn": shown.rrn if shown else None,
        "host_rrn": shown.host_rrn if shown else None,
        "balances": msgspec.to_builtins(list(state.balances)) or None,
        "captured_amount": state.captured_minor,
        "refunded_amount": state.refunded_minor,
        "voided_by": state.voided_by,
    }


def attempt_columns(attempt: Attempt) -> dict[str, Any]:
    """Return an attempt's row, without what only the wire knows."""
    return {
        "number": attempt.number,
        "kind": attempt.kind.value,
        "mti": attempt.mti,
        "stan": attempt.stan,
        "transmitted_at": attempt.transmitted_at,
        "terminal_id": attempt.terminal_id,
        "rrn": attempt.rrn,
        "link": attempt.link,
        "business_date": attempt.business_date,
        "digest": attempt.digest,
        "reverses": attempt.reverses,
        "repeats": attempt.repeats,
        "outcome": attempt.outcome.value,
        "undoing": attempt.undoing.value,
        "response_code": attempt.response_code,
        "authorisation_code": attempt.authorisation_code,
        "host_rrn": attempt.host_rrn,
    }


def state_of(row: PaymentRow, attempts: tuple[Attempt, ...]) -> PaymentState:
    """Return the state that a payment's row and its attempts stand for."""
    return PaymentState(
        id=row.id,
        instruction=_instruction(row),
        placement=_placement(row),
        status=Status(row.status),
        version=row.version,
        reason=ReasonCode(row.reason) if row.reason else None,
        response_code=row.response_code,
        authorisation_code=row.authorisation_code,
        accepted_attempt=row.accepted_attempt,
        attempts=attempts,
        balances=msgspec.convert(row.balances or [], tuple[Balance, ...]),
        captured_minor=row.captured_amount,
        refunded_minor=row.refunded_amount,
        voided_by=row.voided_by,
    )


def attempt_of(row: AttemptRow) -> Attempt:
    """Return the attempt that a row stands for."""
    return Attempt(
        number=row.number,
        kind=MessageKind(row.kind),
        mti=row.mti,
        stan=row.stan,
        transmitted_at=row.transmitted_at,
        terminal_id=row.terminal_id,
        rrn=row.rrn,
        link=row.link,
        business_date=row.business_date,
        digest=row.digest,
        reverses=row.reverses,
        repeats=row.repeats,
        outcome=Outcome(row.outcome),
        undoing=Undoing(row.undoing),
        response_code=row.response_code,
        authorisation_code=row.authorisation_code,
        host_rrn=row.host_rrn,
    )


def _instruction(row: PaymentRow) -> Instruction:
    return Instruction(
        operation=Operation(row.operation),
        amount_minor=row.amount,
        currency=row.currency,
        terminal_id=row.terminal_id,
        card_acceptor_id=row.card_acceptor_id,
        masked_pan=row.masked_pan,
        source_account=row.source_account,
        destination_account=row.destination_account,
        biller=row.biller,
        customer_number=row.customer_number,
        original=msgspec.convert(row.original, Original) if row.original else None,
    )


def _placement(row: PaymentRow) -> Placement:
    return Placement(
        merchant_id=row.merchant_id,
        link=row.link,
        lane=row.lane,
        priority=row.priority,
        expires_at=row.expires_at,
        idempotency_key=row.idempotency_key,
        fingerprint=row.fingerprint,
        fingerprint_key=row.fingerprint_key,
        request_id=row.request_id,
        reference=row.reference,
        metadata=row.metadata,
    )
