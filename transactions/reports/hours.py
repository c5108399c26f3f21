"""At which hours of the day payments come, by the viewer's clock. Pure.

Counted by quarters of an hour, for there are zones whose hours begin at one. An hour that the clock shows twice, when
summer ends, is one hour here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Protocol


class Quarter(Protocol):
    """What was accepted in one quarter of an hour."""

    at: datetime
    payments: int
    ended: int
    approved: int


@dataclass(slots=True)
class Hour:
    """One hour of one day."""

    day: date
    hour: int
    payments: int = 0
    ended: int = 0
    approved: int = 0


@dataclass(frozen=True, slots=True)
class DayHour:
    """The same hour of all days."""

    hour: int
    payments: int
    ended: int
    approved: int
    #: the day on which it had most
    peak: Hour | None


def hours(quarters: Iterable[Quarter], zone: tzinfo) -> list[Hour]:
    """Return the hours in which something was accepted, in their order."""
    found: dict[tuple[date, int], Hour] = {}
    for one in quarters:
        local = one.at.astimezone(zone)
        hour = found.setdefault((local.date(), local.hour), Hour(local.date(), local.hour))
        hour.payments += one.payments
        hour.ended += one.ended
        hour.approved += one.approved
    return [found[key] for key in sorted(found)]


def of_the_day(found: Sequence[Hour]) -> list[DayHour]:
    """Return the 24 hours of the day, each over all days."""
    return [_over_all(hour, [one for one in found if one.hour == hour]) for hour in range(24)]


def _over_all(hour: int, alike: Sequence[Hour]) -> DayHour:
    return DayHour(
        hour=hour,
        payments=sum(one.payments for one in alike),
        ended=sum(one.ended for one in alike),
        approved=sum(one.approved for one in alike),
        peak=max(alike, key=lambda one: one.payments, default=None),
    )


def busiest(found: Sequence[Hour], at_most: int) -> list[Hour]:
    """Return the hours in which most was accepted, the earlier first of those alike."""
    return sorted(found, key=lambda one: -one.payments)[:at_most]
