"""The outbox: what there is to tell of a payment that ended, written in the commit that ends it (H1).

Makes the messages and knows the statement's part that stores them; `store.append` runs it, and nobody else.
"""

from collections.abc import Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final
from uuid import UUID

import msgspec
import uuid_utils.compat

from transactions.domain.state import PaymentState
from transactions.domain.values import FINAL
from transactions.projections import changing_columns, fixed_columns
from transactions.showing import PaymentOut, payment_out

TEST: Final = "webhook.test"
EVENT_TYPES: Final = tuple(sorted(f"payment.{status.value}" for status in FINAL))

#: an endpoint `e` to which a message `m` is sent
WANTED: Final = """e.merchant_id = m.merchant_id AND e.disabled_at IS NULL AND e.deleted_at IS NULL
    AND (e.event_types = '{}' OR m.type = ANY(e.event_types))"""

#: Whether anybody is told of a payment `p`: one probe of an index that is as good as empty.
IS_TOLD: Final = """EXISTS (
    SELECT 1 FROM transactions_webhookendpoint e
    WHERE e.merchant_id = p.merchant_id AND e.disabled_at IS NULL AND e.deleted_at IS NULL)"""

#: Continues a statement whose `won` names the payments that were at the version expected.
TELL: Final = f""", told AS (
    INSERT INTO transactions_webhookmessage (id, merchant_id, type, payment_id, version, body, created_at)
    SELECT m.id, m.merchant_id, m.type, m.payment_id, m.version, m.body, m.created_at
    FROM json_to_recordset(%(messages)s::json) AS m(
        id uuid, merchant_id bigint, type text, payment_id uuid, version int, body text, created_at timestamptz)
    JOIN won ON won.id = m.payment_id
    WHERE EXISTS (SELECT 1 FROM transactions_webhookendpoint e WHERE {WANTED})
    ON CONFLICT (payment_id, version) DO NOTHING
    RETURNING id, merchant_id, type
), to_deliver AS (
    INSERT INTO transactions_webhookdelivery (message_id, endpoint_id, state, next_at, tries, created_at)
    SELECT m.id, e.id, 'pending', now(), 0, now()
    FROM told m JOIN transactions_webhookendpoint e ON {WANTED}
)"""


class Told(msgspec.Struct, frozen=True):
    """What is sent, as Standard Webhooks has it."""

    type: str
    timestamp: datetime
    data: PaymentOut


def message(state: PaymentState, accepted_at: datetime, at: datetime) -> Mapping[str, Any]:
    """Return the message that tells how a payment ended, as a row."""
    times = {"created_at": accepted_at, "updated_at": at, "ended_at": at}
    row = SimpleNamespace(**fixed_columns(state), **changing_columns(state), **times)
    return message_of(row, at)


def message_of(row: Any, at: datetime) -> Mapping[str, Any]:
    """Return the message about a payment's row that has ended."""
    kind = f"payment.{row.status}"
    return {
        "id": new_message_id(),
        "merchant_id": row.merchant_id,
        "type": kind,
        "payment_id": row.id,
        "version": row.version,
        "body": msgspec.json.encode(Told(kind, row.ended_at, payment_out(row))).decode(),
        "created_at": at,
    }


def new_message_id() -> UUID:
    """Return an id for a message."""
    return uuid_utils.compat.uuid7()
