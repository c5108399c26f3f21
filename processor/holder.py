"""Holds one link under one lease: one session after another, until stopped.

Runs on an asyncio loop of its own. Sessions come and go; the taker and the filer live as long as the lease.
"""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import structlog

from processor import metrics
from processor.changing import Adjusted, Changes
from processor.commanding import Commander
from processor.connection import Connection
from processor.course import Course
from processor.filing import Filer
from processor.lease import Heard, Keeper
from processor.link.backoff import reconnect_delay
from processor.link.breaker import Breaker, BreakerPolicy, BreakerState
from processor.link.console import Footing
from processor.link.events import Cause
from processor.link.wishes import Wanted, Wish
from processor.links import LinkConfig
from processor.session import Session
from processor.store import LinkReport, LinkStore, insist
from processor.taking import Taker
from processor.watching import Watch
from queueing import clock
from queueing.doorbell import FORWARD, SETTLE, ring

_CHANGE_PATIENCE_S: Final = 3.0
_ROUND_S: Final = 5.0
_REACH_S: Final = 2.0

_log = structlog.get_logger(__name__)


class Holder:
    """The link's only voice while the lease is ours."""

    def __init__(
        self,
        link: str,
        store: LinkStore,
        keeper: Keeper,
        read_config: Callable[[], LinkConfig | None],
        drain_s: float,
        wish: Wish,
    ) -> None:
        self._link = link
        self._store = store
        self._keeper = keeper
        self._read_config = read_config
        self._drain_s = drain_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._session: Session | None = None
        self._course = Course(wish)
        self._stopping = False
        self._giving_back: asyncio.Task[None] | None = None

    # From other threads

    def look(self) -> None:
        """Somebody rang: there may be dispatched frames."""
        self._call(lambda: self._taker.look())  # noqa: PLW0108  (there is none before it runs)

    def heard(self, heard: Heard) -> None:
        """A renewal told something of the link that is new."""
        self._call(lambda: self._hear(heard))

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
        self._taker.lowest = self._course.lowest
        self._breaker = Breaker(BreakerPolicy(), self._breaker_moved)
        self._commander = Commander(self._link, self._store, self)
        self._watch = Watch(self, self._keeper, self._filer)
        adjusted = Adjusted(self._taker, self._breaker, self._watch, self._filer)
        self._changes = Changes(self._course, adjusted, self._load_config, lambda: self._leave(_CHANGE_PATIENCE_S))
        started()
        await self._file_orphans()
        if await insist(self._link, self._store.is_breaker_open):
            self._breaker.open(time.monotonic())
        async with asyncio.TaskGroup() as tasks:
            endless = (self._taker, self._commander, self._watch, self._changes)
            for_ever = [tasks.create_task(work) for work in (self._look_after_it(), *(one.run() for one in endless))]
            tasks.create_task(self._filer.run())
            await self._sessions()
            for task in for_ever:
                task.cancel()
            self._filer.finish()
        await self._store.close()

    async def _sessions(self) -> None:
        failures = 0
        while not self._stopping:
            self._course.begin_reading()
            config = await self._load_config()
            self._course.adopt(config)
            if self._course.is_closed and not self._stopping:
                self._filer.say(state="closed", up=False, cause=Cause.CLOSED_BY_STAFF.value, version=config.version)
                await self._wait(_ROUND_S)
                continue
            if self._is_wanted_elsewhere():
                continue  # told while we read it: a session begun now would not be told again, and never leave
            self._changes.adjust_to(config)
            came_up = await self._run_session(config)
            failures = 0 if came_up else failures + 1
            goes_on = not self._is_wanted_elsewhere()
            has_another = self._course.ended(time.monotonic(), came_up=came_up)
            if came_up and goes_on:
                self._breaker.failed(time.monotonic())
            if goes_on and not has_another:
                await self._pause(reconnect_delay(failures // self._course.roster.count, random.random()))  # noqa: S311

    async def _run_session(self, config: LinkConfig) -> bool:
        """One session with the host whose turn it is; returns whether the link came up in it."""
        self._session = Session(
            config,
            config.endpoints[self._course.roster.turn],
            self._store,
            self._keeper,
            self._filer,
            self._taker,
            self._breaker,
            self._came_up,
        )
        came_up = await self._session.run()
        self._watch.look_at_session()
        await self._taker.give_back(failed=not self._is_wanted_elsewhere())
        return came_up

    def _breaker_moved(self, state: BreakerState) -> None:
        """Say it, and with an open breaker give back what was not written: it waits in the queue, not in our hands."""
        _log.warning("link.breaker", link=self._link, epoch=self._store.epoch, state=state.value)
        self._filer.say(breaker=state.value)
        if state is BreakerState.OPEN:
            self._give_back_soon()
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
        """While another host carries, see whether the preferred one can be reached, and go back to it."""
        config, session, roster = self._course.config, self._session, self._course.roster
        if not (config and session and roster.wants_to_look(time.monotonic())):
            return
        endpoint = config.endpoints[roster.preferred]
        is_there = await Connection.reaches(endpoint, _REACH_S)
        if session is not self._session or roster.is_moving:
            return
        roster.looked(time.monotonic(), is_there=is_there)
        if is_there:
            _log.info("link.going_back", link=self._link, endpoint=endpoint[0])
            session.leave(_CHANGE_PATIENCE_S)

    def _came_up(self) -> None:
        self._watch.look_at_session()
        took_s = self._course.came_up(time.monotonic())
        if took_s is not None:
            metrics.failed_over(self._link, took_s)

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
        self._filer.say(retry_at=clock.estimate() + timedelta(seconds=seconds))
        await self._wait(seconds)
        self._filer.say(retry_at=None)

    async def _wait(self, seconds: float) -> None:
        self._skip_pause.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._skip_pause.wait()

    def _is_wanted_elsewhere(self) -> bool:
        """True when the session ended because we wanted it to."""
        return self._stopping or self._course.leads_elsewhere

    @property
    def _capacity(self) -> int:
        may_take = not self._stopping and not self._course.leads_elsewhere and self._keeper.holds
        return self._session.capacity if self._session and may_take else 0

    def _supplied(self) -> None:
        if self._session:
            self._session.supplied()

    def _hear(self, heard: Heard) -> None:
        self._changes.hear(heard.version)
        self._follow(heard.wish)
        self._commander.look()

    def _follow(self, wish: Wish) -> None:
        """Do what staff want from now on."""
        if not self._course.follow(wish):
            return
        _log.info("link.wanted", link=self._link, wanted=wish.wanted.value, endpoint=wish.endpoint)
        self._taker.lowest = self._course.lowest
        if self._course.leads_elsewhere:
            self._leave(_CHANGE_PATIENCE_S)
        self._skip_pause.set()
        if wish.wanted is Wanted.OPEN:
            self._taker.look()
        else:
            self._give_back_soon()
        ring(FORWARD)

    def _give_back_soon(self) -> None:
        self._giving_back = asyncio.get_running_loop().create_task(self._taker.give_back(failed=False))

    def _leave(self, patience_s: float) -> None:
        self._skip_pause.set()
        if self._session:
            self._session.leave(patience_s)

    @property
    def config(self) -> LinkConfig | None:
        """The configuration in use."""
        return self._course.config

    @property
    def session(self) -> Session | None:
        """The session that stands or is about to, if one does."""
        return self._session if self._session and not self._session.is_over else None

    @property
    def report(self) -> LinkReport:
        """What was last said of the link."""
        return self._filer.latest

    @property
    def footing(self) -> Footing:
        """How the link stands."""
        is_up = bool(self.session and self.session.is_up)
        return self._course.footing(is_up=is_up, is_spared=self._breaker.state is not BreakerState.CLOSED)

    async def want(self, wanted: Wanted, endpoint: str | None = None) -> None:
        """Keep what staff want, and do it; what is written no more is given back when this returns."""
        host = self._course.wish.endpoint if endpoint is None else endpoint
        wish = await insist(self._link, lambda: self._store.wish(wanted, host))
        if wish:
            self._follow(wish)
        if self._giving_back:
            await self._giving_back

    def reload(self) -> None:
        """Begin a new session with the configuration as it is now."""
        self._course.reload()
        self._leave(_CHANGE_PATIENCE_S)

    def reset_breaker(self) -> None:
        """Close the breaker."""
        self._breaker.reset()

    def _begin_stop(self) -> None:
        self._stopping = True
        self._leave(self._drain_s)
