"""A past to look at: payments by `manage.py seed`, and beside them, taken back, what seeding does not make."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.core.management import call_command
from django.db import connection, transaction

from queueing import clock
from queueing.database import rows, run
from tests.bench.seeding import fill_up
from transactions import minutes
from transactions.finding import first_id

_WAITING: Final = 10_000
_SEEDED: Final = "SELECT count(*) AS payments FROM transactions_payment"
_NEWEST_MINUTE: Final = "SELECT max(minute) AS minute FROM transactions_minute"
_AT_MOST: Final = 100
_LAG: Final = timedelta(minutes=2)

_ANALYZED: Final = (
    "staff_record",
    "transactions_webhookmessage",
    "transactions_webhookdelivery",
    "queueing_queueentry",
)
_CROWD: Final = (
    """
INSERT INTO staff_record (at, who, address, agent, action, kind, subject, result, why, detail)
SELECT clock_timestamp() - n * interval '20 seconds', 'member' || n %% 50, '10.0.0.' || n %% 250, 'Firefox',
    (ARRAY['sign_in', 'search', 'view_payment', 'export_payments', 'retry_payment'])[1 + n %% 5],
    'transactions.payment', gen_random_uuid()::text, CASE WHEN n %% 1000 = 0 THEN 'refused' ELSE 'done' END, '', '{}'
FROM generate_series(1, 300000) n""",
    """
INSERT INTO transactions_webhookendpoint (id, merchant_id, url, description, event_types, secret, disabled_reason,
    created_at, updated_at)
SELECT gen_random_uuid(), id, 'https://' || id || '.example', '', '{}', '', '', now(), now()
FROM transactions_merchant""",
    """
INSERT INTO transactions_webhookmessage (id, merchant_id, type, payment_id, version, body, created_at)
SELECT gen_random_uuid(), merchant_id, 'payment.' || status, id, version, '{}', ended_at
FROM (SELECT * FROM transactions_payment WHERE ended_at IS NOT NULL ORDER BY id DESC LIMIT 500000) AS told""",
    """
INSERT INTO transactions_webhookdelivery (message_id, endpoint_id, state, next_at, tries, created_at, ended_at)
SELECT m.id, e.id, CASE WHEN random() < 0.001 THEN 'exhausted' ELSE 'delivered' END,
    m.created_at, 1, m.created_at, m.created_at
FROM transactions_webhookmessage m JOIN transactions_webhookendpoint e USING (merchant_id) ORDER BY m.created_at""",
    """
INSERT INTO transactions_attempt
SELECT a.payment_id, n, a.kind, a.mti, a.stan + n, a.transmitted_at, a.terminal_id, a.rrn, a.link, a.business_date,
    a.digest, a.reverses, 0, 'unsent', 'none', NULL, NULL, NULL, a.epoch, a.taken_at, NULL
FROM transactions_attempt a CROSS JOIN generate_series(2, 60) AS n WHERE a.payment_id = %(id)s AND a.number = 1""",
    """
INSERT INTO transactions_event
SELECT v.payment_id, 100 + n, v.type, jsonb_set(v.data, '{attempt}', to_jsonb(n)), v.actor, v.at, v.hash
FROM transactions_event v CROSS JOIN generate_series(2, 60) AS n
WHERE v.payment_id = %(id)s AND v.type = 'Dispatched'""",
    """
INSERT INTO processor_message (link, epoch, outward, mti, at, payment_id, attempt, fields, remark)
SELECT m.link, m.epoch, m.outward, m.mti, m.at, m.payment_id, n, m.fields, m.remark
FROM processor_message m CROSS JOIN generate_series(2, 60) AS n WHERE m.payment_id = %(id)s""",
)
_SAMPLE: Final = """
SELECT p.id, p.reference, p.idempotency_key, p.card_last4, p.authorisation_code, p.rrn, p.host_rrn, p.amount,
    p.merchant_id, p.created_at, a.stan, a.business_date
FROM transactions_payment p JOIN transactions_attempt a ON a.payment_id = p.id AND a.number = 1
WHERE p.id > %(after)s AND p.status = %(status)s AND p.amount %% 10000 <> 0 ORDER BY p.id LIMIT 1"""
_OLDEST: Final = "SELECT id FROM transactions_payment ORDER BY id LIMIT 1"


@dataclass(frozen=True, slots=True)
class Samples:
    """Payments to look for: one in the middle, one that was reversed, one of many attempts, the oldest."""

    middle: Any
    reversed: Any
    often: UUID
    oldest: UUID
    now: datetime

    @property
    def day(self) -> date:
        """A business date in the middle."""
        found: date = self.middle.business_date
        return found


def load(payments: int) -> None:
    """Load what is missing, and sum up the last day for the desk."""
    missing = payments - rows(_SEEDED)[0].payments
    if missing > 0:
        call_command("seed", "--payments", str(missing), "--beside-real", stdout=sys.stderr)
    for _ in range(_AT_MOST):
        minutes.roll_up()
        newest = rows(_NEWEST_MINUTE)[0].minute
        if newest and clock.now() - newest < _LAG:
            return


@contextmanager
def crowd() -> Iterator[None]:
    """Add an audit, webhooks, a queue and a payment with many attempts, and take all of it back in the end."""
    with transaction.atomic():
        fill_up(_WAITING)
        for statement in _CROWD:
            run(statement, {"id": _often()})
        for table in _ANALYZED:
            run(f"ANALYZE {table}")
        yield
        transaction.set_rollback(True)
    connection.close()


def samples() -> Samples:
    """Return payments that are there."""
    now = clock.now()
    middle = first_id(now - timedelta(days=45))
    return Samples(
        middle=rows(_SAMPLE, {"after": middle, "status": "approved"})[0],
        reversed=rows(_SAMPLE, {"after": middle, "status": "reversed"})[0],
        often=_often(),
        oldest=rows(_OLDEST)[0].id,
        now=now,
    )


def _often() -> UUID:
    after = first_id(clock.now() - timedelta(days=30))
    found: UUID = rows(_SAMPLE, {"after": after, "status": "approved"})[0].id
    return found
