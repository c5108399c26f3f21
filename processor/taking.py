"""Takes dispatched frames for the session that writes them, half a window ahead of it.

Owns what is in our hands and not yet written: it is given back when it cannot be written any more.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Collection
from typing import Final

import psycopg
import structlog

from processor.store import LinkStore, Taken, insist
from queueing.doorbell import FORWARD, ring
from queueing.failpoints import reach

_PAUSE_S: Final = 0.2

_log = structlog.get_logger(__name__)


class Taker:
    """Keeps the session supplied; `capacity()` says how many frames it can have in hand, 0 for none now."""

    def __init__(self, link: str, store: LinkStore, capacity: Callable[[], int], supplied: Callable[[], None]) -> None:
        self.version = 0
        self.window = 1
        #: what has less priority is not taken
        self.lowest = 0
        self._link = link
        self._store = store
        self._capacity = capacity
        self._supplied = supplied
        self._in_hand: deque[Taken] = deque()
        self._wanted = asyncio.Event()
        #: False when the last look found less than it asked for: only a ring says that there is more
        self._more = True
        self._since_ring = 0
        #: taken in time and expired in hand: given back at the next step
        self._stale: list[Taken] = []
        #: one statement about what is in our hands at a time
        self._lock = asyncio.Lock()

    @property
    def in_hand(self) -> int:
        """How many frames are taken and not written."""
        return len(self._in_hand)

    def look(self) -> None:
        """There may be dispatched frames."""
        self._more = True
        self._wanted.set()

    def room_grew(self) -> None:
        """The session can have more in hand."""
        if self._more:
            self._wanted.set()

    def next(self, limit: int, now: float, in_flight: Collection[str]) -> list[Taken]:
        """Return frames to write now; what expired between take and write goes back unsent (M13).

        A repeat stays in hand while an earlier write of the same message is in flight: one answer cannot be told from
        the other's. It is there when the holder before us, or a person, settled what our own session still waits for.
        """
        batch: dict[str, Taken] = {}
        kept: list[Taken] = []
        while self._in_hand and len(batch) < limit:
            taken = self._in_hand.popleft()
            if taken.expires_at <= now:
                self._stale.append(taken)
                self._wanted.set()
            elif taken.key in in_flight or taken.key in batch:
                kept.append(taken)
            else:
                batch[taken.key] = taken
        self._in_hand.extendleft(reversed(kept))
        return list(batch.values())

    async def give_back(self, *, failed: bool) -> None:
        """Give everything in hand back, also what is just being taken; `failed` counts it as a try."""
        async with self._lock:
            await self._give_stale()
            given = list(self._in_hand)
            self._in_hand.clear()
            await insist(self._link, lambda: self._store.untake(given, failed=failed))

    async def file_orphans(self, elsewhere: Callable[[], Collection[int]]) -> int:
        """Declare silence for what is taken and neither in hand nor elsewhere in this process; returns how many.

        That is what holders before us left, and what a take of ours committed without telling us.
        """
        async with self._lock:
            known = [*elsewhere(), *(taken.entry_id for taken in (*self._in_hand, *self._stale))]
            return await insist(self._link, lambda: self._store.file_orphans(known))

    async def run(self) -> None:
        """Take for ever."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while await self._step():
                pass

    async def _step(self) -> bool:
        async with self._lock:
            await self._give_stale()
            wanted = self._how_many() if self._more else 0
            if wanted > 0:
                await self._take(wanted)
            return wanted > 0

    def _how_many(self) -> int:
        """An eighth of the window at least, so that a busy link does not take one by one."""
        capacity = self._capacity()
        wanted = capacity - len(self._in_hand)
        return wanted if wanted >= max(1, capacity // 8) or not self._in_hand else 0

    async def _take(self, wanted: int) -> None:
        self._more = False
        reach("dispatched_before_take")
        try:
            taken = await self._store.take(wanted, self.version, self.lowest)
        except (psycopg.Error, OSError) as error:
            _log.warning("link.not_taken", link=self._link, error=type(error).__name__)
            asyncio.get_running_loop().call_later(_PAUSE_S, self.look)
            return
        self._more = self._more or len(taken) >= wanted or self._store.passed_over
        self._in_hand.extend(taken)
        self._tell_forward(len(taken))
        self._supplied()

    def _tell_forward(self, taken: int) -> None:
        """There is room ahead of us again: worth a ring for every half window."""
        self._since_ring += taken
        if self._since_ring >= max(1, self.window // 2):
            self._since_ring = 0
            ring(FORWARD)

    async def _give_stale(self) -> None:
        if self._stale:
            given, self._stale = self._stale, []
            await insist(self._link, lambda: self._store.untake(given, failed=False))
