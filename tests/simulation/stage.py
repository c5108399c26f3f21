"""Puts the product on the simulation's stage: its clocks, dice, database and doorbell are ours.

Owns every patch of the product; patched is where it touches the world, never a rule of its own.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any, ClassVar, Final, TypeAlias
from unittest.mock import patch

import psycopg

from tests.simulation.tables import Row, Tables
from tests.simulation.world import Process, World

Put: TypeAlias = Callable[[Any, str, Any], None]

MAC_KEY: Final = bytes.fromhex("61CBA10D910DDE65A4181DF743CA0937")
_ENVIRONMENT: Final = {
    "DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
    "BROKER_URL": "memory://",
    "SECRET_KEY": "for tests only",
    "MASTER_KEY": "0f" * 32,
    "ALLOWED_HOSTS": "testserver",
    "CACHE_SECONDS": "0",
    "LOG_LEVEL": "CRITICAL",
    "DJANGO_SETTINGS_MODULE": "config.settings",
}


@dataclass(slots=True)
class Stage:
    """What the product's code meets while a seed runs."""

    world: World
    tables: Tables
    #: seconds a statement takes on its way, each way
    slowest_s: float = 0.01
    #: chance that a statement or commit fails unseen, and that only its acknowledgement does
    loses: float = 0.0
    loses_acknowledgement: float = 0.0
    #: chance that a holder's statement is held up on its way, also beyond its sender's lease (F1)
    arrives_late: float = 0.0
    #: the database answers nobody until then
    away_until: float = 0.0
    #: processes cut off from the database
    cut_off: dict[Process, float] = field(default_factory=dict)
    rung: Callable[[str, float], None] = lambda queue, after_s: None
    #: what modules remember for their process
    memories: dict[Any, dict[Any, Any]] = field(default_factory=dict)
    current: "ClassVar[Stage]"

    def __post_init__(self) -> None:
        Stage.current = self

    def latency(self) -> float:
        """Seconds that something takes on its way to the database, or back."""
        return self.world.between(0.0002, self.slowest_s)

    def is_away(self) -> bool:
        """True when the acting process reaches no database."""
        actor = self.world.current
        until = self.cut_off.get(actor.process, 0.0) if actor else 0.0
        return max(self.away_until, until) > self.world.now


class _Cursor:
    """What a statement brought."""

    def __init__(self, found: Sequence[Row]) -> None:
        self._found = found
        self.rowcount = len(found)

    def fetchall(self) -> Sequence[Row]:
        return self._found

    def fetchone(self) -> Row | None:
        return self._found[0] if self._found else None


class _AsyncCursor(_Cursor):
    async def fetchall(self) -> Sequence[Row]:  # type: ignore[override]
        return self._found


def configure() -> None:
    """Configure Django, for a process that has not; the database it names is never asked."""
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    import django  # noqa: PLC0415  (reads the environment)

    django.setup()


@contextmanager
def curtain() -> Iterator[None]:
    """Patch the product for as long as seeds run."""
    with ExitStack() as stack:

        def put(where: Any, name: str, what: Any) -> None:
            stack.enter_context(patch.object(where, name, what))

        _put_database(put)
        _put_transactions(put)
        _put_clocks(put)
        _put_the_rest(put)
        yield


def _put_database(put: Put) -> None:
    from django.db import OperationalError  # noqa: PLC0415

    from processor import lease  # noqa: PLC0415
    from processor.store import LinkStore  # noqa: PLC0415
    from queueing import database  # noqa: PLC0415

    def run(statement: str, parameters: Any = None) -> _Cursor:
        """A worker's statement: in its transaction at once, by itself with all that can go wrong."""
        stage = Stage.current
        if stage.tables.in_transaction:
            return _Cursor(stage.tables.run(statement, parameters))
        return _Cursor(_alone(stage, statement, parameters, OperationalError))

    async def execute(self: Any, name: str, statement: str, parameters: Any) -> Any:
        return await _from_afar(Stage.current, statement, parameters)

    put(database, "_run", run)
    put(LinkStore, "_execute", execute)
    put(lease, "connect", lambda _: _LeaseConnection())


def _put_transactions(put: Put) -> None:
    from django.db import OperationalError, transaction  # noqa: PLC0415

    open_ones: list[list[Any]] = []

    def enter(self: Any) -> None:
        stage = Stage.current
        if stage.tables.in_transaction:
            open_ones.append(open_ones[-1])
            return
        stage.world.block(stage.latency())
        if stage.is_away() or stage.world.chance(stage.loses):
            raise OperationalError("the database is away")
        stage.tables.begin()
        open_ones.append([])

    def leave(self: Any, kind: Any, error: Any, trace: Any) -> None:
        stage, then = Stage.current, open_ones.pop()
        if open_ones and open_ones[-1] is then:
            return
        if kind is not None:
            stage.tables.rollback()
            return
        if stage.world.chance(stage.loses):
            stage.tables.rollback()
            stage.world.fault("transaction lost")
            raise OperationalError("the transaction was lost")
        stage.tables.commit()
        stage.world.block(stage.latency())
        if stage.world.chance(stage.loses_acknowledgement):
            stage.world.fault("acknowledgement lost")
            raise OperationalError("the acknowledgement was lost")
        for action in then:
            action()

    put(transaction.Atomic, "__enter__", enter)
    put(transaction.Atomic, "__exit__", leave)
    put(transaction, "on_commit", lambda action, *_, **__: open_ones[-1].append(action))


