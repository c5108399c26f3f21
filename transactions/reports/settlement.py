"""What a business date came to: which attempts moved money, which way, and what is left of it. Pure.

An attempt is the unit, for the bank counts messages: a payment whose late approval was undone has two.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

from transactions.domain.values import Operation, Outcome, Undoing


class Standing(StrEnum):
    """What became of an attempt, as money sees it."""

    #: the bank approved, and it stands
    APPROVED = "approved"
    #: the bank approved, and accepted that it be undone
    REVERSED = "reversed"
    #: nobody knows what the bank did, and it accepted that it be undone: nothing is left of it, whatever it was
    UNDONE = "undone"
    #: not over: it, or its reversal, still has to be answered
    OPEN = "open"
    DECLINED = "declined"
    #: never sent, or nothing to move
    NOTHING = "nothing"

    @property
    def stands(self) -> bool:
        """True where money was moved and is not moved back."""
        return self is Standing.APPROVED


_BY_OUTCOME: Final = {
    Outcome.OPEN: Standing.OPEN,
    Outcome.UNKNOWN: Standing.OPEN,
    Outcome.APPROVED: Standing.APPROVED,
    Outcome.DECLINED: Standing.DECLINED,
    Outcome.UNSENT: Standing.NOTHING,
    Outcome.ABANDONED: Standing.NOTHING,
}
#: +1: leaves the customer's account; -1: comes to it. An authorisation only holds: its capture takes.
_SIGNS: Final = {
    Operation.PURCHASE: 1,
    Operation.WITHDRAWAL: 1,
    Operation.TRANSFER: 1,
    Operation.BILL_PAYMENT: 1,
    Operation.CAPTURE: 1,
    Operation.DEPOSIT: -1,
    Operation.REFUND: -1,
    Operation.AUTHORISATION: 0,
    Operation.BALANCE_INQUIRY: 0,
}


def standing(outcome: str, undoing: str) -> Standing:
    """Return what became of an attempt, by how it ended and how its reversal stands."""
    if undoing == Undoing.OPEN:
        return Standing.OPEN
    if undoing == Undoing.ACCEPTED:
        return Standing.REVERSED if outcome == Outcome.APPROVED else Standing.UNDONE
    return _BY_OUTCOME[Outcome(outcome)]


def sign_of(operation: str, original: str | None = None) -> int:
    """Return 1 where an approval takes from the customer, -1 where it gives, 0 where it moves nothing.

    A void moves back what its original moved, hence the original's operation.
    """
    if operation == Operation.VOID:
        return -_SIGNS[Operation(original)] if original else 0
    return _SIGNS[Operation(operation)]


class Counted(Protocol):
    """So many attempts of one kind that ended alike; `amount` is their sum in minor units."""

    currency: str
    operation: str
    #: what a child acts on
    original: str | None
    outcome: str
    undoing: str
    attempts: int
    amount: int


@dataclass(slots=True)
class Tally:
    """What one operation in one currency came to; amounts in minor units, never negative but the net."""

    currency: str
    operation: str
    approved: int = 0
    approved_minor: int = 0
    reversed: int = 0
    reversed_minor: int = 0
    undone: int = 0
    declined: int = 0
    open: int = 0
    net: int = 0
    net_minor: int = 0

    def add(self, counted: Counted) -> None:
        """Count attempts in. What was approved and then reversed was both."""
        how, sign = standing(counted.outcome, counted.undoing), sign_of(counted.operation, counted.original)
        if how in (Standing.APPROVED, Standing.REVERSED):
            self.approved += counted.attempts
            self.approved_minor += counted.amount
        if how is Standing.REVERSED:
            self.reversed += counted.attempts
            self.reversed_minor += counted.amount
        if how is Standing.APPROVED:
            self.net += counted.attempts
            self.net_minor += sign * counted.amount
        self.undone += counted.attempts * (how is Standing.UNDONE)
        self.declined += counted.attempts * (how is Standing.DECLINED)
        self.open += counted.attempts * (how is Standing.OPEN)


def tallies(counted: Iterable[Counted]) -> list[Tally]:
    """Return a tally an operation, by currency and in the order of the operations; what never left is none."""
    found: dict[tuple[str, str], Tally] = {}
    for one in counted:
        if standing(one.outcome, one.undoing) is not Standing.NOTHING:
            found.setdefault((one.currency, one.operation), Tally(one.currency, one.operation)).add(one)
    order = {operation.value: place for place, operation in enumerate(Operation)}
    return sorted(found.values(), key=lambda tally: (tally.currency, order[tally.operation]))


def nets(of: Iterable[Tally]) -> dict[str, int]:
    """Return what each currency came to, in minor units: currencies are never added to one another."""
    total: dict[str, int] = {}
    for tally in of:
        total[tally.currency] = total.get(tally.currency, 0) + tally.net_minor
    return total
