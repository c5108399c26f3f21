"""Takes many payments in at once: one statement, one key and one result each; what is refused stops no other."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from processor.links import LinkConfig
from queueing import clock
from transactions import intake, selectors, store
from transactions.accepting import (
    KeyReused,
    Order,
    Receipt,
    asked_of,
    fingerprint_of,
    link_for,
    new_payment_id,
    refusal_of,
    row_of,
    say,
)
from transactions.domain.decide import accepted
from transactions.domain.evolve import fold
from transactions.domain.state import PaymentState
from transactions.iso8583 import Card
from transactions.sealing import seal_card, seal_pin

Result = Receipt | Exception


@dataclass(frozen=True, slots=True)
class Item:
    """An order and the key it comes under."""

    idempotency_key: str
    order: Order


@dataclass(slots=True)
class _Batch:
    """What a batch is going to store, and what is refused; by the number of the item."""

    merchant_id: int
    actor: str
    request_id: str
    at: datetime
    refused: dict[int, Exception] = field(default_factory=dict)
    fresh: dict[int, PaymentState] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)


def accept_many(
    items: Sequence[Item], *, merchant_id: int, actor: str, request_id: str, refusal: Exception | None = None
) -> list[Result]:
    """Make payments durable and queued in their order; returns what came of each, as `accept` returns or raises it."""
    batch = _Batch(merchant_id, actor, request_id, clock.now())
    prints = [fingerprint_of(item.order) for item in items]
    for number, item in enumerate(items):
        config, route = link_for(item.order, merchant_id)
        reason = refusal or refusal_of(item.order, config)
        if reason:
            batch.refused[number] = reason
        elif config and item.idempotency_key not in batch.keys:
            _add(number, item, config, route, prints[number], batch)
    won = intake.accept_many(batch.rows, actor=actor, at=batch.at)
    stored = {number: state for number, state in batch.fresh.items() if state.id in won}
    for state in stored.values():
        say(state)
    rest = [number for number in range(len(items)) if number not in stored]
    known = selectors.by_keys(merchant_id, {items[number].idempotency_key for number in rest})

    def result(number: int) -> Result:
        if number in stored:
            return Receipt(row_of(stored[number], batch.at), replayed=False)
        row = known.get(items[number].idempotency_key)
        if row is None:
            return batch.refused[number]
        is_same = hmac.compare_digest(row.fingerprint, prints[number])
        return Receipt(row, replayed=True) if is_same else KeyReused()

    return [result(number) for number in range(len(items))]


def _add(number: int, item: Item, config: LinkConfig, route: str | None, fingerprint: str, batch: _Batch) -> None:
    order, key = item.order, item.idempotency_key
    event = accepted(asked_of(order, config, route, batch.merchant_id, key, fingerprint, batch.request_id, batch.at))
    state = fold(new_payment_id(), [event])
    card = seal_card(Card(order.pan, order.expiry), state.id) if order.pan else None
    pin = seal_pin(order.pin_block, state.id) if order.pin_block else None
    batch.keys.add(key)
    batch.fresh[number] = state
    batch.rows.append(store.new_row(state, event, actor=batch.actor, at=batch.at, sealed_card=card, pin=pin))
