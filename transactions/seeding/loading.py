"""Loads payments of the past into the tables: made by other processes, copied in the order of their time.

One chunk is one transaction over all its tables, so that a verification meanwhile finds nothing half there.
"""

import ctypes
import os
import random
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import closing
from datetime import date, datetime, timedelta
from itertools import islice
from multiprocessing import get_context
from typing import Any, Final
from uuid import UUID

import msgspec
from django.conf import settings
from django.db import transaction
from psycopg import connect

from processor import links
from queueing import clock
from queueing.database import raw_connection, rows
from transactions import minutes
from transactions.models import Merchant
from transactions.seeding.past import MARK, Past, Place

_PR_SET_PDEATHSIG: Final = 1
_CHUNK: Final = 5_000
_AHEAD: Final = 4
_DAYS: Final = 90
#: by then the last one has ended, even if it expired
_LATEST_AGO: Final = timedelta(minutes=2)
#: how busy each hour of a day is
_HOURS: Final = (1, 1, 1, 1, 1, 2, 4, 7, 9, 10, 11, 12, 12, 11, 10, 10, 11, 12, 12, 10, 8, 5, 3, 2)
_TABLES: Final = ("transactions_payment", "transactions_event", "transactions_attempt", "processor_message")
_MERCHANTS: Final = ("Warung Kopi", "Toko Buku", "Apotek Sehat", "Bengkel Jaya", "Batik Indah")

_REAL: Final = "SELECT EXISTS (SELECT 1 FROM transactions_payment WHERE request_id <> %(mark)s) AS real"
_SEEDED: Final = "SELECT count(*) AS payments FROM transactions_payment WHERE request_id = %(mark)s"

_json: Final = msgspec.json.Encoder(order="sorted").encode

Chunk = Mapping[str, tuple[Sequence[str], bytes]]


class RealPayments(Exception):
    """The database holds payments that were carried; seeding would mix them with invented ones."""


def seed(count: int, told: Callable[[int], None], *, beside_real: bool, workers: int) -> None:
    """Load `count` payments that ended in the last 90 days; `told` hears how many are there."""
    if not beside_real and rows(_REAL, {"mark": MARK})[0].real:
        raise RealPayments
    place = _place()
    first = rows(_SEEDED, {"mark": MARK})[0].payments
    until = clock.now()
    parts = [
        (place, first + start, min(_CHUNK, count - start), start / count, count, until)
        for start in range(0, count, _CHUNK)
    ]
    done = 0
    with ProcessPoolExecutor(workers, get_context("fork"), _end_with, (os.getpid(),)) as makers:
        for chunk, size in _in_order(makers, parts):
            _copy(chunk)
            done += size
            told(done)
    _settle_down()


def _end_with(parent: int) -> None:
    """Let a maker die with the process it makes for: waiting for work, it would not notice."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit()


def _in_order(makers: ProcessPoolExecutor, parts: Sequence[tuple[Any, ...]]) -> Iterator[tuple[Chunk, int]]:
    """Yield the chunks in the order of their time, a few being made ahead."""
    waiting = iter(parts)
    making: list[tuple[Future[Chunk], int]] = [
        (makers.submit(_make, *part), part[2]) for part in islice(waiting, _AHEAD)
    ]
    while making:
        future, size = making.pop(0)
        chunk = future.result()
        making += [(makers.submit(_make, *part), part[2]) for part in islice(waiting, 1)]
        yield chunk, size


def _place() -> Place:
    config = links.read()
    if config is None:
        raise LookupError
    for name in _MERCHANTS:
        Merchant.objects.get_or_create(name=name)
    merchants = list(Merchant.objects.order_by("id").values_list("id", flat=True))
    return Place(config.name, config.dialect_name, config.terminal_id, config.card_acceptor_id, merchants)


def _make(place: Place, first: int, size: int, share: float, count: int, until: datetime) -> Chunk:
    """Make one chunk, as lines for COPY; runs in a process of its own."""
    past = Past(place, random.Random(first))  # noqa: S311  (a plausible past, no secret)
    tables: dict[str, list[dict[str, Any]]] = {table: [] for table in _TABLES}
    for number in range(size):
        made = past.payment(first + number, _moment(share + number / count, until))
        tables["transactions_payment"].append(made.payment)
        tables["transactions_event"] += made.events
        tables["transactions_attempt"] += made.attempts
        tables["processor_message"] += made.messages
    return {table: (list(lines[0]), b"".join(map(_line, lines))) for table, lines in tables.items() if lines}


def _moment(share: float, until: datetime) -> datetime:
    """Return when so large a share of the payments had been accepted: the days alike, their hours not."""
    day, within = divmod(share * _DAYS, 1)
    begins = until - _LATEST_AGO - timedelta(days=_DAYS)
    busy = _HOURS[begins.hour :] + _HOURS[: begins.hour]
    wanted, hour = within * sum(busy), 0
    while wanted > busy[hour]:
        wanted -= busy[hour]
        hour += 1
    return begins + timedelta(days=day, hours=hour + wanted / busy[hour])


def _copy(chunk: Chunk) -> None:
    with transaction.atomic():
        connection = raw_connection()
        for table, (columns, lines) in chunk.items():
            with connection.cursor() as cursor, cursor.copy(f"COPY {table} ({', '.join(columns)}) FROM STDIN") as copy:
                copy.write(lines)


def _settle_down() -> None:
    """Let the planner and the desk know what is there now."""
    with closing(connect(settings.DATABASE_DIRECT_URL, autocommit=True)) as connection:
        for table in _TABLES:
            connection.execute(f"VACUUM (ANALYZE) {table}")
    minutes.begin_again()


def _line(row: Mapping[str, Any]) -> bytes:
    return ("\t".join([_AS_TEXT[type(value)](value) for value in row.values()]) + "\n").encode()


def _escaped(text: str) -> str:
    return text if "\\" not in text else text.replace("\\", "\\\\")


def _as_json(value: Any) -> str:
    return _escaped(_json(value).decode())


#: how COPY reads a value; strings of ours hold neither tab nor line end
_AS_TEXT: Final[Mapping[type, Callable[[Any], str]]] = {
    str: _escaped,
    int: str,
    type(None): lambda _: "\\N",
    datetime: datetime.isoformat,
    date: date.isoformat,
    bool: lambda value: "t" if value else "f",
    bytes: lambda value: f"\\\\x{value.hex()}",
    dict: _as_json,
    list: _as_json,
    UUID: str,
}
