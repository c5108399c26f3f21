"""Takes a newer configuration over while a link is held: beside the session that stands, or by leaving it for another.

Owns which of the two. A session is left only for what it was begun with: how often a link is looked at costs none.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from processor.course import Course
from processor.filing import Filer
from processor.link.breaker import Breaker
from processor.links import LinkConfig
from processor.taking import Taker
from processor.watching import Watch

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Adjusted:
    """What lives as long as the lease, and goes by the configuration in use."""

    taker: Taker
    breaker: Breaker
    watch: Watch
    filer: Filer


class Changes:
    """Hears of newer configurations, which `load` reads."""

    def __init__(
        self,
        course: Course,
        adjusted: Adjusted,
        load: Callable[[], Awaitable[LinkConfig]],
        leave: Callable[[], None],
    ) -> None:
        self._course: Final = course
        self._adjusted: Final = adjusted
        self._load = load
        self._leave = leave
        self._told = asyncio.Event()

    def hear(self, version: int | None) -> None:
        """The configuration has this version now."""
        self._course.hear(version)
        self._told.set()

    def adjust_to(self, config: LinkConfig) -> None:
        """Go by this from now on, in whatever is no session."""
        self._adjusted.taker.version, self._adjusted.taker.window = config.version, config.window
        self._adjusted.breaker.policy = config.breaker_policy()
        self._adjusted.watch.adjust()

    async def run(self) -> None:
        """Take over for ever."""
        while True:
            await self._told.wait()
            self._told.clear()
            if self._course.has_changed:
                await self._take_over()

    async def _take_over(self) -> None:
        newer = await self._load()
        before = self._course.config
        if before is None or not self._course.has_changed:
            return  # a session that began meanwhile has it
        if not before.leaves_session(newer):
            self._leave()
            return
        _log.info("link.adjusted", link=newer.name, version=newer.version)
        self._course.go_on(newer)
        self.adjust_to(newer)
        self._adjusted.filer.say(version=newer.version)
        self._adjusted.taker.look()
