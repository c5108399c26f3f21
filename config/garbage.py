"""Tunes Python's garbage collector for a process that lives long and makes many short-lived values."""

import gc
from typing import Any, Final

_YOUNG: Final = 50_000


def collect_less(**_: Any) -> None:
    """Leave what was loaded at the start out of every collection, and collect less often: 5 to 10% of the CPU."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 100)
