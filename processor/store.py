"""What the holder asks of the database: take, untake, file, journal, status. Batched, on its own connections.

Owns sealing on the way in and out; knows no socket. Every call is one statement and one commit.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Final, TypeVar

import msgspec
import psycopg
import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from psycopg.rows import namedtuple_row

from processor import statements as sql
from processor.codec.describe import masked_fields
from processor.codec.dialects import Dialect
from processor.codec.message import decode
from processor.keys.pan_vault import Purpose, Vault
from processor.link.breaker import BreakerState
from processor.link.console import CommandState, Verb
from processor.link.history import HistoryStep
from processor.link.wishes import Wanted, Wish
from processor.metrics import STAGE_SECONDS
from queueing import statements as queue
from queueing.queue import LowWater

_STATEMENT_TIMEOUT_MS: Final = 5000
_PAUSE_S: Final = 0.2
#: of a column: 36 minutes in microseconds
_MOST: Final = 2**31 - 1
ABANDONED: Final = (
    "The worker ended while it did this. Whether it was done shows in the link's state; it is not repeated."
)

T = TypeVar("T")

_log = structlog.get_logger(__name__)


class Taken(msgspec.Struct, frozen=True):
    """A frame this holder may write, once, until `expires_at` (monotonic; infinite for what never expires)."""

    entry_id: int
    payment_id: uuid.UUID
    attempt: int
    key: str
    mti: str
    body: bytes
    request_id: str
    expires_at: float


class Filing(msgspec.Struct, frozen=True):
    """An answer, a silence or a stray, to be filed."""

    kind: str
    received_at: datetime
    taken: Taken | None = None
    cause: str = ""
    elapsed_s: float | None = None
    body: bytes | None = None
    #: name of the dialect the body is in
    dialect: str = ""


class Ordered(msgspec.Struct, frozen=True):
    """A command that this holder carries out."""

    id: int
    verb: Verb
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """A network management message for the journal."""

    outward: bool
    mti: str
    body: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class LinkReport:
    """A link's live state as it goes into its status row."""

    version: int = 0
    up: bool = False
    state: str = "closed"
    cause: str = ""
    retry_at: datetime | None = None
    #: layer -> its score and what lowered it
    health: dict[str, Any] = field(default_factory=dict)
    endpoint: str = ""
    last_echo_at: datetime | None = None
    echo_ms: float | None = None
    breaker: str = "closed"

    def changed(self, **changes: Any) -> "LinkReport":
        """Return the state with some of it changed."""
        return replace(self, **changes)


async def insist(link: str, call: Callable[[], Awaitable[T]]) -> T:
    """Repeat a call until the database answers; the lease ends this process if that takes too long."""
    while True:
        try:
            return await call()
        except (psycopg.Error, DatabaseError, InterfaceError, OSError) as error:
            _log.warning("link.database_away", link=link, error=type(error).__name__)
            await asyncio.sleep(_PAUSE_S)


