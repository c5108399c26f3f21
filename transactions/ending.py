"""What follows when payments end: their originals learn of it, their waiters are woken, their ends are counted.

One empty NOTIFY a batch: a payload would hold 216 ids at most, and a NOTIFY in every accept would cost
its commit lock.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final
from uuid import UUID

from queueing.database import run
from transactions import store
from transactions.domain import commands as c
from transactions.domain.values import Status
from transactions.metrics import PAYMENT_SECONDS, PAYMENTS
from transactions.store import Change

ACTOR: Final = "ferryman"
CHANNEL: Final = "ferryman_payments"

_NOTIFY: Final = f"NOTIFY {CHANNEL}"


def ended(changes: Iterable[Change]) -> list[Change]:
    """Return the changes in which a payment ended."""
    return [change for change in changes if change.ended]


def conclude(changes: Iterable[Change]) -> None:
    """Do what these ends bring with them, in this transaction: tell their originals, wake who waits for them."""
    if over := ended(changes):
        _tell_originals(over)
        run(_NOTIFY)


def _tell_originals(over: Iterable[Change]) -> None:
    """An approved capture, refund or void shows on its original; any other end frees what it reserved, as it is."""
    children: dict[UUID, list[Change]] = {}
    for change in over:
        original = change.after.instruction.original
        if original and change.after.status is Status.APPROVED:
            children.setdefault(original.payment_id, []).append(change)
    if not children:
        return
    originals = store.load(children)
    told = [
        Change.deciding(originals[i], *map(_record, ends), actor=ACTOR, at=ends[0].at) for i, ends in children.items()
    ]
    store.append(told)


def _record(change: Change) -> c.RecordChild:
    child = change.after
    return c.RecordChild(child.id, child.instruction.operation, child.instruction.amount_minor)


def count_ends(changes: Iterable[Change]) -> None:
    """Count the payments that ended; call it once they are committed."""
    ends: Counter[tuple[str, str, str, str]] = Counter()
    for change in ended(changes):
        state = change.after
        operation = state.instruction.operation.value
        reason = state.reason.value if state.reason else ""
        ends[operation, state.status.value, state.response_code or "", reason] += 1
        seconds = (change.at - change.before.accepted_at).total_seconds()
        PAYMENT_SECONDS.labels(operation).observe(max(0.0, seconds))
    for labels, count in ends.items():
        PAYMENTS.labels(*labels).inc(count)
