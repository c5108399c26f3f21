"""Reconciliation with a host (0500, 0510): how our totals are written, and how what it answers is read.

Fields are those of ISO 8583:1987. Owns what balances. Pure: knows nothing of payments, only their sums; whoever has
a key signs.
"""

from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from processor.codec.dates import write_date
from processor.codec.dialects import Dialect
from processor.codec.message import Message
from processor.link.events import Moment
from processor.link.profile import Profile

PURPOSE: Final = "reconciliation"

_NET_FIELD: Final = 97
_SETTLEMENT_DATE: Final = 15
_CURRENCY: Final = 50
_LARGEST: Final = 10**16
#: name of a total -> its field
_FIELDS: Final = {
    "credits": 74,
    "credit_reversals": 75,
    "debits": 76,
    "debit_reversals": 77,
    "credits_minor": 86,
    "credit_reversals_minor": 87,
    "debits_minor": 88,
    "debit_reversals_minor": 89,
}
_ACCEPTED: Final = "00"
#: "reconcile error": how some hosts say that they count otherwise
_COUNTS_OTHERWISE: Final = "95"

Number = Annotated[int, Meta(ge=0, lt=10**10)]
Sum = Annotated[int, Meta(ge=0, lt=_LARGEST)]


class Totals(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A business date in one currency: how many debits and credits, and their sums in minor units.

    What was reversed was counted before, and is counted again as a reversal.
    """

    credits: Number = 0
    credit_reversals: Number = 0
    debits: Number = 0
    debit_reversals: Number = 0
    credits_minor: Sum = 0
    credit_reversals_minor: Sum = 0
    debits_minor: Sum = 0
    debit_reversals_minor: Sum = 0

    @property
    def net_minor(self) -> int:
        """What is left, positive where more was debited than credited."""
        debited = self.debits_minor - self.debit_reversals_minor
        return debited - (self.credits_minor - self.credit_reversals_minor)


class Reconciliation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a host is asked about: a business date in one currency (ISO 4217, three digits), and our totals."""

    business_date: date
    currency: Annotated[str, Meta(pattern=r"^[0-9]{3}$")]
    totals: Totals


class Outcome(StrEnum):
    """What came of asking."""

    IN_BALANCE = "in_balance"
    OUT_OF_BALANCE = "out_of_balance"
    #: code 3 in field 66, or a response code that says so: the host compared nothing
    NOT_COMPARED = "not_compared"
    #: an answer that says neither this nor that
    UNREADABLE = "unreadable"


class HostTotals(msgspec.Struct, frozen=True):
    """What a 0510 says: response code by its 1987 name, settlement code, and the host's totals where it gives them."""

    outcome: Outcome
    code: str
    settlement_code: str
    totals: Totals | None


def read_parameters(parameters: Mapping[str, Any]) -> Reconciliation | None:
    """Return what a command asks for; None when it does not fit the fields of a message."""
    try:
        asked = msgspec.convert(dict(parameters), Reconciliation)
    except msgspec.ValidationError:
        return None
    return asked if abs(asked.totals.net_minor) < _LARGEST else None


def reconciliation_request(asked: Reconciliation, stan: int, now: Moment, profile: Profile) -> Message:
    """Return our 0500, unsigned."""
    dialect = profile.dialect
    fields = {
        7: now.utc.strftime("%m%d%H%M%S"),
        11: f"{stan:06d}",
        _SETTLEMENT_DATE: _date(asked, dialect),
        41: profile.terminal_id,
        42: profile.card_acceptor_id,
        _CURRENCY: asked.currency,
    }
    return Message(dialect.mti[PURPOSE], fields | written(asked.totals, dialect))


def written(totals: Totals, dialect: Dialect) -> dict[int, str]:
    """Return totals as fields 74 to 77, 86 to 89, and their net as field 97: C or D, and 16 digits."""
    fields = {
        number: f"{getattr(totals, name):0{dialect.spec[str(number)]['max_len']}d}" for name, number in _FIELDS.items()
    }
    side = "D" if totals.net_minor > 0 else "C"
    return {**fields, _NET_FIELD: f"{side}{abs(totals.net_minor):016d}"}


def read_totals(message: Message) -> Totals | None:
    """Return the totals of a message; None where one is missing, or where they do not come to the net it names."""
    found = {name: message.get(number) for name, number in _FIELDS.items()}
    if not all(value and value.isascii() and value.isdigit() for value in found.values()):
        return None
    totals = Totals(**{name: int(value or 0) for name, value in found.items()})
    net = message.get(_NET_FIELD)
    if net and _signed(net) != totals.net_minor:
        return None
    return totals


def read_answer(answer: Message, asked: Reconciliation, dialect: Dialect) -> HostTotals:
    """Return what a 0510 says; one about another date or currency says nothing."""
    code, settlement_code = dialect.read_code(answer.get(39) or ""), answer.get(66) or ""
    totals = read_totals(answer)
    outcome = _outcome(code, settlement_code, totals, asked.totals)
    known = {_SETTLEMENT_DATE: _date(asked, dialect), _CURRENCY: asked.currency}
    if any(answer.get(number) not in (None, ours) for number, ours in known.items()):
        outcome, totals = Outcome.UNREADABLE, None
    return HostTotals(outcome, code, settlement_code, totals)


def _date(asked: Reconciliation, dialect: Dialect) -> str:
    return write_date(asked.business_date, dialect.spec[str(_SETTLEMENT_DATE)]["max_len"])


def _outcome(code: str, settlement_code: str, totals: Totals | None, ours: Totals) -> Outcome:
    if code not in (_ACCEPTED, _COUNTS_OTHERWISE) or settlement_code == "3":
        return Outcome.NOT_COMPARED
    if totals is not None:
        # They decide, whatever the settlement code says.
        agrees = totals == ours and settlement_code != "2" and code == _ACCEPTED
        return Outcome.IN_BALANCE if agrees else Outcome.OUT_OF_BALANCE
    if settlement_code == "1" and code == _ACCEPTED:
        return Outcome.IN_BALANCE
    is_out = settlement_code == "2" or code == _COUNTS_OTHERWISE
    return Outcome.OUT_OF_BALANCE if is_out else Outcome.UNREADABLE


def _signed(net: str) -> int:
    return int(net[1:]) * (1 if net[0] == "D" else -1)
