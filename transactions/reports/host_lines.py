"""The bank's own list of a business date, read from CSV: what each line says, or in which lines it is wrong.

Pure, and one line at a time: a file is as large as a day of a busy link. What is wrong is told by line and column,
never by its value: a card number may stand where none belongs.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import BinaryIO, Final, TypeVar

from transactions.domain.money import MAX_AMOUNT, exponent, is_currency, letters_of
from transactions.domain.values import Operation

T = TypeVar("T")

MOST_LINES: Final = 1_000_000
MOST_BYTES: Final = 128 * 2**20
#: characters of one line, with columns that are passed over
_LONGEST: Final = 10_000
REVERSAL: Final = "reversal"
COLUMNS: Final = ("rrn", "stan", "local_date", "amount", "currency", "operation", "response")
_NEEDED: Final = ("amount", "currency", "operation", "response")
_TOLD: Final = 20
_APPROVED: Final = frozenset({"00", "000"})
_OPERATIONS: Final = frozenset({*(operation.value for operation in Operation), REVERSAL})

_RRN: Final = re.compile(r"[0-9A-Za-z]{12}\Z")
_STAN: Final = re.compile(r"[0-9]{1,6}\Z")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_AMOUNT: Final = re.compile(r"(?P<whole>[0-9]{1,12})(?:\.(?P<rest>[0-9]{1,4}))?\Z")
_RESPONSE: Final = re.compile(r"[0-9A-Z]{2,3}\Z")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the bank's; it is named by an RRN, or by a STAN and a local date, or by both."""

    number: int
    rrn: str
    stan: int | None
    local_date: date | None
    amount_minor: int
    currency: str
    operation: str
    is_approved: bool


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong, in which line (1 is the one with the columns' names; 0 is the file as a whole) and column."""

    line: int
    column: str
    #: the page has the sentence for it
    code: str


class WrongFile(Exception):
    """The file cannot be compared; nothing of it was kept."""

    def __init__(self, wrongs: list[Wrong]) -> None:
        super().__init__(f"{len(wrongs)} things are wrong")
        self.wrongs = wrongs


class _Refused(Exception):
    """A cell does not say what its column needs."""

    def __init__(self, column: str, code: str) -> None:
        super().__init__(code)
        self.column, self.code = column, code


def read(file: BinaryIO) -> Iterator[Line]:
    """Yield the lines of a file; raises WrongFile in the end with the first things that are wrong."""
    lines = 0
    wrongs: list[Wrong] = []
    reader = csv.reader(_texts(file), strict=True)
    try:
        names = _names(next(reader, []))
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            lines += 1
            if lines > MOST_LINES:
                raise WrongFile([Wrong(0, "", "too_many_lines")])
            try:
                yield _line(reader.line_num, names, cells)
            except _Refused as refused:
                wrongs.append(Wrong(reader.line_num, refused.column, refused.code))
            if len(wrongs) >= _TOLD:
                break
    except csv.Error:
        wrongs.append(Wrong(reader.line_num, "", "not_csv"))
    except UnicodeDecodeError:
        raise WrongFile([Wrong(0, "", "not_utf8")]) from None
    if wrongs or not lines:
        raise WrongFile(wrongs or [Wrong(0, "", "empty")])


def _texts(file: BinaryIO) -> Iterator[str]:
    """Yield a file's lines as text, none of them longer than a line is."""
    text = io.TextIOWrapper(file, "utf-8-sig", newline="")
    while line := text.readline(_LONGEST + 1):
        if len(line) > _LONGEST:
            raise csv.Error
        yield line


def _names(cells: list[str]) -> dict[str, int]:
    """Return where each column is; others than ours are passed over."""
    found: dict[str, int] = {}
    for place, cell in enumerate(cells):
        name = cell.strip().lower()
        if name in found:
            raise WrongFile([Wrong(1, name, "twice")])
        if name in COLUMNS:
            found[name] = place
    wrongs = [Wrong(1, name, "missing") for name in _NEEDED if name not in found]
    if "rrn" not in found and not {"stan", "local_date"} <= found.keys():
        wrongs.append(Wrong(1, "rrn", "missing"))
    if wrongs:
        raise WrongFile(wrongs)
    return found


def _line(number: int, names: Mapping[str, int], cells: list[str]) -> Line:
    if len(cells) <= max(names.values()):
        raise _Refused("", "short")
    cell = {name: cells[place].strip() for name, place in names.items()}
    rrn = cell.get("rrn", "")
    stan, local_date = _optional(cell, "stan", _stan), _optional(cell, "local_date", _date)
    if rrn and not _RRN.match(rrn):
        raise _Refused("rrn", "rrn")
    if not rrn and (stan is None or local_date is None):
        raise _Refused("rrn", "unnamed")
    currency = _currency(cell["currency"])
    if cell["operation"].lower() not in _OPERATIONS:
        raise _Refused("operation", "operation")
    if not _RESPONSE.match(cell["response"]):
        raise _Refused("response", "response")
    amount = _amount(cell["amount"], currency)
    operation, is_approved = cell["operation"].lower(), cell["response"] in _APPROVED
    return Line(number, rrn, stan, local_date, amount, currency, operation, is_approved)


def _optional(cell: Mapping[str, str], name: str, read_one: Callable[[str], T]) -> T | None:
    return read_one(cell[name]) if cell.get(name) else None


def _stan(text: str) -> int:
    if not _STAN.match(text):
        raise _Refused("stan", "stan")
    return int(text)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(_DATE.match(text).group())  # type: ignore[union-attr]
    except (AttributeError, ValueError):
        raise _Refused("local_date", "local_date") from None


def _currency(text: str) -> str:
    letters = letters_of(text) if text.isascii() and text.isdigit() else text.upper()
    if letters is None or not is_currency(letters):
        raise _Refused("currency", "currency")
    return letters


def _amount(text: str, currency: str) -> int:
    """Return an amount in minor units; it is written in the currency's own unit, with a point."""
    found = _AMOUNT.match(text)
    if not found or len(found["rest"] or "") > exponent(currency):
        raise _Refused("amount", "amount")
    amount = int(Decimal(text).scaleb(exponent(currency)))
    if amount > MAX_AMOUNT:
        raise _Refused("amount", "amount")
    return amount
