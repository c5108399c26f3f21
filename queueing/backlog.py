"""How much waits, as a figure that is at most a second old: refusing a payment must not cost a count."""

import time
from typing import Final

from queueing import queue

_FRESH_S: Final = 1.0
_WAITING: Final = frozenset({"ready", "blocked", "waiting"})

_counted: dict[str, int] = {}
_counted_at = 0.0


def is_full(link: str, limit: int) -> bool:
    """True when more entries wait for a link than it may have."""
    global _counted, _counted_at  # noqa: PLW0603  (one figure a process)
    if time.monotonic() - _counted_at > _FRESH_S:
        _counted_at = time.monotonic()
        counted: dict[str, int] = {}
        for row in queue.depths(limit + 1):
            if row.state in _WAITING:
                counted[row.link] = counted.get(row.link, 0) + row.entries
        _counted = counted
    return _counted.get(link, 0) > limit
