"""Wakes a session in time for its next deadline."""

import asyncio
from collections.abc import Callable


class Alarm:
    """One timer on the running loop. An early one stays, for deadlines move on with every answer."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._timer: asyncio.TimerHandle | None = None

    def set(self, deadline: float) -> None:
        """Wake at a time of the loop's clock, or before it."""
        if self._timer is None or self._timer.when() > deadline:
            self.stop()
            self._timer = asyncio.get_running_loop().call_at(deadline, self._ring)

    def stop(self) -> None:
        """Wake nobody."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _ring(self) -> None:
        self._timer = None
        self._wake()
