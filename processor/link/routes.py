"""Which link a payment goes to that names none: the first rule of the table that fits it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Route:
    """A rule: what it says nothing of fits anything; the fallback serves while the link does not carry."""

    number: int
    link: str
    fallback: str | None = None
    merchant_id: int | None = None
    #: the first digits of the card
    bin: str = ""
    biller: str = ""

    def fits(self, merchant_id: int, pan: str | None, biller: str | None) -> bool:
        """True for a payment that this rule is about."""
        return (
            self.merchant_id in (None, merchant_id)
            and (pan or "").startswith(self.bin)
            and self.biller in ("", biller or "")
        )


@dataclass(frozen=True, slots=True)
class Way:
    """A link, and the rule that chose it."""

    link: str
    rule: str


def choose(
    routes: Sequence[Route], merchant_id: int, pan: str | None, biller: str | None, carries: Callable[[str], bool]
) -> Way | None:
    """Return where a payment goes by rules in their order; None where none fits."""
    for route in routes:
        if route.fits(merchant_id, pan, biller):
            if route.fallback and not carries(route.link) and carries(route.fallback):
                return Way(route.fallback, f"{route.number} (fallback)")
            return Way(route.link, str(route.number))
    return None
