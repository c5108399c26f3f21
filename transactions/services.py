"""What may be asked of payments once they were accepted: cancel, retry, reverse, resolve, follow up.

Each is one transaction; a race with the link is decided by the queue entry's row, never here (M12).
"""

from collections.abc import Callable, Sequence
from functools import partial, wraps
from typing import Any, ParamSpec, TypeVar
from uuid import UUID

import structlog
from django.db import transaction

from queueing import clock, queue
from queueing.database import giving_way
from queueing.doorbell import FORWARD, ring
from staff.masking import mask_text
from transactions import asking, store
from transactions.domain import commands as c
from transactions.domain.errors import NotAllowed, UnknownPayment
from transactions.domain.values import Operation, ReasonCode, Status
from transactions.ending import conclude, count_ends
from transactions.following import FollowUp, follow
from transactions.store import Change, Loaded

P = ParamSpec("P")
T = TypeVar("T")

_log = structlog.get_logger(__name__)


def _asked(wish: Callable[P, T]) -> Callable[P, T]:
    """Let a wish begin again where it gave way to another; ring where it is refused.

    What it had locked to look at, claims have passed over meanwhile, and who rang for them has gone.
    """
    begin = giving_way(wish)

    @wraps(wish)
    def carry_out(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return begin(*args, **kwargs)
        except NotAllowed:
            ring(FORWARD)
            raise

    return carry_out


@_asked
def cancel(payment_id: UUID, *, actor: str, reason: ReasonCode, note: str = "") -> bool:
    """End a payment before anything of it is sent; False when it was ended so before. NotAllowed once it was taken."""
    with transaction.atomic():
        entries, loaded = _locked(payment_id)
        if loaded.state.status is Status.CANCELLED:
            return False
        wish = asking.cancelling(loaded.state, entries, reason, mask_text(note))
        change = _append(loaded, wish.command, actor)
        queue.close([wish.entry.id], asking.NOT_TAKEN)
        conclude([change])
        transaction.on_commit(partial(_said, "payment.cancelled", change, actor))
    return True


@_asked
def retry(payment_id: UUID, *, actor: str, note: str) -> None:
    """Go on now with what is held or waits for its time; raises NotAllowed for anything else."""
    with transaction.atomic():
        entries, loaded = _locked(payment_id)
        wish = asking.retrying(loaded.state, entries, mask_text(note))
        change = _append(loaded, wish.command, actor)
        if not queue.release(wish.entry.id):
            raise NotAllowed("The payment moved on meanwhile: look again.")
        transaction.on_commit(partial(_said, "payment.retried", change, actor))


@_asked
def reverse(payment_id: UUID, *, actor: str, note: str) -> None:
    """Undo what the bank may have done with a payment on hold; raises NotAllowed for any other."""
    with transaction.atomic():
        entries, loaded = _locked(payment_id)
        wish = asking.reversing(loaded.state, entries, mask_text(note))
        change = _append(loaded, wish.command, actor)
        if not queue.owe_reversals([(wish.entry.id, wish.entry.attempt)], "held"):
            raise NotAllowed("The payment moved on meanwhile: look again.")
        transaction.on_commit(partial(_said, "payment.reversal_ordered", change, actor))


@_asked
def resolve(payment_id: UUID, *, outcome: Status, evidence: str, actor: str) -> None:
    """End what hangs as a person settled it with the bank; raises NotAllowed where nothing hangs or is on the wire."""
    with transaction.atomic():
        entries, loaded = _locked(payment_id)
        wish = asking.resolving(loaded.state, entries, outcome, mask_text(evidence))
        change = _append(loaded, wish.command, actor)
        queue.close([wish.entry.id], [wish.entry.state])
        conclude([change])
        transaction.on_commit(partial(_said, "payment.resolved", change, actor))


def follow_up(
    operation: Operation, payment_id: UUID, *, amount_minor: int | None, actor: str, note: str, key: str
) -> UUID:
    """Order a capture, refund or void of an approved payment; returns its id, one for each key.

    Raises NotAllowed where it cannot follow, LinkUnavailable or BacklogFull where it cannot be carried now.
    """
    order = FollowUp(operation, payment_id, amount_minor, note=mask_text(note))
    # No client's key has a comma.
    receipt = follow(order, merchant_id=None, idempotency_key=f"staff,{key}", actor=actor, request_id=key)
    child_id: UUID = receipt.payment.id
    _log.info("payment.follow_up_ordered", payment=str(payment_id), child=str(child_id), what=operation, actor=actor)
    return child_id


def _locked(payment_id: UUID) -> tuple[Sequence[Any], Loaded]:
    """Lock a payment and what it owes, its own entry before one beside it."""
    entries = queue.entries_of(payment_id)
    loaded = store.load([payment_id]).get(payment_id)
    if loaded is None:
        raise UnknownPayment
    return entries, loaded


def _said(what: str, change: Change, actor: str) -> None:
    """Count, ring and log once it is committed, also where a larger transaction is."""
    count_ends([change])
    ring(FORWARD)
    _log.info(what, payment=str(change.after.id), status=change.after.status.value, actor=actor)


def _append(loaded: Loaded, command: c.Command, actor: str) -> Change:
    change = Change.deciding(loaded, command, actor=actor, at=clock.now())
    if not store.append([change]):
        raise NotAllowed("The payment changed meanwhile: look again.")
    return change
