"""Reads everything the database says and holds it against the invariants. Changes nothing."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from django.db import connection, transaction

from queueing.database import rows, run
from transactions.domain import events as e
from transactions.domain.errors import DomainError
from transactions.domain.evolve import fold
from transactions.domain.state import PaymentState
from transactions.invariants import CHECKS, Check, Evidence, Owed, StoredEvent, e1_row_is_the_fold
from transactions.models import Attempt, Payment

_AT_ONCE: Final = 500

_IDS: Final = "SELECT id FROM transactions_payment WHERE id > %(after)s::uuid ORDER BY id LIMIT %(limit)s"
_EVENTS: Final = """
SELECT payment_id, version, type, data, actor, at, hash FROM transactions_event
WHERE payment_id = ANY(%(ids)s::uuid[]) ORDER BY payment_id, version"""
_OWED: Final = """
SELECT payment_id, kind, state, pin IS NOT NULL AS has_pin FROM queueing_queueentry
WHERE payment_id = ANY(%(ids)s::uuid[])"""

_EVERYWHERE: Final = {
    "M10 a STAN is in two open attempts": """
        SELECT format('STAN %s on %s', lpad(stan::text, 6, '0'), link) AS what FROM transactions_attempt
        WHERE outcome = 'open' OR undoing = 'open' GROUP BY link, stan HAVING count(*) > 1""",
    "M10 a STAN, field 7 and terminal came twice": """
        SELECT format('STAN %s at %s on %s', lpad(stan::text, 6, '0'), transmitted_at, link) AS what
        FROM transactions_attempt GROUP BY link, stan, transmitted_at, terminal_id HAVING count(*) > 1""",
    "M9 the children of a payment are more than there was, or it does not show them": """
        SELECT p.id::text AS what FROM transactions_payment p JOIN (
            SELECT (original->>'payment_id')::uuid AS id, coalesce(sum(amount) FILTER (WHERE operation = 'capture'), 0)
                AS captured, coalesce(sum(amount) FILTER (WHERE operation = 'refund'), 0) AS refunded,
                count(*) FILTER (WHERE operation = 'void') AS voids
            FROM transactions_payment WHERE original IS NOT NULL AND status = 'approved' GROUP BY 1
        ) AS c USING (id)
        WHERE (p.captured_amount, p.refunded_amount, (p.voided_by IS NOT NULL)::int)
                IS DISTINCT FROM (c.captured, c.refunded, c.voids) OR c.captured > p.amount
            OR c.refunded > CASE p.operation WHEN 'authorisation' THEN c.captured ELSE p.amount END
            OR (c.voids > 0 AND c.captured + c.refunded > 0)""",
    "E1 an event belongs to no payment": """
        SELECT v.payment_id::text AS what FROM transactions_event v
        LEFT JOIN transactions_payment p ON p.id = v.payment_id WHERE v.version = 1 AND p.id IS NULL""",
    "Q2 more than one entry of a lane may move": """
        SELECT lane AS what FROM queueing_queueentry WHERE lane IS NOT NULL AND state <> 'blocked'
        GROUP BY lane HAVING count(*) > 1""",
    "Q2 a lane's counter is not the number of its entries": """
        SELECT coalesce(l.lane, q.lane) AS what FROM queueing_lane l FULL JOIN (
            SELECT lane, count(*) AS open FROM queueing_queueentry WHERE lane IS NOT NULL GROUP BY lane
        ) AS q USING (lane) WHERE l.open IS DISTINCT FROM q.open""",
    "Q2 a lane is blocked by nobody": """
        SELECT lane AS what FROM queueing_queueentry WHERE lane IS NOT NULL
        GROUP BY lane HAVING bool_and(state = 'blocked')""",
    "L1 an entry belongs to no payment": """
        SELECT q.id::text AS what FROM queueing_queueentry q
        LEFT JOIN transactions_payment p ON p.id = q.payment_id WHERE p.id IS NULL""",
}


@dataclass(frozen=True, slots=True)
class Violation:
    """Something that must not be."""

    check: str
    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what} ({self.check})"


def differences() -> Iterator[Violation]:
    """Fold every payment's events again and compare with its rows (E1)."""
    yield from _of_payments([e1_row_is_the_fold])


def violations() -> Iterator[Violation]:
    """Check every payment, then what concerns many at once."""
    yield from _of_payments(CHECKS)
    for check, statement in _EVERYWHERE.items():
        for row in rows(statement):
            yield Violation(check, row.what, check.split(" ", 1)[1])


def _of_payments(checks: Sequence[Check]) -> Iterator[Violation]:
    after = uuid.UUID(int=0)
    while ids := [row.id for row in rows(_IDS, {"after": after, "limit": _AT_ONCE})]:
        after = ids[-1]
        with _snapshot():
            found = list(_evidence(ids))
        for evidence in found:
            for check in checks:
                for what in check(evidence):
                    yield Violation(check.__name__, f"payment {evidence.payment_id}", what)


@contextmanager
def _snapshot() -> Iterator[None]:
    """Read several tables as of one moment, so that live payments are no false alarm."""
    with transaction.atomic():
        if not connection.savepoint_ids:
            run("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        yield


def _evidence(ids: list[uuid.UUID]) -> Iterator[Evidence]:
    stored = _by_payment(rows(_EVENTS, {"ids": ids}))
    owed = _by_payment(rows(_OWED, {"ids": ids}))
    attempts = _by_payment(Attempt.objects.filter(payment_id__in=ids).order_by("number").values())
    for payment in Payment.objects.filter(id__in=ids).order_by("id").values():
        payment_id = payment["id"]
        events = [StoredEvent(*row[1:]) for row in stored.get(payment_id, [])]
        readable = _read(events)
        yield Evidence(
            payment_id=payment_id,
            stored=events,
            head=bytes(payment["head"]),
            columns=payment,
            attempts=attempts.get(payment_id, []),
            taken_at={attempt["number"]: attempt["taken_at"] for attempt in attempts.get(payment_id, [])},
            owed=[Owed(*row[1:]) for row in owed.get(payment_id, [])],
            state=_fold(payment_id, readable),
            events=readable,
        )


def _read(stored: Sequence[StoredEvent]) -> list[e.Event]:
    try:
        return [e.event_from_data(event.type, event.data) for event in stored]
    except DomainError:
        return []


def _fold(payment_id: uuid.UUID, events: Sequence[e.Event]) -> PaymentState | None:
    try:
        return fold(payment_id, events)
    except DomainError:
        return None


def _by_payment(found: Any) -> dict[uuid.UUID, list[Any]]:
    grouped: dict[uuid.UUID, list[Any]] = {}
    for row in found:
        grouped.setdefault(row["payment_id"] if isinstance(row, dict) else row.payment_id, []).append(row)
    return grouped
