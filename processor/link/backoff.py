"""How long to wait before connecting again: doubling, with full jitter, so that nobody stampedes a host."""

from typing import Final

_FIRST_S: Final = 1.0
_LONGEST_S: Final = 30.0


def reconnect_delay(failures: int, roll: float) -> float:
    """Return seconds to wait after `failures` sessions that never came up; `roll` in [0, 1)."""
    longest = min(_FIRST_S * 2.0 ** min(failures, 10), _LONGEST_S)
    return longest * (0.1 + 0.9 * roll)
