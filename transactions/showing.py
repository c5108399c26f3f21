"""What a payment looks like to a client, in an answer as in a webhook.

Pure: a row comes in, a shape goes out.
"""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Meta, Struct

from transactions.domain.values import REASONS, Operation, ReasonCode


class ReasonOut(Struct, frozen=True):
    """Why a payment is as it is."""

    code: str
    text: str


class CardOut(Struct, frozen=True):
    """A card, masked."""

    masked_pan: str


class BalanceOut(Struct, frozen=True):
    """One balance of an account, in minor units."""

    account_type: str | None
    amount_type: str
    currency: str
    amount_minor: int


class PaymentOut(Struct, frozen=True, kw_only=True):
    """A payment as it is now."""

    id: UUID
    operation: str
    amount: Annotated[int, Meta(description="In minor units.")]
    currency: str
    status: Annotated[
        str,
        Meta(
            description="queued, in_flight, reversing, on_hold; final: approved, declined, reversed, expired, "
            "cancelled, failed."
        ),
    ]
    version: Annotated[int, Meta(description="Grows with everything that happens to it; webhooks carry it too.")]
    reason: ReasonOut | None
    blocked_by: Annotated[UUID | None, Meta(description="The payment on hold that this one waits for in its lane.")]
    response_code: Annotated[str | None, Meta(description="The bank's own (ISO 8583 field 39).")]
    authorisation_code: str | None
    rrn: Annotated[str | None, Meta(description="Our retrieval reference (field 37).")]
    host_rrn: Annotated[str | None, Meta(description="The bank's retrieval reference.")]
    card: CardOut | None
    source_account: str | None
    destination_account: str | None
    biller: str | None
    customer_number: str | None
    terminal_id: str
    card_acceptor_id: str
    link: str
    lane: str | None
    priority: int
    expires_at: Annotated[datetime | None, Meta(description="Null where it is sent however late.")]
    reference: str | None
    metadata: dict[str, Any]
    balances: list[BalanceOut] | None
    original: UUID | None
    captured_amount: int
    refunded_amount: int
    voided_by: UUID | None
    created_at: datetime
    updated_at: datetime
    ended_at: datetime | None


def payment_out(row: Any, blocked_by: UUID | None = None) -> PaymentOut:
    """Return a payment's row as a client sees it."""
    reason = ReasonCode.LANE_HELD if blocked_by else row.reason
    return PaymentOut(
        id=row.id,
        operation=row.operation,
        amount=row.amount,
        currency=row.currency,
        status=row.status,
        version=row.version,
        reason=ReasonOut(reason, REASONS[ReasonCode(reason)]) if reason else None,
        blocked_by=blocked_by,
        response_code=row.response_code,
        authorisation_code=row.authorisation_code,
        rrn=row.rrn,
        host_rrn=row.host_rrn,
        card=CardOut(row.masked_pan) if row.masked_pan else None,
        source_account=row.source_account,
        destination_account=row.destination_account,
        biller=row.biller,
        customer_number=row.customer_number,
        terminal_id=row.terminal_id,
        card_acceptor_id=row.card_acceptor_id,
        link=row.link,
        lane=row.lane,
        priority=row.priority,
        expires_at=row.expires_at if Operation(row.operation).expires else None,
        reference=row.reference,
        metadata=row.metadata,
        balances=row.balances,
        original=UUID(row.original["payment_id"]) if row.original else None,
        captured_amount=row.captured_amount,
        refunded_amount=row.refunded_amount,
        voided_by=row.voided_by,
        created_at=row.created_at,
        updated_at=row.updated_at,
        ended_at=row.ended_at,
    )
