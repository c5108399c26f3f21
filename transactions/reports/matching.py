"""Which line of the bank's belongs to which attempt of ours, and where the two differ. Pure.

Every attempt and every line lands in exactly one finding, whatever either side says twice.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from transactions.domain.values import Operation
from transactions.reports.host_lines import REVERSAL, Line
from transactions.reports.settlement import Standing


class Verdict(StrEnum):
    """What came of comparing."""

    AGREES = "agrees"
    #: it stands with us, and the bank does not name it
    OURS_ONLY = "ours_only"
    #: the bank names it, and we have no such attempt on that date
    THEIRS_ONLY = "theirs_only"
    AMOUNT = "amount"
    #: one side moved money and the other did not, or not by the same operation, or ours is not over
    STATE = "state"


@dataclass(frozen=True, slots=True)
class Ours:
    """An attempt of ours as it is compared; amounts in minor units."""

    payment_id: uuid.UUID
    #: ours and the bank's
    rrns: tuple[str, ...]
    stan: int
    #: the date of field 13
    local_date: date
    amount_minor: int
    currency: str
    operation: str
    standing: Standing
    #: a void of it was approved: its reversal in the bank's list is that void's
    is_voided: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What belongs together, and what came of comparing it. The first line is the one that moved the money."""

    verdict: Verdict
    ours: Ours | None
    lines: tuple[Line, ...]

    @property
    def theirs(self) -> str:
        """How the bank has it."""
        if not self.lines:
            return ""
        if any(_takes_back(line) and line.is_approved for line in self.lines) and not _is_void(self.ours):
            return Standing.REVERSED
        return Standing.APPROVED if self.lines[0].is_approved else Standing.DECLINED


_BACK: Final = frozenset({REVERSAL, Operation.VOID.value})


class _Lines:
    """The bank's lines by what names them; each is given out once."""

    def __init__(self, lines: Sequence[Line]) -> None:
        self._by_rrn: dict[str, list[Line]] = {}
        self._by_stan: dict[tuple[int, date], list[Line]] = {}
        self._left = {line.number: line for line in lines}
        for line in lines:
            if line.rrn:
                self._by_rrn.setdefault(line.rrn, []).append(line)
            if line.stan is not None and line.local_date is not None:
                self._by_stan.setdefault((line.stan, line.local_date), []).append(line)

    def named_as(self, ours: Ours) -> list[Line]:
        """Return what is left of the lines that name an attempt: those by its RRN before those by its STAN."""
        by_rrn = [line for rrn in dict.fromkeys(ours.rrns) for line in self._by_rrn.get(rrn, ())]
        by_stan = self._by_stan.get((ours.stan, ours.local_date), ())
        named = {line.number: line for line in (*by_rrn, *by_stan)}
        return [line for number, line in named.items() if number in self._left]

    def take(self, lines: Iterable[Line]) -> tuple[Line, ...]:
        return tuple(self._left.pop(line.number) for line in lines)

    def rest(self) -> Iterator[Line]:
        yield from self._left.values()


def match(attempts: Iterable[Ours], lines: Sequence[Line]) -> Iterator[Finding]:
    """Yield every attempt with its lines, then the lines that belong to none; line numbers must differ."""
    theirs = _Lines(lines)
    for ours in attempts:
        taken = theirs.take(_belonging(ours, theirs.named_as(ours)))
        yield Finding(_verdict(ours, taken), ours, taken)
    for line in theirs.rest():
        yield Finding(Verdict.THEIRS_ONLY, None, (line,))


def _belonging(ours: Ours, named: Sequence[Line]) -> list[Line]:
    """Choose the one line that is the attempt's, and with it those that take it back."""
    if _is_void(ours):
        return _likest(ours, [line for line in named if _takes_back(line)])
    own = _likest(ours, [line for line in named if not _takes_back(line)])
    return own if ours.is_voided else [*own, *(line for line in named if line.operation == REVERSAL)]


def _likest(ours: Ours, lines: Sequence[Line]) -> list[Line]:
    """Return the line that differs least, the first of those alike, or none."""
    return sorted(lines, key=lambda line: (not _same_amount(ours, line), not _same_operation(ours, line)))[:1]


def _verdict(ours: Ours, lines: Sequence[Line]) -> Verdict:
    if not lines:
        counts = ours.standing.stands and ours.operation != Operation.BALANCE_INQUIRY
        return Verdict.OURS_ONLY if counts else Verdict.AGREES
    stands = _stands(ours, lines)
    if ours.standing is Standing.OPEN or stands is not ours.standing.stands:
        return Verdict.STATE
    if not stands:
        return Verdict.AGREES
    if not _same_operation(ours, lines[0]):
        return Verdict.STATE
    return Verdict.AGREES if _same_amount(ours, lines[0]) else Verdict.AMOUNT


def _stands(ours: Ours, lines: Sequence[Line]) -> bool:
    """True where the bank's lines leave money moved."""
    if _is_void(ours):
        return lines[0].is_approved
    own = [line for line in lines if not _takes_back(line)]
    back = [line for line in lines if _takes_back(line)]
    return any(line.is_approved for line in own) and not any(line.is_approved for line in back)


def _same_amount(ours: Ours, line: Line) -> bool:
    return (ours.amount_minor, ours.currency) == (line.amount_minor, line.currency)


def _same_operation(ours: Ours, line: Line) -> bool:
    return ours.operation == line.operation or (_is_void(ours) and _takes_back(line))


def _takes_back(line: Line) -> bool:
    return line.operation in _BACK


def _is_void(ours: Ours | None) -> bool:
    return ours is not None and ours.operation == Operation.VOID
