"""What the host counts of a business date, and what it answers whoever sends totals of their own. No socket.

The other party of a reconciliation (0500, 0510): it writes and adds up its own fields. An authorisation holds and
counts as nothing; its capture is the debit. What a void takes back is a reversal of the date of the void.
"""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from processor.codec.dates import read_date
from processor.codec.dialects import Dialect
from processor.codec.message import Message
from processor.simulator.accounts import Books, Seen

APPROVED: Final = "00"
CREDITS: Final = frozenset({"20", "21"})
_IN_BALANCE: Final = "1"
_OUT_OF_BALANCE: Final = "2"
_ERROR: Final = "3"
_DATE: Final = 15
_CURRENCY: Final = 50


def weight(message: Message, dialect: Dialect) -> int:
    """Return what a message counts for once it is approved: positive a debit, negative a credit, 0 nothing."""
    code = message.get(3) or ""
    if message.mti[1] != "2" or code == dialect.processing_codes["balance_inquiry"]:
        return 0
    amount = int(message.get(4) or "0")
    return -amount if code[:2] in CREDITS else amount


def answer(asked: Message, books: Books, off_by: int) -> Mapping[int, str]:
    """Return fields of a 0510: the settlement code, and the host's own totals; `off_by` is miscounted on purpose."""
    told = {number: value for number in (_DATE, _CURRENCY) if (value := asked.get(number))}
    day = read_date(asked.get(_DATE) or "", books.business_date or date.min)
    if len(told) < 2 or day is None:
        return {**told, 66: _ERROR}
    ours = _fields(books.all_seen(), day, told[_CURRENCY], off_by)
    agrees = all(int(asked.get(number) or "-1") == int(value) for number, value in ours.items() if number != 97)
    return {**told, **ours, 66: _IN_BALANCE if agrees else _OUT_OF_BALANCE}


def _fields(everything: Iterable[Seen], day: date, currency: str, off_by: int) -> dict[int, str]:
    seen = {one.key: one for one in everything if one.code == APPROVED and one.currency == currency}
    voids = [one for one in seen.values() if one.kind == "void" and not one.undone]
    voided = {void.original for void in voids}
    today = [one for one in seen.values() if one.weight and one.business_date == day.isoformat()]
    undone = [one for one in today if one.undone and one.key not in voided]
    undone += [seen[void.original] for void in voids if void.business_date == day.isoformat() and void.original in seen]
    fields: dict[int, str] = {}
    sums: dict[int, int] = {}
    for number, of, sign in ((74, today, -1), (75, undone, -1), (76, today, 1), (77, undone, 1)):
        amounts = [abs(one.weight) for one in of if one.weight * sign > 0]
        counted, sums[number] = len(amounts), sum(amounts)
        if number == 76 and off_by:
            counted, sums[76] = max(0, counted + (1 if off_by > 0 else -1)), max(0, sums[76] + off_by)
        fields |= {number: f"{counted:010d}", number + 12: f"{sums[number]:016d}"}
    net = sums[76] - sums[77] - sums[74] + sums[75]
    return {**fields, 97: f"{'D' if net > 0 else 'C'}{abs(net):016d}"}
