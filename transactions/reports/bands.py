"""In which band an amount lies, the same for every currency. Pure.

Bands begin at 1, 2 and 5 times each power of ten minor units: a band includes where it begins, and ends below the next.
Band 0 is for what moves no amount. So IDR 100,000.00 lies in the band from 100,000 to below 200,000.
"""

from bisect import bisect_right
from collections.abc import Collection
from decimal import Decimal
from typing import Final

from transactions.domain.money import exponent

#: where bands 1, 2, … begin, in minor units; the last one ends above every amount
BOUNDS: Final = tuple(step * 10**power for power in range(12) for step in (1, 2, 5))
_END: Final = 10**12


def band_of(amount_minor: int) -> int:
    """Return the band of an amount, as `width_bucket(amount, BOUNDS)` does in SQL."""
    return bisect_right(BOUNDS, amount_minor)


def limits(band: int) -> tuple[int, int]:
    """Return where a band begins, and where the next one does, in minor units."""
    return (BOUNDS[band - 1] if band else 0), (*BOUNDS, _END)[band]


def spanned(bands: Collection[int]) -> range:
    """Return the bands from the lowest to the highest of some, so that one in which nothing lies is seen too."""
    return range(min(bands), max(bands) + 1) if bands else range(0)


def limits_in(band: int, currency: str) -> tuple[Decimal, Decimal]:
    """Return a band's limits in its currency's own unit."""
    low, end = (Decimal(limit).scaleb(-exponent(currency)) for limit in limits(band))
    return low, end


def called(band: int, currency: str) -> str:
    """Return a band by where it begins and ends, in its currency's own unit; empty for no amount."""
    if not band:
        return ""
    low, end = (f"{limit.normalize():,f}" for limit in limits_in(band, currency))
    return f"{low} – {end}"
