"""Payments for which the queue holds nothing and should: found bit by bit, and never guessed about.

Such a thing takes a bug or a hand in the database. What is to be undone is owed again; anything else waits for a
person. Sends nothing and declares nothing itself.
"""

from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction

from queueing import clock, queue
from queueing.database import rows
from queueing.doorbell import FORWARD, ring
from transactions import store
from transactions.domain import commands as c
from transactions.domain.values import MessageKind, Outcome, ReasonCode, message_kind
from transactions.judging import beside
from transactions.metrics import RECOVERED
from transactions.store import Change, Loaded

ACTOR: Final = "ferryman"

#: Walks the open payments by their index, so many a run; (0 rows) begins again.
_OPEN: Final = """
SELECT p.id, NOT EXISTS (SELECT 1 FROM queueing_queueentry q WHERE q.payment_id = p.id) AS is_missing
FROM transactions_payment p
WHERE p.ended_at IS NULL AND p.id > %(after)s::uuid ORDER BY p.id LIMIT %(limit)s"""

#: By the partial index of open attempts: those being undone without an entry that does it (M4).
_UNDONE_BY_NOBODY: Final = """
SELECT a.payment_id, a.number FROM transactions_attempt a
WHERE (a.outcome = 'open' OR a.undoing = 'open') AND a.undoing = 'open' AND NOT EXISTS (
    SELECT 1 FROM queueing_queueentry q
    WHERE q.payment_id = a.payment_id AND q.kind = 'reversal' AND q.reverses = a.number)
ORDER BY a.payment_id LIMIT %(limit)s"""

_FIRST: Final = UUID(int=0)
_log = structlog.get_logger(__name__)
_looked_up_to = _FIRST


def find_missing() -> None:
    """Look at the next open payments and at all that is being undone."""
    global _looked_up_to  # noqa: PLW0603  (how far this process has come)
    for row in rows(_UNDONE_BY_NOBODY, {"limit": settings.BATCH}):
        _owe_again(row.payment_id, row.number)
    looked_at = rows(_OPEN, {"after": _looked_up_to, "limit": settings.BATCH * 10})
    _looked_up_to = looked_at[-1].id if looked_at else _FIRST
    for row in looked_at:
        if row.is_missing:
            _hold(row.id)


def _owe_again(payment_id: UUID, attempt: int) -> None:
    with transaction.atomic():
        loaded = _locked(payment_id)
        undone = loaded and loaded.state.attempt(attempt)
        if not loaded or not undone or any(entry.reverses == attempt for entry in queue.owed(payment_id)):
            return
        queue.owe_beside([beside(attempt, loaded.state)])
    ring(FORWARD)
    _say("reversal", "owed", payment_id)


def _hold(payment_id: UUID) -> None:
    with transaction.atomic():
        loaded = _locked(payment_id)
        if not loaded or loaded.state.status.is_final or queue.owed(payment_id) or loaded.state.undoing:
            return
        state, last = loaded.state, loaded.state.current
        unclear = last.number if last and last.outcome is Outcome.OPEN else None
        hold = Change.deciding(loaded, c.Hold(ReasonCode.ENTRY_MISSING, unclear), actor=ACTOR, at=clock.now())
        store.append([hold])
        kind = message_kind(state.instruction.operation)
        queue.hold_beside(
            payment_id,
            state.placement.link,
            kind.value,
            attempt=unclear,
            priority=state.placement.priority,
            reason=ReasonCode.ENTRY_MISSING.value,
            request_id=state.placement.request_id,
            send_before=state.placement.expires_at if kind is MessageKind.REQUEST else None,
        )
    _say("entry", "held", payment_id)


def _locked(payment_id: UUID) -> Loaded | None:
    """Lock the payment and no entry: others lock an entry before its payment, and owe or close nothing without that."""
    return store.load([payment_id]).get(payment_id)


def _say(kind: str, result: str, payment_id: UUID) -> None:
    RECOVERED.labels(kind, result).inc()
    _log.error("payment.had_no_entry", payment=str(payment_id), result=result)
