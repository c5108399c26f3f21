"""Measures how well a link is, while its lease is ours: each layer at its own interval, at once when a session changes.

Owns when something is looked at; what a reading means is `link.health`'s to say.
"""

import asyncio
from typing import Protocol

import msgspec

from processor.filing import Filer
from processor.lease import Keeper
from processor.link.health import (
    Finding,
    Layer,
    NetworkReading,
    ProcessReading,
    ProtocolReading,
    Reading,
    ResourcesReading,
    judge,
)
from processor.links import LinkConfig
from processor.resources import files_in_use
from processor.session import Session


class Watched(Protocol):
    """What the holder of a link shows."""

    @property
    def config(self) -> LinkConfig | None:
        """The configuration in use."""

    @property
    def session(self) -> Session | None:
        """The session that stands or is about to."""


class Watch:
    """Says what it finds with the link's status, when it is not what it was."""

    def __init__(self, watched: Watched, keeper: Keeper, filer: Filer) -> None:
        self._watched = watched
        self._keeper = keeper
        self._filer = filer
        self._found: dict[str, Finding] = {}
        self._unreadable = 0
        self._adjusted = asyncio.Event()

    async def run(self) -> None:
        """Look for ever."""
        async with asyncio.TaskGroup() as tasks:
            for layer in Layer:
                tasks.create_task(self._keep_looking(layer))

    def adjust(self) -> None:
        """Another configuration is in use: its intervals count from now on, for what is waited for as well."""
        self._adjusted.set()
        self._adjusted = asyncio.Event()

    def look_at_session(self) -> None:
        """A session came up or ended."""
        self._look(Layer.NETWORK, 0.0)
        self._look(Layer.PROTOCOL, 0.0)

    async def _keep_looking(self, layer: Layer) -> None:
        while True:
            self._look(layer, await self._wait(layer))

    async def _wait(self, layer: Layer) -> float:
        """Wait until a look is due, by the interval as it is by then; returns how many seconds late it is."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            due = max(began + self._interval_s(layer), loop.time())
            try:
                async with asyncio.timeout_at(due):
                    await self._adjusted.wait()
            except TimeoutError:
                return max(0.0, loop.time() - due)

    def _interval_s(self, layer: Layer) -> float:
        """As configured now; a second until that was read."""
        config = self._watched.config
        return config.health_interval_s(layer) if config else 1.0

    def _look(self, layer: Layer, late_s: float) -> None:
        config = self._watched.config
        if config is None:
            return
        finding = judge(self._read(layer, config, late_s))
        if finding != self._found.get(layer.value):
            self._found = {**self._found, layer.value: finding}
            self._filer.say(health=msgspec.to_builtins(self._found))

    def _read(self, layer: Layer, config: LinkConfig, late_s: float) -> Reading:
        session = self._watched.session
        connection = session.connection if session else None
        match layer:
            case Layer.PROCESS:
                return ProcessReading(late_s, self._keeper.may_begin)
            case Layer.NETWORK:
                return NetworkReading(connection is not None, connection is None or connection.is_clear)
            case Layer.PROTOCOL:
                before, self._unreadable = self._unreadable, self._filer.unreadable
                echo_ms = self._filer.latest.echo_ms
                is_up = bool(session and session.is_up)
                echo_s = None if echo_ms is None else echo_ms / 1000
                return ProtocolReading(is_up, echo_s, config.echo_timeout_s, self._unreadable - before)
            case Layer.RESOURCES:
                return ResourcesReading(files_in_use(), self._filer.fullness)
