"""Holds one link under one lease: one session after another, until stopped.

Runs on an asyncio loop of its own. Sessions come and go; the taker and the filer live as long as the lease.
"""

import asyncio
import random
from collections.abc import Callable
from typing import Any, Final

import structlog

from processor.filing import Filer
from processor.lease import Keeper
from processor.link.backoff import reconnect_delay
from processor.links import LinkConfig
from processor.session import Session
from processor.store import LinkStore
from processor.taking import Taker
from queueing.doorbell import SETTLE, ring

_CHANGE_PATIENCE_S: Final = 3.0
_ORPHANS_EVERY_S: Final = 5.0

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
        started()
        await self._file_orphans()
        async with asyncio.TaskGroup() as tasks:
            for_ever = [tasks.create_task(self._taker.run()), tasks.create_task(self._file_orphans_for_ever())]
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
            self._session = Session(self._config, self._store, self._keeper, self._filer, self._taker)
            came_up = await self._session.run()
            goes_on = not self._is_wanted_elsewhere()
            await self._taker.give_back(failed=goes_on)
            failures = 0 if came_up else failures + 1
            if goes_on:
                await self._pause(reconnect_delay(failures, random.random()))  # noqa: S311

    async def _file_orphans_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_ORPHANS_EVERY_S)
            await self._file_orphans()

    async def _file_orphans(self) -> None:
        filed = await self._taker.file_orphans(
            lambda: [*(self._session.entries if self._session else ()), *self._filer.entries]
        )
        if filed:
            _log.warning("link.orphans_filed", link=self._link, epoch=self._store.epoch, messages=filed)
            ring(SETTLE)

    async def _load_config(self) -> LinkConfig:
        config = await asyncio.to_thread(self._read_config)
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
        return self._stopping or self._has_changed

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
