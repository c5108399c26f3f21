"""How things are said to staff: money, states, actors, reasons."""

from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

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

#: what `spoken` says, for translators
_SPOKEN: Final = (
    *(gettext_noop("queued"), gettext_noop("in flight"), gettext_noop("reversing"), gettext_noop("on hold")),
    *(gettext_noop("approved"), gettext_noop("declined"), gettext_noop("reversed"), gettext_noop("expired")),
    *(gettext_noop("cancelled"), gettext_noop("failed")),
    *(gettext_noop("purchase"), gettext_noop("withdrawal"), gettext_noop("balance inquiry"), gettext_noop("deposit")),
    *(gettext_noop("transfer"), gettext_noop("bill payment"), gettext_noop("authorisation")),
    *(gettext_noop("capture"), gettext_noop("refund"), gettext_noop("void")),
    *(gettext_noop("request"), gettext_noop("advice"), gettext_noop("reversal"), gettext_noop("open")),
    *(gettext_noop("unsent"), gettext_noop("unknown"), gettext_noop("none"), gettext_noop("accepted")),
)


def money(amount_minor: int, currency: str) -> str:
    """Return an amount in its currency's form."""
    return str(Money(amount_minor, currency))


def signed_money(amount_minor: int, currency: str) -> str:
    """Return an amount that may be negative in its currency's form."""
    return f"{'−' if amount_minor < 0 else ''}{money(abs(amount_minor), currency)}"


def spoken(word: str) -> str:
    """Return an identifier as a person would say it."""
    return _(word.replace("_", " "))


def reason(code: str | None) -> str:
    """Return the sentence for a reason."""
    return _(REASONS[ReasonCode(code)]) if code else ""


def actor(name: str) -> str:
    """Return who did something: "api:AbC" is a key, "staff:alice" a person."""
    kind, __, who = name.partition(":")
    return {"api": _("API key %(key)s") % {"key": who}, "staff": who}.get(kind, "Ferryman")


def duration(seconds: float) -> str:
    """Return a length of time in the unit that a person would choose."""
    for unit, length in (
        (gettext_noop("%(n)s d"), 86400),
        (gettext_noop("%(n)s h"), 3600),
        (gettext_noop("%(n)s min"), 60),
    ):
        if seconds >= 2 * length:
            return _(unit) % {"n": int(seconds // length)}
    return _("%(n)s s") % {"n": max(0, int(seconds))}


def lapse(seconds: float) -> str:
    """Return the time between two steps, as fine as it matters."""
    if seconds < 1:
        return _("%(n)s ms") % {"n": round(1000 * seconds)}
    return _("%(n)s s") % {"n": f"{seconds:.1f}"} if seconds < 10 else duration(seconds)


def why_held(reason: str) -> str:
    """Return the sentence for why an entry is held: that of its code, or what was written down."""
    return _(REASONS[ReasonCode(reason)]) if reason in set(ReasonCode) else reason
