"""At which hours payments come."""

from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transactions import reporting
from transactions.admin.analytic.tables import NOTHING, Cell, Report, Table, cells, count, payments_at, share
from transactions.reporting import Found
from transactions.reports import hours
from transactions.reports.period import Asked

_BUSIEST: Final = 10


def _hour_tables(found: Found, asked: Asked) -> list[Table]:
    by_hour = hours.hours(found.parts[0], asked.zone)
    over_days = hours.of_the_day(by_hour)
    payments = sum(one.payments for one in over_days)
    if not payments:
        return []
    return [
        Table(
            title=_("By the hour of the day"),
            words=[_("Hour")],
            numbers=[_("Accepted"), _("Share"), _("Success rate"), _("Most on one day"), _("On")],
            rows=[
                [
                    *cells(_hour(one.hour), count(one.payments), share(one.payments, payments)),
                    Cell(share(one.approved, one.ended)),
                    Cell(count(one.peak.payments if one.peak else 0)),
                    _day_of(one.peak, asked),
                ]
                for one in over_days
            ],
            chart={
                "labels": [f"{one.hour:02d}" for one in over_days],
                "series": [
                    {"label": _("Accepted"), "tone": "plain", "values": [one.payments for one in over_days]},
                    {
                        "label": _("Most on one day"),
                        "tone": "warn",
                        "values": [one.peak.payments if one.peak else 0 for one in over_days],
                    },
                ],
            },
        ),
        Table(
            title=_("The busiest hours"),
            words=[_("Day"), _("Hour")],
            numbers=[_("Accepted"), _("A second, on average"), _("Success rate")],
            rows=[
                [
                    *(_day_of(one, asked), Cell(_hour(one.hour)), Cell(count(one.payments))),
                    *cells(f"{one.payments / 3600:,.2f}", share(one.approved, one.ended)),
                ]
                for one in hours.busiest(by_hour, _BUSIEST)
            ],
        ),
    ]


def _hour(hour: int) -> str:
    return f"{hour:02d}:00 – {hour + 1:02d}:00"


def _day_of(hour: hours.Hour | None, asked: Asked) -> Cell:
    if hour is None:
        return Cell(NOTHING)
    return Cell(str(hour.day), payments_at(asked, created_at_from=str(hour.day), created_at_to=str(hour.day)))


def _hour_lines(found: Found, asked: Asked) -> list[list[Any]]:
    return [
        [one.day, one.hour, one.payments, one.ended, one.approved] for one in hours.hours(found.parts[0], asked.zone)
    ]


HOURS: Final = Report(
    name="hours",
    title=gettext_lazy("Peak hours"),
    rule=gettext_lazy(
        "Payments count in the hour in which they were accepted, in your zone. The success rate is the approved "
        "among those that ended."
    ),
    read=reporting.quarters,
    tables=_hour_tables,
    head="day hour accepted ended approved".split(),
    lines=_hour_lines,
)
