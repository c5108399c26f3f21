"""How many payments succeeded: the approved among those that ended. Pure.

What is still open is no part of it and is said apart. Whatever ended otherwise counts against it, whatever the cause:
the bank declined, nobody answered and it was reversed, it expired, somebody cancelled it, or it failed. An approved
payment that was refunded or voided later succeeded all the same.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from transactions.domain.values import FINAL, Status

K = TypeVar("K", bound=Hashable)


class Counted(Protocol):
    """So many payments that are alike."""

    operation: str
    biller: str | None
    currency: str
    #: see `bands`
    band: int
    status: str
    payments: int


@dataclass(frozen=True, slots=True)
class Ends:
    """Payments by where they stand."""

    by_status: Counter[str] = field(default_factory=Counter)

    @property
    def ended(self) -> int:
        """How many have ended, one way or another."""
        return sum(self.by_status[status] for status in FINAL)

    @property
    def approved(self) -> int:
        """How many succeeded."""
        return self.by_status[Status.APPROVED]

    @property
    def open(self) -> int:
        """How many have not ended."""
        return self.by_status.total() - self.ended

    @property
    def rate(self) -> float | None:
        """The approved among the ended; None where nothing ended."""
        return self.approved / self.ended if self.ended else None


def ends_by(counted: Iterable[Counted], of: Callable[[Counted], K | None]) -> dict[K, Ends]:
    """Return the ends of payments by what they have in common; `of` says None for those that do not belong."""
    found: dict[K, Ends] = {}
    for one in counted:
        if (key := of(one)) is not None:
            found.setdefault(key, Ends()).by_status[one.status] += one.payments
    return found
