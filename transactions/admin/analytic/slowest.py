"""What took longest, and what was tried most often."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from transactions import reporting
from transactions.admin import words
from transactions.admin.analytic.tables import NOTHING, PLACES, Cell, Report, Table, cells, count, payments_at
from transactions.admin.reports import plain
from transactions.reporting import Found
from transactions.reports.period import Asked
from transactions.reports.shares import OF_TIMES, percentiles


def _time_tables(found: Found, asked: Asked) -> list[Table]:
    lasted, took, slowest, slowest_answers, retried = found.parts
    if not lasted and not retried:
        return []
    ends = {operation: _percentiles(of_one) for operation, of_one in _by_operation(lasted).items()}
    answers = {operation: _percentiles(of_one) for operation, of_one in _by_operation(took).items()}
    names = [f"p{share * 100:.0f}" for share in OF_TIMES]
    common = [_("Payment"), _("Accepted"), _("Operation"), _("Status")]
    return [
        Table(
            title=_("How long it took"),
            words=[_("Operation")],
            numbers=[
                *(_("Ended"), *(_("To the end, %(share)s") % {"share": name} for name in names)),
                *(_("Answers"), *(_("Answer, %(share)s") % {"share": name} for name in names)),
            ],
            rows=[
                [
                    Cell(words.spoken(operation), payments_at(asked, operation__exact=operation)),
                    *cells(*of_one, *answers.get(operation, (1 + len(names)) * [NOTHING])),
                ]
                for operation, of_one in ends.items()
            ],
            chart=_answer_chart(_by_operation(took), names),
        ),
        _foremost(_("The slowest payments"), common, [_("Amount"), _("From accepted to ended")], slowest),
        _foremost(_("The slowest answers"), common, [_("Amount"), _("From sent to answered")], slowest_answers),
        _foremost(_("Most retried"), common, [_("Amount"), _("Attempts"), _("Repeats")], retried),
    ]


def _by_operation(rows: Iterable[Any]) -> dict[str, dict[int, int]]:
    """Return how often each length of time came, in milliseconds, by operation."""
    found: dict[str, dict[int, int]] = {}
    for row in rows:
        found.setdefault(row.operation, {})[row.took_ms] = row.times
    return {operation: found[operation] for operation in sorted(found, key=PLACES.__getitem__)}


def _percentiles(counted: Mapping[int, int]) -> list[str]:
    """Return how many there are, and their percentiles."""
    return [count(sum(counted.values())), *(words.lapse(ms / 1000) for ms in percentiles(counted, OF_TIMES))]


def _answer_chart(by_operation: Mapping[str, Mapping[int, int]], names: Sequence[str]) -> dict[str, Any] | None:
    values = [percentiles(counted, OF_TIMES) for counted in by_operation.values()]
    if not values:
        return None
    labels = [words.spoken(operation) for operation in by_operation]
    series = [
        {"label": _("Answer, %(share)s") % {"share": name}, "tone": tone, "values": [one[place] for one in values]}
        for place, (name, tone) in enumerate(zip(names, ("good", "warn", "bad"), strict=True))
    ]
    return {"labels": labels, "lies": True, "unit": " ms", "series": series}


def _foremost(title: str, of_words: Sequence[str], of_numbers: Sequence[str], rows: Iterable[Any]) -> Table:
    return Table(
        title=title,
        words=of_words,
        numbers=of_numbers,
        rows=[
            [
                Cell(f"…{str(row.id)[-12:]}", reverse("admin:transactions_payment_change", args=[row.id])),
                *cells(
                    f"{timezone.localtime(row.created_at):%Y-%m-%d %H:%M:%S}",
                    *(words.spoken(row.operation), words.spoken(row.status), words.money(row.amount, row.currency)),
                    *_measured(row),
                ),
            ]
            for row in rows
        ],
    )


def _measured(row: Any) -> list[str]:
    if hasattr(row, "seconds"):
        return [words.lapse(row.seconds)]
    return [count(row.tries), count(row.repeats)]


def _time_lines(found: Found, _asked: Asked) -> list[list[Any]]:
    _lasted, _took, slowest, slowest_answers, retried = found.parts
    return [
        *(_time_line("slowest_payment", row) for row in slowest),
        *(_time_line("slowest_answer", row) for row in slowest_answers),
        *(_time_line("most_retried", row) for row in retried),
    ]


def _time_line(which: str, row: Any) -> list[Any]:
    measured = [round(row.seconds, 3), "", ""] if hasattr(row, "seconds") else ["", row.tries, row.repeats]
    amount = plain(row.amount, row.currency)
    return [which, row.id, row.created_at.isoformat(), row.operation, amount, row.currency, row.status, *measured]


SLOWEST: Final = Report(
    name="slowest",
    title=gettext_lazy("Slowest and most retried"),
    rule=gettext_lazy(
        "To the end is the time from accepted to ended, with all waiting, attempts and reversals. An answer is the "
        "time from sending one message to the bank's answer. p95 means that 95 of 100 took that long or less. "
        "Attempts are messages with a STAN of their own, without reversals; repeats are the same message written "
        "again."
    ),
    read=reporting.times,
    tables=_time_tables,
    head="list payment accepted_at operation amount currency status seconds attempts repeats".split(),
    lines=_time_lines,
)
