"""How much waits for a link, as a remembered figure: refusing a payment must not cost a count.

The figure is a second old, older only where counting itself takes long: it never takes more than a fiftieth of a
process's time, however high the limit and however long the queue.
"""

import time
from typing import Final

from queueing import queue

_FRESH_S: Final = 1.0
_REST: Final = 50

#: link -> (how many wait, when to count again)
_remembered: dict[str, tuple[int, float]] = {}


def is_full(link: str, limit: int) -> bool:
    """True when more entries wait for a link than it may have."""
    began = time.monotonic()
    waiting, count_again_at = _remembered.get(link, (0, 0.0))
    if began >= count_again_at:
        # Whoever comes meanwhile judges by the old figure: one count at a time is enough.
        _remembered[link] = waiting, began + _FRESH_S
        waiting = queue.waiting(link, limit + 1)
        _remembered[link] = waiting, began + max(_FRESH_S, _REST * (time.monotonic() - began))
    return waiting > limit
