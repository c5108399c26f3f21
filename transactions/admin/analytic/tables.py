"""What a report's page is made of: tables with what is drawn beside them. Words and addresses, no figures."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.functional import Promise

from transactions.domain.values import Operation
from transactions.reporting import Found
from transactions.reports.period import Asked

NOTHING: Final = "–"
#: operation -> where it stands in a table
PLACES: Final = {operation.value: place for place, operation in enumerate(Operation)}


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in one place of a table, and where it leads."""

    text: str
    href: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table, and what is drawn above it: see `report.js` for the shape."""

    title: str
    #: of columns of words, and then of columns of numbers
    words: Sequence[str]
    numbers: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    chart: Mapping[str, Any] | None = None
    note: str = ""

    @property
    def lines(self) -> list[list[tuple[str, Cell, bool]]]:
        """The rows, each cell with its heading and whether it is a number."""
        heads = [*((head, False) for head in self.words), *((head, True) for head in self.numbers)]
        return [
            [(head, cell, is_number) for (head, is_number), cell in zip(heads, row, strict=True)] for row in self.rows
        ]


@dataclass(frozen=True, slots=True)
class Report:
    """One report: what is read, how it is shown, and what is sent."""

    #: in addresses and file names
    name: str
    title: Promise
    #: what counts, for people
    rule: Promise
    read: Callable[[Asked], Found]
    tables: Callable[[Found, Asked], list[Table]]
    head: Sequence[str]
    lines: Callable[[Found, Asked], list[list[Any]]]


def payments_at(asked: Asked, **narrowed: str) -> str:
    """Return where the payments are listed; empty where the list cannot be narrowed like the report."""
    if asked.currency:
        return ""
    filters = {
        "created_at_from": str(asked.first),
        "created_at_to": str(asked.last),
        "link": asked.link,
        "operation__exact": asked.operation,
        **narrowed,
    }
    query = urlencode({name: value for name, value in filters.items() if value})
    return f"{reverse('admin:transactions_payment_changelist')}?{query}"


def count(number: int) -> str:
    """Return a number as it is written."""
    return f"{number:,}"


def share(part: int, whole: int) -> str:
    """Return a part of the whole in percent; nothing is said of nothing."""
    return f"{part / whole:.1%}" if whole else NOTHING


def cells(*texts: str) -> list[Cell]:
    """Return cells that lead nowhere."""
    return [Cell(text) for text in texts]


def bars(labels: Sequence[str], label: str, values: Sequence[float | None], tone: str) -> dict[str, Any]:
    """Return a chart of one kind of bars, one below the other."""
    return {"labels": labels, "lies": True, "series": [{"label": label, "tone": tone, "values": values}]}
