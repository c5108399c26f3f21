"""What a business date came to as the bank's host counts it: debits and credits, and each reversal once more. Pure.

The figures are those of the settlement report: approved and reversed, by which way the money moved.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from processor.link.reconciliation import Totals
from transactions.domain.values import Operation
from transactions.reports.settlement import Counted, Standing, sign_of, standing

#: each pair of totals, in the order in which it is shown
SIDES: Final = ("debits", "debit_reversals", "credits", "credit_reversals")


def totals(counted: Iterable[Counted]) -> dict[str, Totals]:
    """Return each currency's totals, by its letters.

    A void that stands is a reversal of what its original was, on the date of the void. One that was itself reversed
    left nothing, and so did what nobody answered and the bank accepted to undo: neither counts.
    """
    sums: dict[str, dict[str, int]] = {}
    for one in counted:
        how = standing(one.outcome, one.undoing)
        if how is Standing.NOTHING:
            continue
        found = sums.setdefault(one.currency, {})
        for side in _sides(one, how):
            found[side] = found.get(side, 0) + one.attempts
            found[f"{side}_minor"] = found.get(f"{side}_minor", 0) + one.amount
    return {currency: Totals(**found) for currency, found in sorted(sums.items())}


@dataclass(frozen=True, slots=True)
class Gap:
    """How much more the host counts than we do, fewer where negative; amounts in minor units."""

    side: str
    number: int
    amount_minor: int


def gaps(ours: Totals, theirs: Totals) -> list[Gap]:
    """Return where both differ, a line a side."""
    found = (
        Gap(side, _of(theirs, side) - _of(ours, side), _of(theirs, f"{side}_minor") - _of(ours, f"{side}_minor"))
        for side in SIDES
    )
    return [gap for gap in found if gap.number or gap.amount_minor]


def differs_in_reversed_only(found: Iterable[Gap]) -> bool:
    """Say whether what the host counts more it counts as reversed, too: what we never saw answered, and it undid.

    A net that is the same does not say so: a debit and a credit that nobody reversed leave one as well.
    """
    more = {gap.side: (gap.number, gap.amount_minor) for gap in found}
    none = (0, 0)
    return (
        all(number >= 0 for number, _ in more.values())
        and more.get("debits", none) == more.get("debit_reversals", none)
        and more.get("credits", none) == more.get("credit_reversals", none)
    )


def _of(one: Totals, name: str) -> int:
    counted: int = getattr(one, name)
    return counted


def _sides(one: Counted, how: Standing) -> tuple[str, ...]:
    sign = sign_of(one.operation, one.original)
    if not sign:
        return ()
    if one.operation == Operation.VOID:
        # It moves back: a void of a debit has the sign of a credit.
        return (("debit_reversals",) if sign < 0 else ("credit_reversals",)) if how is Standing.APPROVED else ()
    side = "debit" if sign > 0 else "credit"
    if how is Standing.APPROVED:
        return (f"{side}s",)
    return (f"{side}s", f"{side}_reversals") if how is Standing.REVERSED else ()