def _alone(stage: Stage, statement: str, parameters: Any, error: type[Exception]) -> Sequence[Row]:
    stage.world.block(stage.latency())
    if stage.is_away() or stage.world.chance(stage.loses):
        raise error("the database is away")
    found = stage.tables.run(statement, parameters)
    stage.world.block(stage.latency())
    if stage.world.chance(stage.loses_acknowledgement):
        stage.world.fault("acknowledgement lost")
        raise error("the acknowledgement was lost")
    return found


async def _from_afar(stage: Stage, statement: str, parameters: Any) -> _AsyncCursor:
    """The holder's statement: it commits though its process dies meanwhile."""
    world, loop = stage.world, asyncio.get_running_loop()
    acknowledged: asyncio.Future[Any] = loop.create_future()
    actor = world.current
    away = stage.is_away() or world.chance(stage.loses)

    def acknowledge(found: Sequence[Row] | None) -> None:
        if not acknowledged.done():
            if found is None:
                acknowledged.set_exception(psycopg.OperationalError("the database is away"))
            else:
                acknowledged.set_result(found)

    def commit() -> None:
        found = None if away else stage.tables.run(statement, parameters)
        if found is not None and world.chance(stage.loses_acknowledgement):
            world.fault("acknowledgement lost")
            found = None
        world.after(stage.latency(), actor, lambda: acknowledge(found))

    late = world.between(2.0, 12.0) if world.chance(stage.arrives_late) else 0.0
    world.after(2.0 if away else late + stage.latency(), None, commit)
    return _AsyncCursor(await acknowledged)


class _LeaseConnection:
    """The lease's own connection."""

    def execute(self, statement: str, parameters: Any) -> _Cursor:
        return _Cursor(_alone(Stage.current, statement, parameters, psycopg.OperationalError))

    def close(self) -> None: ...

    def __enter__(self) -> "_LeaseConnection":
        return self

    def __exit__(self, *_: object) -> None: ...


def _put_clocks(put: Put) -> None:
    from processor import holder, lease, session  # noqa: PLC0415
    from processor.link.events import Moment  # noqa: PLC0415
    from queueing import clock as database_clock  # noqa: PLC0415
    from queueing import queue  # noqa: PLC0415

    def now(*_: Any) -> Any:
        return Stage.current.world.wall()

    def boottime() -> float:
        return Stage.current.world.boottime()

    clock = SimpleNamespace(monotonic=lambda: Stage.current.world.now)
    for name in ("now", "estimate"):
        put(database_clock, name, now)
    put(database_clock, "process_age", lambda: timedelta(seconds=Stage.current.world.age()))
    put(lease, "saw", lambda *_: None)
    put(session, "_now", lambda: Moment(Stage.current.world.now, now()))
    put(session, "time", clock)
    put(holder, "time", clock)
    put(queue, "time", clock)
    put(lease, "boottime", boottime)


def _put_the_rest(put: Put) -> None:
    from processor import holder, lease, links, routing, watching  # noqa: PLC0415
    from processor.keys.store import LinkKeys  # noqa: PLC0415
    from queueing import doorbell  # noqa: PLC0415
    from transactions import accepting, forwarding, missing, settling  # noqa: PLC0415

    def roll() -> float:
        return Stage.current.world.random.random()

    dice = SimpleNamespace(random=roll)
    keys = LinkKeys(MAC_KEY, (MAC_KEY,))
    bell = SimpleNamespace(ring=lambda queue, after_s=0.0: Stage.current.rung(queue, after_s))
    for module in (holder, forwarding, settling):
        put(module, "random", dice)
    for module in (forwarding, settling):
        put(module, "keys_of", lambda _: keys)
    put(doorbell, "_doorbell", bell)
    put(watching, "files_in_use", lambda: 0.1)
    put(accepting, "is_full", lambda *_: False)
    put(lease, "holder_name", lambda: Stage.current.world.acting.name)
    for module in (links, routing):
        put(module, "_remembered", Forgetful())
    put(links, "_remembered_live", Forgetful())
    put(missing, "_looked_up_to", missing._FIRST)
    put(forwarding, "_alone", OfProcess("alone"))
    put(forwarding, "_low_waters", OfProcess("low_waters"))


class Forgetful(dict[Any, Any]):
    """Keeps nothing."""

    def __setitem__(self, name: Any, value: Any) -> None:
        """Forget it."""


class OfProcess:
    """A module's own memory, for as many processes as run in this one."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _mine(self) -> dict[Any, Any]:
        stage = Stage.current
        return stage.memories.setdefault((self._name, stage.world.acting.name), {})

    def __getitem__(self, name: Any) -> Any:
        return self._mine()[name]

    def __setitem__(self, name: Any, value: Any) -> None:
        self._mine()[name] = value

    def setdefault(self, name: Any, default: Any) -> Any:
        """As a dict's."""
        return self._mine().setdefault(name, default)
