"""How large approved payments are, currency by currency."""

from collections.abc import Sequence
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transactions import reporting
from transactions.admin import words
from transactions.admin.analytic.tables import Report, Table, bars, cells, count, share
from transactions.admin.reports import plain
from transactions.reporting import Found
from transactions.reports import bands
from transactions.reports.period import Asked
from transactions.reports.shares import OF_AMOUNTS

_MEDIAN: Final = 0.5
#: what the download calls the amounts between the lowest and the highest: "p50" is the median
_FIGURES: Final = ("lowest", *(f"p{part * 100:g}" for part in OF_AMOUNTS), "highest")


def _value_tables(found: Found, _asked: Asked) -> list[Table]:
    in_bands, in_all = found.parts
    tables: list[Table] = []
    for one in in_all:
        own = [row for row in in_bands if row.currency == one.currency]
        tables += [_amounts(one), _distribution(one, own)]
    return tables


def _amounts(one: Any) -> Table:
    named = [_("Median") if part == _MEDIAN else f"{part:.0%}" for part in OF_AMOUNTS]
    amounts = zip([_("Lowest"), *named, _("Highest")], [one.lowest, *one.percentiles, one.highest], strict=True)
    return Table(
        title=_("Amounts in %(currency)s") % {"currency": one.currency},
        words=[_("Of %(n)s approved payments") % {"n": count(one.payments)}],
        numbers=[_("Amount")],
        rows=[
            *(cells(name, words.money(amount, one.currency)) for name, amount in amounts),
            cells(_("Together"), words.money(one.amount, one.currency)),
        ],
    )


def _distribution(one: Any, in_bands: Sequence[Any]) -> Table:
    own = {row.band: (row.payments, row.amount) for row in in_bands}
    within = [(bands.called(band, one.currency), *own.get(band, (0, 0))) for band in bands.spanned(own.keys())]
    return Table(
        title=_("Distribution in %(currency)s") % {"currency": one.currency},
        words=[_("Amount")],
        numbers=[_("Approved"), _("Share"), _("Together"), _("Share of the amount")],
        rows=[
            cells(
                *(called, count(payments), share(payments, one.payments)),
                *(words.money(amount, one.currency), share(amount, one.amount)),
            )
            for called, payments, amount in within
        ],
        chart=bars(
            [called for called, _payments, _amount in within],
            _("Approved payments"),
            [payments for _called, payments, _amount in within],
            "good",
        ),
    )


def _value_lines(found: Found, _asked: Asked) -> list[list[Any]]:
    in_bands, in_all = found.parts
    lines: list[list[Any]] = []
    for one in in_all:
        figures = zip(_FIGURES, [one.lowest, *one.percentiles, one.highest], strict=True)
        lines += [[one.currency, name, plain(amount, one.currency), "", "", "", ""] for name, amount in figures]
        lines.append([one.currency, "all", "", "", "", one.payments, plain(one.amount, one.currency)])
        lines += [
            [
                *(row.currency, "band", "", *bands.limits_in(row.band, row.currency)),
                *(row.payments, plain(row.amount, row.currency)),
            ]
            for row in in_bands
            if row.currency == one.currency
        ]
    return lines


VALUES: Final = Report(
    name="values",
    title=gettext_lazy("Values"),
    rule=gettext_lazy(
        "Only approved payments with an amount count. A band includes the amount it begins with, and not the one "
        "it ends with. Beside a share stands the amount that so large a share of the payments did not exceed; "
        "the median is that of one half. Currencies are never added to one another."
    ),
    read=reporting.values,
    tables=_value_tables,
    head="currency figure amount amount_from amount_below approved approved_amount".split(),
    lines=_value_lines,
)
