"""What may be asked of payments: accept, cancel, retry, reverse, resolve. Views, admin and commands call these.

Each is one transaction; a race with the link is decided by the queue entry's row, never here (M12).
"""

import hmac
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
import uuid_utils.compat
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from processor import links
from processor.codec.describe import mask_pan, mask_text
from processor.link.breaker import BreakerState
from processor.links import LinkConfig
from queueing import queue
from queueing.backlog import is_full
from queueing.doorbell import FORWARD, ring
from transactions import selectors, store
from transactions.domain import commands as c
from transactions.domain.decide import accepted
from transactions.domain.errors import NotAllowed
from transactions.domain.evolve import fold
from transactions.domain.state import PaymentState
from transactions.domain.values import Instruction, Operation, Placement, ReasonCode, Status
from transactions.ending import count_ends, notify_ends
from transactions.iso8583 import Card
from transactions.metrics import ACCEPT_SECONDS
from transactions.projections import changing_columns, fixed_columns
from transactions.sealing import seal_card, seal_pin, vault
from transactions.store import Change, Loaded

_CUSTOMER_WAITS: Final = timedelta(seconds=60)
_NOBODY_WAITS: Final = timedelta(days=7)
_ASK_AGAIN_S: Final = 5
_log = structlog.get_logger(__name__)
_NOT_TAKEN: Final = ("waiting", "blocked", "ready", "dispatched", "held")


class OrderRefused(Exception):
    """The order does not fit the link it is for; `errors` has (pointer, code, sentence) for each misfit."""

    def __init__(self, errors: Sequence[tuple[str, str, str]]) -> None:
        super().__init__("the order does not fit its link")
        self.errors = errors


class KeyReused(Exception):
    """The idempotency key stands for a request with another body; nothing was written (I2)."""


class BacklogFull(Exception):
    """More payments wait for this link than it may have; this one was not accepted."""


class LinkUnavailable(Exception):
    """The link is down or spared by its breaker, and this payment cannot wait; it was not accepted."""

    def __init__(self, retry_after_s: float) -> None:
        super().__init__()
        self.wait = retry_after_s


class UnknownPayment(Exception):
    """There is no such payment."""


@dataclass(frozen=True, slots=True)
class Order:
    """A client's payment as parsed, before anything is decided."""

    operation: Operation
    amount_minor: int
    currency: str
    pan: str | None = None
    expiry: str | None = None
    pin_block: bytes | None = None
    source_account: str | None = None
    destination_account: str | None = None
    biller: str | None = None
    customer_number: str | None = None
    terminal_id: str | None = None
    card_acceptor_id: str | None = None
    lane: str | None = None
    priority: int = 5
    expires_in_s: int | None = None
    link: str | None = None
    reference: str | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """An accepted payment as it is now, and whether its key had been used before."""

    payment: Any
    replayed: bool


def new_payment_id() -> UUID:
    """Return an id for a payment to come, so that its end can be waited for before it is accepted."""
    return uuid_utils.compat.uuid7()


def accept(
    order: Order,
    *,
    merchant_id: int,
    idempotency_key: str,
    actor: str,
    request_id: str,
    payment_id: UUID | None = None,
    refusal: Exception | None = None,
) -> Receipt:
    """Make a payment durable and queued, once for each key (I1); one statement decides.

    Raises OrderRefused, KeyReused, LinkUnavailable or BacklogFull, and `refusal` if one is given: a replay is answered
    before anything may refuse, and returns the first payment, whatever its id.
    """
    config = links.remembered(order.link or "")
    fingerprint = _fingerprint(order)
    refusal = refusal or _refusal(order, config)
    if refusal or not config:
        if replay := _replay(merchant_id, idempotency_key, fingerprint):
            return replay
        raise refusal or BacklogFull
    at = timezone.now()
    placement = Placement(
        merchant_id=merchant_id,
        link=config.name,
        lane=order.lane,
        priority=order.priority,
        expires_at=at + _lifetime(order),
        idempotency_key=idempotency_key,
        fingerprint=fingerprint,
        fingerprint_key=vault().key_id.hex(),
        request_id=request_id,
        reference=order.reference,
        metadata=order.metadata or {},
    )
    payment_id = payment_id or new_payment_id()
    event = accepted(c.Accept(_instruction(order, config), placement))
    state = fold(payment_id, [event])
    sealed_card = seal_card(Card(order.pan, order.expiry), payment_id) if order.pan else None
    pin = seal_pin(order.pin_block, payment_id) if order.pin_block else None
    with ACCEPT_SECONDS.time():
        fresh = store.accept(state, event, actor=actor, at=at, sealed_card=sealed_card, pin=pin)
    if fresh:
        ring(FORWARD)
        _log.info("payment.accepted", payment=str(payment_id), request=request_id, operation=order.operation.value)
        return Receipt(_row(state, at), replayed=False)
    replay = _replay(merchant_id, idempotency_key, fingerprint)
    if replay is None:
        raise RuntimeError("a payment vanished between two statements")
    return replay


