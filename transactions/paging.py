"""One merchant's payments, newest first, page after page: whatever narrows them, by an index and a bounded stretch.

What no index knows is looked for through so many payments at a time, so a page may be short, or empty, where there is
more: it says where to go on. Nothing is counted, nothing is skipped over.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from queueing.database import rows
from transactions.domain.values import Status
from transactions.finding import SELDOM, WRONG_CLOCK, first_id
from transactions.selectors import SHOWN

#: so many are looked through at once: some 50 ms
STRETCH: Final = 50_000
#: so many of a seldom end, each of which is looked up
SELDOM_STRETCH: Final = 2_000

#: filter -> its condition; all of them hold for every payment of a page
_CONDITIONS: Final[Mapping[str, str]] = {
    "status": "status = %(status)s::text",
    "operation": "operation = %(operation)s::text",
    "currency": "currency = %(currency)s::text",
    "link": "link = %(link)s::text",
    "lane": "lane = %(lane)s::text",
    "reference": "reference = %(reference)s::text",
    "idempotency_key": "idempotency_key = %(idempotency_key)s::text",
    "card_last4": "card_last4 = %(card_last4)s::text",
    "original": "original->>'payment_id' = %(original)s::text",
    "amount_from": "amount >= %(amount_from)s::bigint",
    "amount_to": "amount <= %(amount_to)s::bigint",
    "created_from": "created_at >= %(created_from)s::timestamptz",
    "created_to": "created_at < %(created_to)s::timestamptz",
}
_BOUNDS: Final[Mapping[str, str]] = {
    "before": "id < %(before)s::uuid",
    "first": "id >= %(first)s::uuid",
    "last": "id < %(last)s::uuid",
}
#: what has an index of its own in the order of ids or few rows, the most telling first
_INDEXED: Final = ("original", "reference", "card_last4")

#: where it is looked, in the order of ids
_LOOKED: Final = "SELECT {columns} FROM transactions_payment WHERE {within} ORDER BY id DESC"
_TOLD: Final = "SELECT DISTINCT id FROM ({told}) AS told ORDER BY id DESC"
_TOLD_BY: Final = """(
    SELECT id FROM (SELECT payment_id AS id, type FROM transactions_event) AS event
    WHERE type = '{kind}' AND {within} ORDER BY id DESC LIMIT {stretch})"""

_PAGE: Final = """
SELECT {shown} FROM ({looked} LIMIT {stretch}) AS looked WHERE {conditions} ORDER BY id DESC LIMIT %(limit)s"""
_PAGE_OF_SELDOM: Final = """
SELECT {shown} FROM ({looked} LIMIT {stretch}) AS looked JOIN transactions_payment USING (id)
WHERE {conditions} ORDER BY id DESC LIMIT %(limit)s"""
_EDGE: Final = "{looked} OFFSET {stretch} - 1 LIMIT 1"


@dataclass(frozen=True, slots=True)
class Filters:
    """What a list is narrowed to; times of acceptance are from one up to, not with, the other."""

    status: Status | None = None
    operation: str | None = None
    currency: str | None = None
    link: str | None = None
    lane: str | None = None
    reference: str | None = None
    idempotency_key: str | None = None
    card_last4: str | None = None
    original: UUID | None = None
    amount_from: int | None = None
    amount_to: int | None = None
    created_from: datetime | None = None
    created_to: datetime | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Payments, and the id to go on before; None where there are no more."""

    payments: Sequence[Any]
    before: UUID | None


def page(merchant_id: int, filters: Filters, before: UUID | None, limit: int) -> Page:
    """Return the next payments of a merchant before an id."""
    given = {name: value for name in _CONDITIONS if (value := getattr(filters, name)) is not None}
    bounds = _bounds(filters, before)
    parameters = {**given, **bounds, "merchant_id": merchant_id, "limit": limit + 1}
    conditions = " AND ".join(["merchant_id = %(merchant_id)s", *(_CONDITIONS[name] for name in given)])
    looked, edge = _statements(filters, given, [_BOUNDS[name] for name in bounds], conditions)
    found = rows(looked, parameters)
    if len(found) > limit:
        return Page(found[:limit], found[limit - 1].id)
    beyond = rows(edge, parameters)
    return Page(found, beyond[0].id if beyond else None)


def _bounds(filters: Filters, before: UUID | None) -> dict[str, UUID]:
    """Ids carry the time of the machine that made them, so a span of time is a span of ids and a little."""
    since, until = filters.created_from, filters.created_to
    bounds = {
        "before": before,
        "first": since and first_id(since - WRONG_CLOCK),
        "last": until and first_id(until + WRONG_CLOCK),
    }
    return {name: bound for name, bound in bounds.items() if bound}


def _statements(filters: Filters, given: Collection[str], bounds: Sequence[str], conditions: str) -> tuple[str, str]:
    """Return how a page is read, and how far was looked where that was not enough."""
    if filters.status in SELDOM and not any(name in given for name in _INDEXED):
        stretch, within = SELDOM_STRETCH, " AND ".join(bounds) or "true"
        kinds = SELDOM[filters.status]
        told = " UNION ALL ".join(_TOLD_BY.format(kind=kind, within=within, stretch=stretch) for kind in kinds)
        looked = _TOLD.format(told=told)
        shown = _PAGE_OF_SELDOM.format(shown=SHOWN, looked=looked, conditions=conditions, stretch=stretch)
        return shown, _EDGE.format(looked=looked, stretch=stretch)
    within = " AND ".join([_narrowed(filters, given), *bounds])
    everything, ids = (_LOOKED.format(columns=columns, within=within) for columns in ("*", "id"))
    shown = _PAGE.format(shown=SHOWN, looked=everything, conditions=conditions, stretch=STRETCH)
    return shown, _EDGE.format(looked=ids, stretch=STRETCH)


def _narrowed(filters: Filters, given: Collection[str]) -> str:
    """The one condition whose index is walked: an index of its own, what is open, or the merchant's."""
    if name := next((name for name in _INDEXED if name in given), None):
        return _CONDITIONS[name]
    if "idempotency_key" in given:
        return f"merchant_id = %(merchant_id)s AND {_CONDITIONS['idempotency_key']}"
    is_open = filters.status is not None and not filters.status.is_final
    return "ended_at IS NULL" if is_open else "merchant_id = %(merchant_id)s"
