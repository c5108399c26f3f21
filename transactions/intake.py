"""Stores many new payments of a merchant in one statement, each with its first event and its queue entry.

Says which were new; a key that is taken, also by another of the same statement, stores nothing (I1).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from queueing.database import rows
from queueing.failpoints import reach
from queueing.statements import ENQUEUE_MANY
from transactions.store import NEW, NEW_NAMES

#: Keys are inserted in their order: two batches with the same ones wait for each other one way only.
_ACCEPT_MANY: Final = f"""
WITH new AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(new)s::json)
        AS n({NEW}, n int, event jsonb, kind text, lane_key text, send_before timestamptz, pin bytea)
), accepted AS (
    INSERT INTO transactions_payment ({NEW_NAMES}, status, version, created_at, updated_at)
    SELECT {NEW_NAMES}, 'queued', 1, %(at)s::timestamptz, %(at)s::timestamptz FROM new ORDER BY idempotency_key
    ON CONFLICT (merchant_id, idempotency_key) DO NOTHING
    RETURNING id
), event AS (
    INSERT INTO transactions_event (payment_id, version, type, data, actor, at, hash)
    SELECT id, 1, 'Accepted', event, %(actor)s::text, %(at)s::timestamptz, head FROM new JOIN accepted USING (id)
), owed AS MATERIALIZED (
    SELECT new.*, row_number() OVER (PARTITION BY lane_key ORDER BY n) AS place FROM new JOIN accepted USING (id)
), {ENQUEUE_MANY}
SELECT id FROM accepted"""


def accept_many(payments: Sequence[Mapping[str, Any]], *, actor: str, at: datetime) -> set[UUID]:
    """Store new payments, given as `store.new_row` has them and in the order in which they go; returns the new ones."""
    if not payments:
        return set()
    numbered = [{**payment, **_in_hex(payment), "n": n} for n, payment in enumerate(payments)]
    written = msgspec.json.encode(numbered).decode()
    reach("before_accept")
    stored = {row.id for row in rows(_ACCEPT_MANY, {"new": written, "actor": actor, "at": at})}
    reach("accepted")
    return stored


def _in_hex(payment: Mapping[str, Any]) -> dict[str, str]:
    """Bytes as PostgreSQL reads them out of JSON."""
    return {name: f"\\x{value.hex()}" for name, value in payment.items() if isinstance(value, bytes)}