def _refusal(order: Order, config: LinkConfig | None) -> Exception | None:
    """Return why a new order cannot be taken by its link now."""
    if config is None:
        return OrderRefused([("/link", "unknown", "There is no such link.")])
    dialect = config.dialect
    width = dialect.rules[41].pad_to
    misfits = []
    if order.pin_block and len(order.pin_block) != dialect.pin_bytes:
        sentence = f"The PIN block has {dialect.pin_bytes} bytes on this link, {2 * dialect.pin_bytes} digits."
        misfits.append(("/card/pin_block", "format", sentence))
    if order.terminal_id and len(order.terminal_id) > width:
        misfits.append(("/terminal_id", "length", f"A terminal id has at most {width} characters on this link."))
    if misfits:
        return OrderRefused(misfits)
    if (retry_after_s := _unavailable_for(order, config)) is not None:
        return LinkUnavailable(retry_after_s)
    return BacklogFull() if is_full(config.name, settings.BACKLOG_LIMIT) else None


def _unavailable_for(order: Order, config: LinkConfig) -> float | None:
    """Return after how many seconds to ask again when this order cannot go now and may not wait; None if it may.

    A link that was just lost is given a moment: a standby takes over within that, and the payment goes out in time.
    """
    live = links.remembered_live(config.name)
    if live is None or live.carries:
        return None
    is_spared = live.breaker == BreakerState.OPEN.value
    if config.store_and_forward:
        may_wait = _lifetime(order) > _CUSTOMER_WAITS
        is_new = not is_spared and (live.down_s is None or live.down_s < settings.LINK_GRACE_SECONDS)
        if may_wait or is_new:
            return None
    return max(1.0, config.breaker_open_s - live.breaker_s) if is_spared else float(_ASK_AGAIN_S)


def cancel(payment_id: UUID, *, actor: str, reason: ReasonCode, note: str = "") -> None:
    """End a payment before anything of it is sent; raises NotAllowed once it was taken. Twice is once."""
    with transaction.atomic():
        entry, loaded = _open(payment_id)
        if loaded.state.status is Status.CANCELLED:
            return
        if loaded.state.status.is_final:
            raise NotAllowed(f"The payment has ended already ({loaded.state.status}); it cannot be cancelled.")
        if entry is None or entry.state not in _NOT_TAKEN:
            raise NotAllowed("The payment is on its way to the bank and cannot be cancelled any more.")
        change = _append(loaded, c.Cancel(reason, mask_text(note)), actor)
        queue.close([entry.id], _NOT_TAKEN)
        notify_ends([change])
    count_ends([change])
    ring(FORWARD)
    _log.info("payment.cancelled", payment=str(payment_id), actor=actor)


def retry(payment_id: UUID, *, actor: str, note: str) -> None:
    """Go on now with what is held or waits for its time; raises NotAllowed for anything else."""
    with transaction.atomic():
        entry, loaded = _open(payment_id, ("held", "waiting"))
        if entry is None:
            raise NotAllowed("Nothing of this payment is on hold or waiting for its time.")
        _append(loaded, c.Retry(mask_text(note)), actor)
        if not queue.release(entry.id):
            raise NotAllowed("The payment moved on meanwhile; nothing was changed.")
    ring(FORWARD)
    _log.info("payment.retried", payment=str(payment_id), actor=actor)


