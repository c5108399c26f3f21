"""What a payment looks like to a client."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from transactions import selectors
from transactions.showing import PaymentOut, payment_out


class PageOut(Struct, frozen=True):
    """One page of payments, newest first."""

    items: list[PaymentOut]
    next: Annotated[str | None, Meta(description="Address of the next page; null on the last.")]


class EventOut(Struct, frozen=True):
    """One thing that happened to a payment."""

    version: int
    type: str
    at: datetime
    data: dict[str, Any]


class EventsOut(Struct, frozen=True):
    """All that happened to a payment, first to last."""

    items: list[EventOut]


def payments_out(rows: Sequence[Any]) -> list[PaymentOut]:
    """Return payments as a client sees them, each with the held one that it waits for in its lane."""
    heads = selectors.held_heads(rows)
    return [payment_out(row, heads.get(row.id)) for row in rows]


def events_out(rows: Sequence[Any]) -> EventsOut:
    """Return events as a client sees them: what happened, not how we keep it."""
    return EventsOut([EventOut(row.version, row.type, row.at, _shown(row.data)) for row in rows])


_INTERNAL = frozenset({"v", "instruction", "placement", "digest", "note", "route"})


def _shown(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in _INTERNAL}
