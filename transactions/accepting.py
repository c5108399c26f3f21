"""Taking payments in: each is durable and queued before anybody is told, and one for each key (I1).

Decides whether a new one may come now; a replay is answered before anything may refuse.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
import uuid_utils.compat
from django.conf import settings

from processor import links, routing
from processor.link.breaker import BreakerState
from processor.link.wishes import Wanted
from processor.links import LinkConfig
from queueing import clock
from queueing.backlog import is_full
from queueing.doorbell import FORWARD, ring
from staff.masking import mask_pan
from transactions import selectors, store
from transactions.domain import commands as c
from transactions.domain.decide import accepted
from transactions.domain.evolve import fold
from transactions.domain.state import PaymentState
from transactions.domain.values import Instruction, Operation, Placement
from transactions.iso8583 import Card
from transactions.metrics import ACCEPT_SECONDS
from transactions.projections import changing_columns, fixed_columns
from transactions.sealing import seal_card, seal_pin, vault

_CUSTOMER_WAITS: Final = timedelta(seconds=60)
_NOBODY_WAITS: Final = timedelta(days=7)
_ASK_AGAIN_S: Final = 5
_log = structlog.get_logger(__name__)


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
    config, route = link_for(order, merchant_id)
    fingerprint = fingerprint_of(order)
    refusal = refusal or refusal_of(order, config)
    if refusal or not config:
        if known := replay(merchant_id, idempotency_key, fingerprint):
            return known
        raise refusal or BacklogFull
    at = clock.now()
    asked = asked_of(order, config, route, merchant_id, idempotency_key, fingerprint, request_id, at)
    card = Card(order.pan, order.expiry) if order.pan else None
    fresh = put(payment_id or new_payment_id(), asked, card, actor=actor, at=at, pin_block=order.pin_block)
    if fresh is None:
        return replay_of(merchant_id, idempotency_key, fingerprint)
    say(fresh)
    return Receipt(row_of(fresh, at), replayed=False)


def link_for(order: Order, merchant_id: int) -> tuple[LinkConfig | None, str | None]:
    """Return the link that an order names, or else that a rule of the routing table chooses, or else the first."""
    if not order.link and (way := routing.way(merchant_id, order.pan, order.biller)):
        return links.remembered(way.link), way.rule
    return links.remembered(order.link or ""), None


def asked_of(
    order: Order,
    config: LinkConfig,
    route: str | None,
    merchant_id: int,
    idempotency_key: str,
    fingerprint: str,
    request_id: str,
    at: datetime,
) -> c.Accept:
    """Return what an order asks for, placed on its link."""
    placement = Placement(
        merchant_id=merchant_id,
        link=config.name,
        lane=order.lane,
        priority=order.priority,
        expires_at=at + lifetime(order.operation, order.expires_in_s),
        idempotency_key=idempotency_key,
        fingerprint=fingerprint,
        fingerprint_key=vault().key_id.hex(),
        request_id=request_id,
        reference=order.reference,
        metadata=order.metadata or {},
    )
    return c.Accept(_instruction(order, config), placement, route=route)


def put(
    payment_id: UUID,
    asked: c.Accept,
    card: Card | None,
    *,
    actor: str,
    at: datetime,
    pin_block: bytes | None = None,
) -> PaymentState | None:
    """Store a new payment with what it owes, in one statement; None when its key is taken."""
    event = accepted(asked)
    state = fold(payment_id, [event])
    sealed_card = seal_card(card, payment_id) if card else None
    pin = seal_pin(pin_block, payment_id) if pin_block else None
    with ACCEPT_SECONDS.time():
        fresh = store.accept(state, event, actor=actor, at=at, sealed_card=sealed_card, pin=pin)
    return state if fresh else None


def say(state: PaymentState) -> None:
    """Ring for a payment that was accepted, and log it; call it once that is committed."""
    ring(FORWARD)
    placement, operation = state.placement, state.instruction.operation.value
    _log.info("payment.accepted", payment=str(state.id), request=placement.request_id, operation=operation)


def refusal_of(order: Order, config: LinkConfig | None) -> Exception | None:
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
    return no_room(config, lifetime(order.operation, order.expires_in_s))


def no_room(config: LinkConfig, lives: timedelta) -> Exception | None:
    """Return why a link cannot take one more payment that lives so long, or None."""
    if (retry_after_s := _unavailable_for(lives, config)) is not None:
        return LinkUnavailable(retry_after_s)
    return BacklogFull() if is_full(config.name, settings.BACKLOG_LIMIT) else None


def _unavailable_for(lives: timedelta, config: LinkConfig) -> float | None:
    """Return after how many seconds to ask again when this cannot go now and may not wait; None if it may.

    A link that was just lost is given a moment: a standby takes over within that, and the payment goes out in time.
    """
    live = links.remembered_live(config.name)
    if live is None or live.carries:
        return None
    is_spared = live.breaker == BreakerState.OPEN.value
    is_stopped = is_spared or live.wanted != Wanted.OPEN.value
    if config.store_and_forward:
        may_wait = lives > _CUSTOMER_WAITS
        is_new = not is_stopped and (live.down_s is None or 0 <= live.down_s < settings.LINK_GRACE_SECONDS)
        if may_wait or is_new:
            return None
    return max(1.0, config.breaker_open_s - live.breaker_s) if is_spared else float(_ASK_AGAIN_S)


def replay(merchant_id: int, idempotency_key: str, fingerprint: str) -> Receipt | None:
    """Return what the key stands for already; raises KeyReused when that was another request."""
    row = selectors.by_key(merchant_id, idempotency_key)
    if row is None:
        return None
    if not hmac.compare_digest(row.fingerprint, fingerprint):
        raise KeyReused
    return Receipt(row, replayed=True)


def replay_of(merchant_id: int, idempotency_key: str, fingerprint: str) -> Receipt:
    """Return what a key that was found taken stands for; raises KeyReused."""
    known = replay(merchant_id, idempotency_key, fingerprint)
    if known is None:
        raise RuntimeError("a payment vanished between two statements")
    return known


def fingerprint_of(order: Any) -> str:
    """Return what tells this request from another under the same key, without telling what is in it (I2)."""
    return vault().fingerprint(msgspec.json.encode(order)).hex()


def lifetime(operation: Operation, expires_in_s: int | None) -> timedelta:
    """Return for how long a payment may wait to be sent."""
    if expires_in_s is not None:
        return timedelta(seconds=expires_in_s)
    return _CUSTOMER_WAITS if operation.customer_waits else _NOBODY_WAITS


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


def row_of(state: PaymentState, at: datetime) -> Any:
    """The row as it was just written, without reading it back."""
    times = {"created_at": at, "updated_at": at, "ended_at": None}
    return SimpleNamespace(**fixed_columns(state), **changing_columns(state), **times)
