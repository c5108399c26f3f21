"""How many payments succeeded: by operation, biller and amount."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transactions import reporting
from transactions.admin import words
from transactions.admin.analytic.tables import PLACES, Cell, Report, Table, count, payments_at, share
from transactions.domain.values import Status
from transactions.reporting import Found
from transactions.reports import bands
from transactions.reports.period import Asked
from transactions.reports.success import Counted, Ends, ends_by

#: of billers the page shows so many; the download has all
_SHOWN: Final = 30
_OTHERWISE: Final = (Status.REVERSED, Status.EXPIRED, Status.CANCELLED, Status.FAILED)


@dataclass(frozen=True, slots=True)
class _Line:
    """Payments that have something in common, and by which of the list's filters they are found, if by any."""

    name: str
    ends: Ends
    filters: Mapping[str, str] | None = None


def _success_tables(found: Found, asked: Asked) -> list[Table]:
    (counted,) = found.parts
    if not counted:
        return []
    by_operation = ends_by(counted, lambda one: one.operation)
    operations = [
        _Line(words.spoken(one), by_operation[one], {"operation__exact": one})
        for one in sorted(by_operation, key=PLACES.__getitem__)
    ]
    return [
        _table(_("By operation"), _("Operation"), operations, asked),
        *_of_billers(counted, asked),
        *(_of_amounts(counted, currency, asked) for currency in sorted({one.currency for one in counted})),
    ]


def _of_billers(counted: Sequence[Counted], asked: Asked) -> list[Table]:
    by_biller = ends_by(counted, lambda one: one.biller)
    largest = sorted(by_biller, key=lambda biller: (-by_biller[biller].ended, biller))[:_SHOWN]
    lines = [_Line(biller, by_biller[biller]) for biller in largest]
    note = _("The %(n)s billers with most payments; the download has all.") % {"n": _SHOWN}
    has_more = len(by_biller) > _SHOWN
    return [_table(_("By biller"), _("Biller"), lines, asked, note if has_more else "")] if lines else []


def _of_amounts(counted: Sequence[Counted], currency: str, asked: Asked) -> Table:
    by_band = ends_by(counted, lambda one: one.band if one.currency == currency else None)
    lines = [
        *([_Line(_("no amount"), by_band[0])] if 0 in by_band else []),
        *(
            _Line(bands.called(band, currency), by_band.get(band, Ends()))
            for band in bands.spanned(by_band.keys() - {0})
        ),
    ]
    return _table(_("By amount in %(currency)s") % {"currency": currency}, _("Amount"), lines, asked)


def _table(title: str, what: str, lines: Sequence[_Line], asked: Asked, note: str = "") -> Table:
    otherwise = [words.spoken(status).capitalize() for status in _OTHERWISE]
    return Table(
        title=title,
        words=[what],
        numbers=[_("Ended"), _("Approved"), _("Success rate"), _("Declined"), *otherwise, _("Open")],
        rows=[
            [
                *(Cell(line.name), Cell(count(line.ends.ended)), _linked(line, Status.APPROVED, asked)),
                Cell(share(line.ends.approved, line.ends.ended)),
                *(_linked(line, status, asked) for status in (Status.DECLINED, *_OTHERWISE)),
                Cell(count(line.ends.open)),
            ]
            for line in lines
        ],
        chart={
            "labels": [line.name for line in lines],
            "lies": True,
            "stacked": True,
            "unit": "%",
            "series": [
                {"label": label, "tone": tone, "values": [_percent(line.ends, statuses) for line in lines]}
                for label, tone, statuses in (
                    (_("Approved"), "good", (Status.APPROVED,)),
                    (_("Declined"), "bad", (Status.DECLINED,)),
                    (_("Otherwise"), "warn", _OTHERWISE),
                )
            ],
        },
        note=note,
    )


def _linked(line: _Line, status: Status, asked: Asked) -> Cell:
    number = line.ends.by_status[status]
    leads = number and line.filters is not None
    return Cell(count(number), payments_at(asked, status__exact=status, **(line.filters or {})) if leads else "")


def _percent(ends: Ends, statuses: Sequence[Status]) -> float | None:
    return round(100 * sum(ends.by_status[status] for status in statuses) / ends.ended, 2) if ends.ended else None


def _success_lines(found: Found, _asked: Asked) -> list[list[Any]]:
    (counted,) = found.parts
    by = ends_by(counted, lambda one: (one.currency, one.band, one.operation, one.biller or ""))
    return [
        [
            *(operation, biller, currency, *bands.limits_in(band, currency)),
            *(ends.ended, ends.approved, ends.by_status[Status.DECLINED]),
            *(ends.by_status[status] for status in _OTHERWISE),
            *(ends.open, "" if ends.rate is None else round(ends.rate, 4)),
        ]
        for (currency, band, operation, biller), ends in sorted(by.items(), key=lambda item: item[0])
    ]


SUCCESS: Final = Report(
    name="success",
    title=gettext_lazy("Success"),
    rule=gettext_lazy(
        "The success rate is the approved among the payments that ended. Whatever ended otherwise counts against "
        "it: declined, reversed, expired, cancelled or failed. What is open yet is no part of it. A payment that was "
        "approved and refunded or voided later succeeded."
    ),
    read=reporting.ends,
    tables=_success_tables,
    head="operation biller currency amount_from amount_below ended approved declined reversed expired cancelled "
    "failed open success_rate".split(),
    lines=_success_lines,
)
