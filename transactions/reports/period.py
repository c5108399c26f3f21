"""Which payments a report is about: those accepted on some days of the viewer's calendar, narrowed or not. Pure."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from typing import Final

#: days a report covers at most, and unasked
LONGEST: Final = 31
USUAL: Final = 7
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Asked:
    """Both days are included; an empty word narrows nothing."""

    first: date
    last: date
    zone: tzinfo
    link: str = ""
    operation: str = ""
    currency: str = ""

    @property
    def since(self) -> datetime:
        """When the first day begins."""
        return datetime.combine(self.first, time.min, self.zone)

    @property
    def until(self) -> datetime:
        """When the last day has ended."""
        return datetime.combine(self.last + _DAY, time.min, self.zone)


def usual(today: date) -> tuple[date, date]:
    """Return the first and the last day of a report that was asked for none: the last week with today."""
    return today - (USUAL - 1) * _DAY, today


def is_too_long(first: date, last: date) -> bool:
    """True for more days than a report covers."""
    return (last - first).days >= LONGEST
