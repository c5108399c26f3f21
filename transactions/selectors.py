"""Reading payments: one, many, by key, their events. Nothing here changes anything."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Final
from uuid import UUID

from queueing.database import rows
from transactions.domain.values import FINAL, Status

SHOWN: Final = """id, merchant_id, operation, amount, currency, status, version, reason, response_code,
    authorisation_code, masked_pan, source_account, destination_account, biller, customer_number, terminal_id,
    card_acceptor_id, original, link, lane, priority, expires_at, reference, metadata, accepted_attempt, rrn,
    host_rrn, balances, captured_amount, refunded_amount, voided_by, created_at, updated_at, ended_at"""

_ONE: Final = f"SELECT {SHOWN} FROM transactions_payment WHERE merchant_id = %(merchant_id)s AND id = %(id)s"

_BY_KEY: Final = f"""
SELECT {SHOWN}, fingerprint, fingerprint_key FROM transactions_payment
WHERE merchant_id = %(merchant_id)s AND idempotency_key = %(idempotency_key)s"""

_BY_KEYS: Final = f"""
SELECT {SHOWN}, idempotency_key, fingerprint FROM transactions_payment
WHERE merchant_id = %(merchant_id)s AND idempotency_key = ANY(%(idempotency_keys)s::text[])"""

ENDED: Final = f"""
SELECT {SHOWN} FROM transactions_payment
WHERE id = ANY(%(ids)s::uuid[]) AND status = ANY(%(final)s::text[])"""

_EVENTS: Final = """
SELECT v.version, v.type, v.data, v.actor, v.at
FROM transactions_event v JOIN transactions_payment p ON p.id = v.payment_id
WHERE v.payment_id = %(id)s AND p.merchant_id = %(merchant_id)s ORDER BY v.version"""

#: Heads of lanes that wait for a person; few are held at any time.
_HELD_HEADS: Final = """
SELECT b.payment_id AS id, h.payment_id AS head
FROM queueing_queueentry b JOIN queueing_queueentry h ON h.lane = b.lane AND h.state = 'held'
WHERE b.payment_id = ANY(%(ids)s::uuid[]) AND b.state = 'blocked'"""

#: By the index of children: a payment has few.
_CHILDREN: Final = f"""
SELECT {SHOWN} FROM transactions_payment
WHERE original->>'payment_id' = %(id)s::text AND original IS NOT NULL ORDER BY id LIMIT 100"""

FINAL_STATUSES: Final = sorted(status.value for status in FINAL)


def one(merchant_id: int, payment_id: UUID) -> Any | None:
    """Return a merchant's payment; another merchant's is none."""
    return next(iter(rows(_ONE, {"merchant_id": merchant_id, "id": payment_id})), None)


def by_key(merchant_id: int, idempotency_key: str) -> Any | None:
    """Return the payment that a key stands for, with the fingerprint of its request."""
    return next(iter(rows(_BY_KEY, {"merchant_id": merchant_id, "idempotency_key": idempotency_key})), None)


def by_keys(merchant_id: int, idempotency_keys: Collection[str]) -> dict[str, Any]:
    """Return the payments that keys stand for, by key."""
    if not idempotency_keys:
        return {}
    found = rows(_BY_KEYS, {"merchant_id": merchant_id, "idempotency_keys": list(idempotency_keys)})
    return {row.idempotency_key: row for row in found}


def ended(payment_ids: Iterable[UUID]) -> Sequence[Any]:
    """Return those of the payments that have ended."""
    return rows(ENDED, {"ids": list(payment_ids), "final": FINAL_STATUSES})


def held_heads(payments: Iterable[Any]) -> dict[UUID, UUID]:
    """Return the payment on hold that each of these waits for in its lane, where there is one."""
    able = [payment.id for payment in payments if payment.lane is not None and payment.status == Status.QUEUED]
    return {row.id: row.head for row in rows(_HELD_HEADS, {"ids": able})} if able else {}


def children(payment_id: UUID) -> Sequence[Any]:
    """Return the captures, refunds and voids of a payment, first to last."""
    return rows(_CHILDREN, {"id": payment_id})


def events(merchant_id: int, payment_id: UUID) -> Sequence[Any]:
    """Return the events of a merchant's payment, first to last."""
    return rows(_EVENTS, {"merchant_id": merchant_id, "id": payment_id})
