"""Takes in what follows an approved payment: capture, refund and void, each a payment of its own.

The original is locked while its open children are counted and the next one is stored, so that no two at once exceed it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final
from uuid import UUID

from django.db import transaction

from processor import links
from queueing import clock
from queueing.database import giving_way, rows
from transactions import store
from transactions.accepting import (
    Receipt,
    fingerprint_of,
    lifetime,
    new_payment_id,
    no_room,
    put,
    replay,
    replay_of,
    row_of,
    say,
)
from transactions.domain import commands as c
from transactions.domain.children import NOTHING, Reserved, child_instruction
from transactions.domain.errors import NotAllowed, UnknownPayment
from transactions.domain.state import PaymentState
from transactions.domain.values import Operation, Placement
from transactions.sealing import open_card, vault
from transactions.store import Loaded

#: By the index of children: a payment has few.
_RESERVED: Final = """
SELECT (original->>'payment_id')::uuid AS id, operation, sum(amount)::bigint AS amount FROM transactions_payment
WHERE original->>'payment_id' = ANY(%(ids)s::text[]) AND ended_at IS NULL GROUP BY 1, 2"""


@dataclass(frozen=True, slots=True)
class FollowUp:
    """A capture, refund or void as parsed; without an amount it is of all that is left."""

    operation: Operation
    original: UUID
    amount_minor: int | None = None
    lane: str | None = None
    priority: int = 5
    expires_in_s: int | None = None
    reference: str | None = None
    metadata: Mapping[str, Any] | None = None
    #: why a member of staff orders it
    note: str | None = None


@giving_way
def follow(
    order: FollowUp,
    *,
    merchant_id: int | None,
    idempotency_key: str,
    actor: str,
    request_id: str,
    payment_id: UUID | None = None,
    refusal: Exception | None = None,
) -> Receipt:
    """Make a child of a payment durable and queued, once for each key (I1); staff name no merchant.

    Raises UnknownPayment, NotAllowed, KeyReused, LinkUnavailable or BacklogFull, and `refusal` if one is given: a
    replay is answered before anything may refuse.
    """
    fingerprint = fingerprint_of(order)
    at = clock.now()
    with transaction.atomic():
        original = _locked(order.original, merchant_id)
        merchant_id = original.state.placement.merchant_id
        if known := replay(merchant_id, idempotency_key, fingerprint):
            return known
        lives = lifetime(order.operation, order.expires_in_s)
        if refusal := refusal or _no_room(original.state, lives):
            raise refusal
        instruction = child_instruction(original.state, order.operation, order.amount_minor, reserved(order.original))
        placement = Placement(
            merchant_id=merchant_id,
            link=original.state.placement.link,
            lane=order.lane,
            priority=order.priority,
            expires_at=at + lives,
            idempotency_key=idempotency_key,
            fingerprint=fingerprint,
            fingerprint_key=vault().key_id.hex(),
            request_id=request_id,
            reference=order.reference,
            metadata=order.metadata or {},
        )
        asked = c.Accept(instruction, placement, order.note)
        card = open_card(original.sealed_card, original.state.id) if original.sealed_card else None
        fresh = put(payment_id or new_payment_id(), asked, card, actor=actor, at=at)
        if fresh is None:
            return replay_of(merchant_id, idempotency_key, fingerprint)
        transaction.on_commit(partial(say, fresh))
    return Receipt(row_of(fresh, at), replayed=False)


def _locked(payment_id: UUID, merchant_id: int | None) -> Loaded:
    original = store.load([payment_id]).get(payment_id)
    if original is None or merchant_id not in (None, original.state.placement.merchant_id):
        raise UnknownPayment
    return original


def _no_room(original: PaymentState, lives: timedelta) -> Exception | None:
    """A child goes where its original went: only that host knows it."""
    config = links.remembered(original.placement.link)
    if config is None:
        return NotAllowed("The link that carried the payment is gone, and no other knows it.")
    return no_room(config, lives)


def reserved(payment_id: UUID) -> Reserved:
    """Return what the children of a payment that have not ended hold of it."""
    return reserved_by([payment_id]).get(payment_id, NOTHING)


def reserved_by(payment_ids: Iterable[UUID]) -> dict[UUID, Reserved]:
    """Return what open children hold of each of many payments; one without any is not named."""
    held: dict[UUID, dict[str, int]] = {}
    for row in rows(_RESERVED, {"ids": list(map(str, payment_ids))}):
        held.setdefault(row.id, {})[row.operation] = row.amount
    return {payment_id: Reserved(**of_one) for payment_id, of_one in held.items()}
