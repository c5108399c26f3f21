"""Reading payments: one, many, by key, their events. Nothing here changes anything."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from queueing.database import rows
from transactions.domain.values import FINAL

_SHOWN: Final = """id, merchant_id, operation, amount, currency, status, reason, response_code, authorisation_code,
    masked_pan, source_account, destination_account, biller, customer_number, terminal_id, card_acceptor_id,
    original, link, lane, priority, expires_at, reference, metadata, accepted_attempt, rrn, host_rrn, balances,
    captured_amount, refunded_amount, voided_by, created_at, updated_at, ended_at"""

_ONE: Final = f"SELECT {_SHOWN} FROM transactions_payment WHERE merchant_id = %(merchant_id)s AND id = %(id)s"

_BY_KEY: Final = f"""
SELECT {_SHOWN}, fingerprint, fingerprint_key FROM transactions_payment
WHERE merchant_id = %(merchant_id)s AND idempotency_key = %(idempotency_key)s"""

ENDED: Final = f"""
SELECT {_SHOWN} FROM transactions_payment
WHERE id = ANY(%(ids)s::uuid[]) AND status = ANY(%(final)s::text[])"""

_LIST: Final = f"""
SELECT {_SHOWN} FROM transactions_payment
WHERE merchant_id = %(merchant_id)s AND (%(before)s::uuid IS NULL OR id < %(before)s::uuid)
    AND (%(status)s::text IS NULL OR status = %(status)s)
    AND (%(operation)s::text IS NULL OR operation = %(operation)s)
    AND (%(reference)s::text IS NULL OR reference = %(reference)s)
ORDER BY id DESC LIMIT %(limit)s"""

_EVENTS: Final = """
SELECT v.version, v.type, v.data, v.actor, v.at
FROM transactions_event v JOIN transactions_payment p ON p.id = v.payment_id
WHERE v.payment_id = %(id)s AND p.merchant_id = %(merchant_id)s ORDER BY v.version"""

FINAL_STATUSES: Final = sorted(status.value for status in FINAL)


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to."""

    status: str | None = None
    operation: str | None = None
    reference: str | None = None


def one(merchant_id: int, payment_id: UUID) -> Any | None:
    """Return a merchant's payment; another merchant's is none."""
    return next(iter(rows(_ONE, {"merchant_id": merchant_id, "id": payment_id})), None)


def by_key(merchant_id: int, idempotency_key: str) -> Any | None:
    """Return the payment that a key stands for, with the fingerprint of its request."""
    return next(iter(rows(_BY_KEY, {"merchant_id": merchant_id, "idempotency_key": idempotency_key})), None)


def ended(payment_ids: Iterable[UUID]) -> Sequence[Any]:
    """Return those of the payments that have ended."""
    return rows(ENDED, {"ids": list(payment_ids), "final": FINAL_STATUSES})


def page(merchant_id: int, filters: Filters, before: UUID | None, limit: int) -> Sequence[Any]:
    """Return a merchant's payments, newest first, before an id."""
    parameters = {
        "merchant_id": merchant_id,
        "before": before,
        "limit": limit,
        "status": filters.status,
        "operation": filters.operation,
        "reference": filters.reference,
    }
    return rows(_LIST, parameters)


def events(merchant_id: int, payment_id: UUID) -> Sequence[Any]:
    """Return the events of a merchant's payment, first to last."""
    return rows(_EVENTS, {"merchant_id": merchant_id, "id": payment_id})
