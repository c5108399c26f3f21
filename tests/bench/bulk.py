"""Accepts payments by the hundred thousand: the same decisions, events and rows as `accepting.accept`, copied in.

Must not be used beside a running installation: it writes a lane's count before its entries.
"""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

import msgspec
from django.db import connection, transaction
from django.utils import timezone

from processor import links
from queueing.database import run
from transactions import accepting
from transactions.accepting import Order
from transactions.domain import commands as c
from transactions.domain.decide import accepted
from transactions.domain.events import event_to_data
from transactions.domain.evolve import fold
from transactions.domain.values import Operation, Placement
from transactions.iso8583 import Card
from transactions.models import Merchant
from transactions.projections import fixed_columns
from transactions.sealing import seal_card, vault
from transactions.store import FIRST_HEAD, chained

_CHUNK: Final = 20_000
_ORDER: Final = Order(Operation.PURCHASE, 1_250_000, "IDR", pan="4111111111111111")
_LIFETIME: Final = timedelta(days=7)

_PAYMENT: Final = (
    "id merchant_id idempotency_key fingerprint fingerprint_key request_id operation amount currency masked_pan "
    "card_last4 sealed_card terminal_id card_acceptor_id link lane priority expires_at reference metadata status "
    "version head created_at updated_at"
).split()
_EVENT: Final = ["payment_id", "version", "type", "data", "actor", "at", "hash"]
_ENTRY: Final = [
    *("payment_id", "link", "kind", "lane", "priority", "state", "expires_at", "request_id", "owed_since"),
]
_LANES: Final = """
INSERT INTO queueing_lane (lane, open)
SELECT %(merchant)s || '/' || n, (SELECT count(*) FROM generate_series(n, %(members)s - 1, %(lanes)s))
FROM generate_series(0, least(%(lanes)s, %(members)s) - 1) AS n"""

Row = dict[str, Any]


def accept_in_bulk(count: int, *, lanes: int) -> None:
    """Accept so many payments, every tenth of them in one of so many lanes."""
    merchant_id = Merchant.objects.values_list("id", flat=True)[0]
    run(_LANES, {"merchant": str(merchant_id), "members": len(range(0, count, 10)), "lanes": lanes})
    for start in range(0, count, _CHUNK):
        chunk = [_rows(number, merchant_id, lanes) for number in range(start, min(count, start + _CHUNK))]
        with transaction.atomic():
            _copy("transactions_payment", _PAYMENT, (payment for payment, _, _ in chunk))
            _copy("transactions_event", _EVENT, (event for _, event, _ in chunk))
            _copy("queueing_queueentry", _ENTRY, (entry for _, _, entry in chunk))


def _rows(number: int, merchant_id: int, lanes: int) -> tuple[Row, Row, Row]:
    """A payment, its first event, and what is owed; those of a lane have their place in it as reference."""
    config = links.remembered("bank")
    assert config
    place, in_lane = divmod(number, 10)
    lane = None if in_lane else str(place % lanes)
    at, payment_id = timezone.now(), accepting.new_payment_id()
    key = str(uuid.uuid4())
    placement = Placement(
        merchant_id=merchant_id,
        link=config.name,
        lane=lane,
        priority=5,
        expires_at=at + _LIFETIME,
        idempotency_key=key,
        fingerprint=accepting.fingerprint_of(_ORDER),
        fingerprint_key=vault().key_id.hex(),
        request_id=key,
        reference=lane and f"{place // lanes:08d}",
    )
    event = accepted(c.Accept(accepting._instruction(_ORDER, config), placement))
    state = fold(payment_id, [event])
    kind, data = event_to_data(event)
    head = chained(FIRST_HEAD, payment_id, 1, kind, data, "bench", at)
    payment = fixed_columns(state) | {
        "sealed_card": seal_card(Card(_ORDER.pan or "", None), payment_id),
        "metadata": "{}",
        "status": state.status.value,
        "version": 1,
        "head": head,
        "created_at": at,
        "updated_at": at,
    }
    first = {"payment_id": payment_id, "version": 1, "type": kind, "actor": "bench", "at": at, "hash": head}
    owed = {
        "payment_id": payment_id,
        "link": config.name,
        "kind": "request",
        "lane": lane and f"{merchant_id}/{lane}",
        "priority": 5,
        "state": "blocked" if lane and place >= lanes else "ready",
        "expires_at": placement.expires_at,
        "request_id": key,
        "owed_since": at,
    }
    return payment, first | {"data": msgspec.json.encode(data).decode()}, owed


def _copy(table: str, columns: list[str], rows: Iterator[Row]) -> None:
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([row[column] for column in columns])
