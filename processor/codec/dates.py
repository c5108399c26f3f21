"""Dates as messages carry them: month and day, or with two digits of the year before.

Owns the year that a field leaves out. Pure: which day it is nearest to comes in.
"""

from collections.abc import Iterator
from datetime import date


def read_date(text: str, near: date) -> date | None:
    """Return the day that MMDD or YYMMDD names, of all years the nearest; None for what names no day."""
    if len(text) not in (4, 6) or not (text.isascii() and text.isdigit()):
        return None
    return min(_named_by(text, near), key=lambda day: abs(day - near), default=None)


def write_date(day: date, digits: int) -> str:
    """Return MMDD, or YYMMDD for six digits."""
    return f"{day:%y%m%d}"[-digits:]


def _named_by(text: str, near: date) -> Iterator[date]:
    month, day = int(text[-4:-2]), int(text[-2:])
    if len(text) == 6:
        century = near.year - near.year % 100
        years = [century + turn + int(text[:2]) for turn in (-100, 0, 100)]
    else:
        years = [near.year - 1, near.year, near.year + 1]
    for year in years:
        try:
            yield date(year, month, day)
        except ValueError:  # no such day in that year
            continue
