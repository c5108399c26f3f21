"""How things are said to staff: money, states, actors, reasons."""

from typing import Final

from transactions.domain.money import Money
from transactions.domain.values import REASONS, ReasonCode, Status

#: status -> unfold's colour of its label
COLOURS: Final = {
    Status.QUEUED.value: "info",
    Status.IN_FLIGHT.value: "info",
    Status.REVERSING.value: "warning",
    Status.ON_HOLD.value: "danger",
    Status.APPROVED.value: "success",
    Status.DECLINED.value: "danger",
    Status.REVERSED.value: "warning",
}


def money(amount_minor: int, currency: str) -> str:
    """Return an amount in its currency's form."""
    return str(Money(amount_minor, currency))


def spoken(word: str) -> str:
    """Return an identifier as a person would say it."""
    return word.replace("_", " ")


def reason(code: str | None) -> str:
    """Return the sentence for a reason."""
    return REASONS[ReasonCode(code)] if code else ""


def actor(name: str) -> str:
    """Return who did something: "api:AbC" is a key, "staff:alice" a person."""
    kind, _, who = name.partition(":")
    return {"api": f"API key {who}", "staff": who}.get(kind, "Ferryman")
