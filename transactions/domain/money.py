"""Amounts in minor units and the currencies of ISO 4217."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from iso4217 import Currency

MAX_AMOUNT: Final = 999_999_999_999
"""Twelve digits: what ISO 8583 field 4 holds."""

# Metals, funds and test codes have no minor unit: nobody pays in them.
_NUMERIC: Final[dict[str, str]] = {
    currency.code: f"{currency.number:03d}" for currency in Currency if currency.exponent is not None
}
_ALPHABETIC: Final[dict[str, str]] = {number: code for code, number in _NUMERIC.items()}


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of one currency."""

    amount_minor: int
    currency: str

    def __str__(self) -> str:
        digits = exponent(self.currency)
        if digits == 0:
            return f"{self.currency} {self.amount_minor:,}"
        whole, rest = divmod(abs(self.amount_minor), 10**digits)
        sign = "-" if self.amount_minor < 0 else ""
        return f"{self.currency} {sign}{whole:,}.{rest:0{digits}d}"


def is_currency(letters: str) -> bool:
    """True for an alphabetic code of ISO 4217."""
    return letters in _NUMERIC


def numeric_code(letters: str) -> str:
    """Return the three digits of ISO 8583 field 49 ("IDR" -> "360")."""
    return _NUMERIC[letters]


def letters_of(numeric: str) -> str | None:
    """Return the letters of a numeric code, None for an unknown one."""
    return _ALPHABETIC.get(numeric)


@lru_cache
def exponent(letters: str) -> int:
    """Return how many digits the minor unit has (IDR 2, JPY 0)."""
    return int(Currency(letters).exponent or 0)


@lru_cache
def currencies_with() -> dict[int, set[str]]:
    """Return the currencies by how many digits their minor unit has."""
    found: dict[int, set[str]] = {}
    for code in _NUMERIC:
        found.setdefault(exponent(code), set()).add(code)
    return found
