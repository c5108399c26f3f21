"""What follows when payments end: their waiters are woken, their ends are counted.

One empty NOTIFY a batch: a payload would hold 216 ids at most, and a NOTIFY in every accept would cost
its commit lock.
"""

from collections.abc import Iterable
from typing import Final

from queueing.database import run
from transactions.metrics import PAYMENT_SECONDS, PAYMENTS
from transactions.store import Change

CHANNEL: Final = "ferryman_payments"

_NOTIFY: Final = f"NOTIFY {CHANNEL}"


def ended(changes: Iterable[Change]) -> list[Change]:
    """Return the changes in which a payment ended."""
    return [change for change in changes if change.ended]


def notify_ends(changes: Iterable[Change]) -> None:
    """Wake who waits for the end of any of these payments, when this transaction commits."""
    if ended(changes):
        run(_NOTIFY)


def count_ends(changes: Iterable[Change]) -> None:
    """Count the payments that ended; call it once they are committed."""
    for change in ended(changes):
        state = change.after
        operation = state.instruction.operation.value
        reason = state.reason.value if state.reason else ""
        PAYMENTS.labels(operation, state.status.value, state.response_code or "", reason).inc()
        seconds = (change.at - change.before.accepted_at).total_seconds()
        PAYMENT_SECONDS.labels(operation).observe(max(0.0, seconds))
