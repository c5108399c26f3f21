"""The host's business date as its answers tell it, beside ours: a cut-over lost on the wire is made good by it.

Owns what counts as news. Asked once for every answer, so nothing is read that was told before.
"""

from datetime import date, timedelta
from typing import Final

from processor.codec.dates import read_date

#: the longest row of holidays that a host's date leaps over; a date further ahead is a mistake
MOST_AHEAD: Final = timedelta(days=7)


class BusinessDay:
    """Ours, and what was told last. Never backwards: an answer may tell the day of its request."""

    def __init__(self) -> None:
        self._ours: date | None = None
        #: field 15 of the last answer, as it came
        self.told: str | None = None

    def begin(self, ours: date) -> None:
        """Compare with this date from now on."""
        self._ours, self.told = ours, None

    def hear(self, told: str | None, today: date) -> date | None:
        """Return the date that an answer tells when it is newer than ours, each once; else None.

        After a long pause the host may be far ahead of ours, but never of the calendar.
        """
        self.told = told
        if told is None or self._ours is None:
            return None
        day = read_date(told, near=max(self._ours, today))
        if day is None or not self._ours < day <= max(self._ours, today) + MOST_AHEAD:
            return None
        self._ours = day
        return day