def reverse(payment_id: UUID, *, actor: str, note: str) -> None:
    """Undo what the bank may have done with a payment on hold; raises NotAllowed for any other."""
    with transaction.atomic():
        entry, loaded = _open(payment_id, ("held",))
        if entry is None or entry.attempt is None:
            raise NotAllowed("Only a payment on hold that the bank may have carried out is reversed.")
        _append(loaded, c.Reverse(mask_text(note)), actor)
        if not queue.owe_reversals([(entry.id, entry.attempt)], "held"):
            raise NotAllowed("The payment moved on meanwhile; nothing was changed.")
    ring(FORWARD)
    _log.info("payment.reversal_ordered", payment=str(payment_id), actor=actor)


def resolve(payment_id: UUID, *, outcome: Status, evidence: str, actor: str) -> None:
    """End what hangs as a person settled it with the bank; raises NotAllowed where nothing hangs or is on the wire."""
    with transaction.atomic():
        entry, loaded = _open(payment_id, ("held", "waiting", "ready", "dispatched"))
        subject = entry and (entry.reverses or entry.attempt)
        if not entry or not subject:
            raise NotAllowed("Nothing of this payment waits for a person, or it is with the bank just now: look again.")
        change = _append(loaded, c.Resolve(subject, outcome, mask_text(evidence)), actor)
        promoted = queue.close([entry.id], [entry.state])
        notify_ends([change])
    count_ends([change])
    if promoted:
        ring(FORWARD)
    _log.info("payment.resolved", payment=str(payment_id), outcome=outcome.value, actor=actor)


def _open(payment_id: UUID, states: Collection[str] = ()) -> tuple[Any | None, Loaded]:
    """Lock a payment and what it owes: the entry in one of the states, or its own rather than one beside it."""
    entries = [entry for entry in queue.entries_of(payment_id) if not states or entry.state in states]
    loaded = store.load([payment_id]).get(payment_id)
    if loaded is None:
        raise UnknownPayment
    return (entries[0] if entries else None), loaded


def _append(loaded: Loaded, command: c.Command, actor: str) -> Change:
    change = Change.deciding(loaded, command, actor=actor, at=timezone.now())
    if not store.append([change]):
        raise NotAllowed("The payment changed meanwhile; nothing was done. Look again.")
    return change


def _replay(merchant_id: int, idempotency_key: str, fingerprint: str) -> Receipt | None:
    """Return what the key stands for already; raises KeyReused when that was another request."""
    row = selectors.by_key(merchant_id, idempotency_key)
    if row is None:
        return None
    if not hmac.compare_digest(row.fingerprint, fingerprint):
        raise KeyReused
    return Receipt(row, replayed=True)


def _fingerprint(order: Order) -> str:
    return vault().fingerprint(msgspec.json.encode(order)).hex()


def _lifetime(order: Order) -> timedelta:
    if order.expires_in_s is not None:
        return timedelta(seconds=order.expires_in_s)
    return _CUSTOMER_WAITS if order.operation.customer_waits else _NOBODY_WAITS


def _instruction(order: Order, config: LinkConfig) -> Instruction:
    return Instruction(
        operation=order.operation,
        amount_minor=order.amount_minor,
        currency=order.currency,
        terminal_id=order.terminal_id or config.terminal_id,
        card_acceptor_id=order.card_acceptor_id or config.card_acceptor_id,
        masked_pan=mask_pan(order.pan) if order.pan else None,
        source_account=order.source_account,
        destination_account=order.destination_account,
        biller=order.biller,
        customer_number=order.customer_number,
    )


def _row(state: PaymentState, at: datetime) -> Any:
    """The row as it was just written, without reading it back."""
    times = {"created_at": at, "updated_at": at, "ended_at": None}
    return SimpleNamespace(**fixed_columns(state), **changing_columns(state), **times)
