"""What time it is by the database's clock, which expiry, waits and stories are written by.

Owns this process's idea of it: between two looks it goes on by CLOCK_BOOTTIME, so that whoever sets this machine's
clock changes nothing (M13). How far the two are apart is a figure that alerts.
"""

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from prometheus_client import Gauge

from queueing.database import rows

_FRESH_S: Final = 5.0
#: what took longer to answer says too little about when it was answered
_PROMPT_S: Final = 1.0
#: field 22 of proc(5), counted from behind the command's name
_START_TICKS: Final = 19
_FIRST: Final = datetime(1970, 1, 1, tzinfo=UTC)

_skew = Gauge(
    "ferryman_clock_skew_seconds",
    "This machine's wall clock less the database's.",
    multiprocess_mode="livemostrecent",
)


def boottime() -> float:
    """Return seconds of CLOCK_BOOTTIME."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def steady_now() -> datetime:
    """Return a time that only goes on, for schedules: how long this machine has been running, as a date."""
    return _FIRST + timedelta(seconds=boottime())


def process_age() -> timedelta:
    """Return how long ago this process was started, however long it then took to load."""
    fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    return timedelta(seconds=boottime() - int(fields[_START_TICKS]) / os.sysconf("SC_CLK_TCK"))


class Clock:
    """The database's clock as seen from here; `steady` is one that nobody sets."""

    def __init__(self, steady: Callable[[], float] = boottime, wall: Callable[[], float] = time.time) -> None:
        self._steady = steady
        self._wall = wall
        self._offset_s: float | None = None
        self._looked_at = float("-inf")

    def now(self, look: Callable[[], datetime]) -> datetime:
        """Return the database's time; asks by `look` when that was not done for some seconds."""
        asked = self._steady()
        if asked - self._looked_at > _FRESH_S:
            at = look()
            self.saw(at, asked, self._steady())
        return self.estimate()

    def estimate(self) -> datetime:
        """Return the database's time without asking; this machine's before the first look."""
        offset = self._wall() - self._steady() if self._offset_s is None else self._offset_s
        return _FIRST + timedelta(seconds=self._steady() + offset)

    def saw(self, at: datetime, asked: float, answered: float) -> None:
        """The database said that it was `at`, between two moments of the steady clock."""
        self._looked_at = answered
        if self._offset_s is None or answered - asked <= _PROMPT_S:
            self._offset_s = (at - _FIRST).total_seconds() - (asked + answered) / 2
            _skew.set(self._wall() - answered - self._offset_s)


def _look() -> datetime:
    at: datetime = rows("SELECT clock_timestamp() AS at")[0].at
    return at


_clock: Final = Clock()
estimate: Final = _clock.estimate
saw: Final = _clock.saw


def now() -> datetime:
    """Return the time by the database's clock; raises DatabaseError when it must be asked and is away."""
    return _clock.now(_look)