@dataclass(slots=True)
class LinkStore:
    """The holder's side of the database, for one link under one epoch."""

    url: str
    link: str
    epoch: int
    vault: Vault
    #: the last take began above an id: that it found little says nothing of what is below
    passed_over: bool = field(default=False, init=False)
    _low_water: LowWater = field(default_factory=LowWater)
    _connections: "dict[str, psycopg.AsyncConnection[Any]]" = field(default_factory=dict)

    async def take(self, limit: int, version: int, lowest: int = 0) -> list[Taken]:
        """Take up to `limit` dispatched frames of a version and at least a priority; none without the lease (F1)."""
        low = self._low_water.current()
        parameters = {**self._fence, "limit": limit, "version": version, "lowest": lowest, "low": low}
        # Before the question: however long the answer takes, what expires is not thought to live longer (M13).
        now = asyncio.get_running_loop().time()
        with STAGE_SECONDS.labels("take").time():
            rows = await self._rows("take", sql.TAKE, parameters)
        self.passed_over = low > 0
        taken = sorted(rows, key=lambda row: (-row.priority, row.id))
        self._low_water.saw([row.id for row in taken], limit)
        return [
            Taken(
                entry_id=row.id,
                payment_id=row.payment_id,
                attempt=row.attempt,
                key=row.match_key,
                mti=row.mti,
                body=self.vault.open(Purpose.FRAME, row.frame, row.payment_id.bytes),
                request_id=row.request_id,
                expires_at=float("inf") if row.expires_in_s is None else now + row.expires_in_s,
            )
            for row in taken
        ]

    async def untake(self, taken: Sequence[Taken], *, failed: bool) -> None:
        """Give back what no byte of was written; `failed` counts it as a try."""
        if taken:
            parameters = {**self._fence, "ids": [one.entry_id for one in taken], "failed": int(failed)}
            await self._run("file", queue.UNTAKE, parameters)

    async def file(self, filings: Sequence[Filing]) -> None:
        """File answers, silences and strays in one statement; never fenced (F3)."""
        parameters = {
            **self._fence,
            "entry_ids": [one.taken and one.taken.entry_id for one in filings],
            "payment_ids": [one.taken and one.taken.payment_id for one in filings],
            "attempts": [one.taken and one.taken.attempt for one in filings],
            "kinds": [one.kind for one in filings],
            "causes": [one.cause for one in filings],
            "times": [one.received_at for one in filings],
            "elapsed": [None if one.elapsed_s is None else min(round(one.elapsed_s * 1e6), _MOST) for one in filings],
            "dialects": [one.dialect for one in filings],
            "bodies": [one.body and self.vault.seal(Purpose.ANSWER, one.body, self.link.encode()) for one in filings],
        }
        with STAGE_SECONDS.labels("file").time():
            await self._run("file", sql.FILE, parameters)

    async def file_orphans(self, known: Collection[int]) -> int:
        """Declare silence for all that is taken and not among the known entries; returns how many."""
        return await self._run("take", sql.FILE_ORPHANS, {**self._fence, "known": list(known)})

    async def journal(self, records: Sequence[NetworkRecord], dialect: Dialect) -> None:
        """Write network management messages to the journal, masked."""
        parameters = {
            **self._fence,
            "outward": [record.outward for record in records],
            "mtis": [record.mti for record in records],
            "times": [record.at for record in records],
            "fields": [msgspec.json.encode(masked_fields(decode(record.body, dialect))).decode() for record in records],
        }
        await self._run("file", sql.JOURNAL, parameters)

    async def tell_history(self, steps: Sequence[HistoryStep]) -> None:
        """Write steps of the link's history."""
        parameters = {
            **self._fence,
            "times": [step.at for step in steps],
            "states": [step.state for step in steps],
            "endpoints": [step.endpoint for step in steps],
            "causes": [step.cause for step in steps],
            "after_ms": [step.after_ms for step in steps],
        }
        await self._run("file", sql.HISTORY, parameters)

    async def report(self, report: LinkReport) -> None:
        """Write the link's live state."""
        fields = {name: getattr(report, name) for name in LinkReport.__slots__}
        fields["health"] = msgspec.json.encode(report.health).decode()
        await self._run("file", sql.STATUS, {**self._fence, **fields})

    async def is_breaker_open(self) -> bool:
        """Say whether the holder before us left the breaker open, or half open: then the host is tried anew."""
        found = await self._rows("file", sql.BREAKER, {"link": self.link})
        return bool(found and found[0].breaker != BreakerState.CLOSED.value)

    async def cut_over(self, key: str) -> None:
        """Move the business date on, once for each notice of the host."""
        await self._run("file", sql.CUT_OVER, {**self._fence, "key": key})

    async def business_date(self) -> date:
        """Return the host's business date as we know it."""
        found = await self._rows("file", sql.BUSINESS_DATE, {"link": self.link})
        day: date = found[0].business_date
        return day

    async def business_date_told(self, day: date) -> bool:
        """Take over the business date that an answer told; False when ours is there already."""
        return bool(await self._run("file", sql.BUSINESS_DATE_TOLD, {**self._fence, "day": day}))

    async def draw_stans(self, sequence: str, count: int) -> list[int]:
        """Draw STANs for messages the link makes itself (M10)."""
        return [
            row.stan for row in await self._rows("file", sql.DRAW_STANS.format(sequence=sequence), {"count": count})
        ]

    async def wish(self, wanted: Wanted, endpoint: str) -> Wish | None:
        """Keep what staff want for whoever holds the link; None once another does."""
        found = await self._rows("file", sql.WISH, {**self._fence, "wanted": wanted.value, "endpoint": endpoint})
        return Wish(found[0].wishes, wanted, endpoint) if found else None

    async def claim_command(self) -> Ordered | None:
        """Take the oldest open command, and mark what nobody runs any more as failed."""
        found = await self._rows("file", sql.CLAIM_COMMAND, {**self._fence, "abandoned": ABANDONED})
        return Ordered(found[0].id, Verb(found[0].verb), found[0].parameters) if found else None

    async def finish_command(self, command_id: int, state: CommandState, answer: str, detail: dict[str, Any]) -> None:
        """Say what came of a command."""
        encoded = msgspec.json.encode(detail).decode()
        parameters = {"id": command_id, "state": state.value, "answer": answer, "detail": encoded}
        await self._run("file", sql.FINISH_COMMAND, {**self._fence, **parameters})

    async def close(self) -> None:
        """Close the connections."""
        for name in list(self._connections):
            await self._drop(name)

    @property
    def _fence(self) -> dict[str, Any]:
        return {"link": self.link, "epoch": self.epoch}

    async def _rows(self, name: str, statement: str, parameters: dict[str, Any]) -> list[Any]:
        cursor = await self._execute(name, statement, parameters)
        return await cursor.fetchall()

    async def _run(self, name: str, statement: str, parameters: dict[str, Any]) -> int:
        return (await self._execute(name, statement, parameters)).rowcount

    async def _execute(self, name: str, statement: str, parameters: dict[str, Any]) -> "psycopg.AsyncCursor[Any]":
        try:
            connection = self._connections.get(name) or await self._connect(name)
            return await connection.execute(statement, parameters, prepare=True, binary=True)
        except psycopg.OperationalError:
            await self._drop(name)
            raise

    async def _connect(self, name: str) -> "psycopg.AsyncConnection[Any]":
        self._connections[name] = connection = await psycopg.AsyncConnection.connect(
            self.url,
            autocommit=True,
            row_factory=namedtuple_row,
            connect_timeout=3,
            options=f"-c statement_timeout={_STATEMENT_TIMEOUT_MS} -c enable_seqscan=off",
            application_name=f"link-{name}",
            **settings.DATABASE_TCP,
        )
        return connection

    async def _drop(self, name: str) -> None:
        connection = self._connections.pop(name, None)
        if connection:
            await connection.close()
