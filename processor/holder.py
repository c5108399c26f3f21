"""Holds one link under one lease: one session after another, until stopped.

Runs on an asyncio loop of its own. Sessions come and go; the taker and the filer live as long as the lease.
"""

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any, Final

import structlog

from processor import metrics
from processor.connection import Connection
from processor.filing import Filer
from processor.lease import Keeper
from processor.link.backoff import reconnect_delay
from processor.link.breaker import Breaker, BreakerPolicy, BreakerState
from processor.link.roster import Roster
from processor.links import LinkConfig
from processor.session import Session
from processor.store import LinkStore, insist
from processor.taking import Taker
from queueing.doorbell import SETTLE, ring

_CHANGE_PATIENCE_S: Final = 3.0
_ROUND_S: Final = 5.0
_REACH_S: Final = 2.0

_log = structlog.get_logger(__name__)


class Holder:
    """The link's only voice while the lease is ours."""

    def __init__(
        self, link: str, store: LinkStore, keeper: Keeper, read_config: Callable[[], LinkConfig | None], drain_s: float
    ) -> None:
        self._link = link
        self._store = store
        self._keeper = keeper
        self._read_config = read_config
        self._drain_s = drain_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: Session | None = None
        self._config: LinkConfig | None = None
        self._wanted_version: int | None = None
        self._stopping = False
        self._roster = Roster(1, 0)
        self._roster_of = 0
        self._carried_by = 0
        self._lost_at: float | None = None
        self._giving_back: asyncio.Task[None] | None = None

    # From other threads

    def look(self) -> None:
        """Somebody rang: there may be dispatched frames."""
        self._call(self._look)

    def configuration_changed(self, version: int) -> None:
        """The link's configuration has another version now."""
        self._call(lambda: self._change(version))

    def stop(self) -> None:
        """Sign off and end; `run` returns when all is filed."""
        self._call(self._begin_stop)

    def _call(self, action: Callable[[], None]) -> None:
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(action)

    # The loop

    async def run(self, started: Callable[[], None], crashed: Callable[[dict[str, Any]], None]) -> None:
        """Hold the link until stopped; `started` is called once other threads may call.

        `crashed` is told of an exception in a callback of the loop: nothing may go on as if it had not been.
        """
        self._skip_pause = asyncio.Event()
        self._filer = Filer(self._link, self._store)
        self._taker = Taker(self._link, self._store, lambda: self._capacity, self._supplied)
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda _, context: crashed(context))
        self._breaker = Breaker(BreakerPolicy(), self._breaker_moved)
        started()
        await self._file_orphans()
        if await insist(self._link, self._store.is_breaker_open):
            self._breaker.open(time.monotonic())
        async with asyncio.TaskGroup() as tasks:
            for_ever = [tasks.create_task(self._taker.run()), tasks.create_task(self._look_after_it())]
            tasks.create_task(self._filer.run())
            await self._sessions()
            for task in for_ever:
                task.cancel()
            self._filer.finish()
        await self._store.close()

    async def _sessions(self) -> None:
        failures = 0
        while not self._stopping:
            self._config = await self._load_config()
            self._taker.version, self._taker.window = self._config.version, self._config.window
            self._breaker.policy = self._config.breaker_policy()
            if self._roster_of != self._config.version:
                self._roster = Roster(len(self._config.endpoints), self._config.failback_s)
                self._roster_of = self._config.version
            came_up = await self._run_session(self._config)
            failures = 0 if came_up else failures + 1
            goes_on = not self._is_wanted_elsewhere()
            has_another = self._roster.ended(came_up=came_up)
            if came_up and goes_on:
                self._breaker.failed(time.monotonic())
            if goes_on and not has_another:
                await self._pause(reconnect_delay(failures // self._roster.count, random.random()))  # noqa: S311

    async def _run_session(self, config: LinkConfig) -> bool:
        """One session with the host whose turn it is; returns whether the link came up in it."""
        self._session = Session(
            config,
            config.endpoints[self._roster.turn],
            self._store,
            self._keeper,
            self._filer,
            self._taker,
            self._breaker,
            self._came_up,
        )
        came_up = await self._session.run()
        if came_up:
            self._lost_at = time.monotonic()
        await self._taker.give_back(failed=not self._is_wanted_elsewhere())
        return came_up

    def _breaker_moved(self, state: BreakerState) -> None:
        """Say it, and with an open breaker give back what was not written: it waits in the queue, not in our hands."""
        _log.warning("link.breaker", link=self._link, epoch=self._store.epoch, state=state.value)
        self._filer.say(breaker=state.value)
        if state is BreakerState.OPEN:
            self._giving_back = asyncio.get_running_loop().create_task(self._taker.give_back(failed=False))
        else:
            self._taker.look()

    async def _look_after_it(self) -> None:
        """What a link's holder does every few seconds, whatever its session does."""
        while True:
            await asyncio.sleep(_ROUND_S)
            await self._file_orphans()
            await self._look_for_preferred_host()
            # What was not written while renewals went unanswered waits for nothing else to happen.
            self._supplied()

    async def _look_for_preferred_host(self) -> None:
        """While another host carries, see whether the first can be reached again, and go back to it."""
        config, session = self._config, self._session
        if not (config and session and self._roster.wants_to_look(time.monotonic())):
            return
        is_there = await Connection.reaches(config.endpoints[0], _REACH_S)
        if session is not self._session:
            return
        self._roster.looked(time.monotonic(), is_there=is_there)
        if is_there:
            _log.info("link.going_back", link=self._link, endpoint=config.endpoints[0][0])
            session.leave(_CHANGE_PATIENCE_S)

    def _came_up(self) -> None:
        now = time.monotonic()
        self._roster.came_up(now)
        if self._lost_at is not None and self._carried_by != self._roster.turn:
            metrics.FAILOVERS.labels(self._link).inc()
            metrics.FAILOVER_SECONDS.labels(self._link).observe(now - self._lost_at)
        self._carried_by = self._roster.turn

    async def _file_orphans(self) -> None:
        filed = await self._taker.file_orphans(
            lambda: [*(self._session.entries if self._session else ()), *self._filer.entries]
        )
        if filed:
            _log.warning("link.orphans_filed", link=self._link, epoch=self._store.epoch, messages=filed)
            ring(SETTLE)

    async def _load_config(self) -> LinkConfig:
        config = await insist(self._link, lambda: asyncio.to_thread(self._read_config))
        if config is None:
            raise RuntimeError(f"the link {self._link} is not configured any more")
        return config

    async def _pause(self, seconds: float) -> None:
        self._skip_pause.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._skip_pause.wait()
        except TimeoutError:
            return

    def _is_wanted_elsewhere(self) -> bool:
        """True when the session ended because we wanted it to."""
        return self._stopping or self._has_changed or self._roster.is_going_back

    @property
    def _has_changed(self) -> bool:
        return bool(self._config and self._wanted_version and self._wanted_version > self._config.version)

    @property
    def _capacity(self) -> int:
        may_take = not self._stopping and not self._has_changed and self._keeper.holds
        return self._session.capacity if self._session and may_take else 0

    def _look(self) -> None:
        self._taker.look()

    def _supplied(self) -> None:
        if self._session:
            self._session.supplied()

    def _change(self, version: int) -> None:
        self._wanted_version = version
        if self._has_changed:
            self._skip_pause.set()
            if self._session:
                self._session.leave(_CHANGE_PATIENCE_S)

    def _begin_stop(self) -> None:
        self._stopping = True
        self._skip_pause.set()
        if self._session:
            self._session.leave(self._drain_s)
