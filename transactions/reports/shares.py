"""Which percentiles the reports tell, and how one is found. Pure.

The percentile of a share is the lowest value that so large a share of all does not exceed: one that was there, never
something between two. SQL's `percentile_disc` finds the same.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import Final

#: of amounts
OF_AMOUNTS: Final = (0.25, 0.5, 0.75, 0.9, 0.99)
#: of lengths of time
OF_TIMES: Final = (0.5, 0.95, 0.99)


def percentiles(counted: Mapping[int, int], shares: Sequence[float]) -> list[int]:
    """Return a percentile a share, the shares rising, of values that came so often; none of no values."""
    total, passed, found = sum(counted.values()), 0, []
    values = iter(sorted(counted.items()))
    value = 0
    for share in shares if total else ():
        wanted = max(1, ceil(Fraction(str(share)) * total))
        while passed < wanted:
            value, times = next(values)
            passed += times
        found.append(value)
    return found
