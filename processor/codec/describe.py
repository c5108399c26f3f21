"""A message for people: field by field, with names and meanings. Masks what is given in the clear, but for a dump."""

from dataclasses import dataclass
from typing import Final

from processor.codec.dialects import Dialect
from processor.codec.message import Message
from staff.masking import mask_pan

# What is never shown, not even in part; 14 is an expiry date, 35 and 45 are tracks, 52 and 123 PIN blocks.
_HIDDEN: Final = frozenset({14, 35, 36, 45, 52, 55, 64, 96, 123, 128})
_CARD_NUMBERS: Final = frozenset({2, 34})
_ACCOUNTS: Final = frozenset({102, 103})
_TELLING: Final = _HIDDEN | _CARD_NUMBERS | _ACCOUNTS
_PAN_SHAPED: Final = range(13, 20)
_A_LINE: Final = 16

CODE_MEANINGS: Final = {
    "00": "approved",
    "05": "do not honour",
    "10": "partial approval",
    "12": "invalid transaction",
    "13": "invalid amount",
    "14": "no such card",
    "25": "original not found",
    "30": "format error",
    "51": "insufficient funds",
    "54": "expired card",
    "55": "wrong PIN",
    "57": "not permitted",
    "61": "over the limit",
    "62": "restricted card",
    "68": "answer came too late",
    "91": "host or issuer unavailable",
    "94": "duplicate",
    "96": "system malfunction",
}

_MTI_CLASSES: Final = {"1": "authorisation", "2": "financial", "4": "reversal", "5": "reconciliation", "8": "network"}
_MTI_FUNCTIONS: Final = {"0": "request", "1": "response", "2": "advice", "3": "advice response"}


@dataclass(frozen=True, slots=True)
class FieldDescription:
    """One field of a message as a person reads it."""

    number: int
    name: str
    value: str
    meaning: str


@dataclass(frozen=True, slots=True, repr=False)
class DumpLine:
    """Some bytes of a message: where they begin, in hexadecimal, and as letters."""

    offset: str
    hexadecimal: str
    letters: str


def masked_fields(message: Message) -> dict[str, str]:
    """Return the fields by number, each safe to keep and to show."""
    return {
        str(number): value if number not in _TELLING and value.isprintable() else _mask(number, value)
        for number, value in sorted(message.fields.items())
    }


def describe_mti(mti: str) -> str:
    """Return an MTI in words: "0421" is a reversal advice, repeated."""
    if len(mti) != 4 or not mti.isdigit():
        return "unreadable message"
    words = f"{_MTI_CLASSES.get(mti[1], 'unknown class')} {_MTI_FUNCTIONS.get(mti[2], 'message')}"
    return f"{words}, repeat" if mti[3] == "1" else words


def describe_message(mti: str, fields: dict[str, str], dialect: Dialect) -> str:
    """Return a message in words: its MTI, and what a network message is for."""
    if mti[1:2] != "8":
        return describe_mti(mti)
    purpose = dialect.network_purpose({int(number): value for number, value in fields.items() if number.isdigit()})
    kind = "answer" if mti[2] == "1" else "request"
    return f"{purpose or 'network management'} {kind}".replace("_", "-")


def describe(fields: dict[str, str], dialect: Dialect) -> list[FieldDescription]:
    """Return masked fields with the dialect's names and what codes mean."""
    described = []
    for key, value in fields.items():
        number = int(key) if key.isdigit() else 0
        rule = dialect.rules.get(number)
        described.append(FieldDescription(number, rule.name if rule else key, value, _meaning(number, value, dialect)))
    return described


def dump(body: bytes, dialect: Dialect) -> list[DumpLine]:
    """Return bytes as people compare them: sixteen a line, in hexadecimal and in the dialect's letters."""
    return [
        DumpLine(
            f"{start:04x}", body[start : start + _A_LINE].hex(" "), _letters(body[start : start + _A_LINE], dialect)
        )
        for start in range(0, len(body), _A_LINE)
    ]


def _letters(part: bytes, dialect: Dialect) -> str:
    text = part.decode(dialect.text_encoding, "replace")
    return "".join(char if char.isascii() and char.isprintable() else "." for char in text)


def _meaning(number: int, value: str, dialect: Dialect) -> str:
    if number == 39:
        return CODE_MEANINGS.get(dialect.read_code(value), "unknown code")
    if number == 3:
        return ", ".join(name for name, code in dialect.processing_codes.items() if code == value).replace("_", " ")
    return ""


def _mask(number: int, value: str) -> str:
    if not value.isprintable():
        value = "".join(char if char.isprintable() else "." for char in value)
    if number in _HIDDEN:
        return f"({len(value)} hidden)"
    if number in _CARD_NUMBERS:
        return mask_pan(value)
    if number in _ACCOUNTS and value.isdigit() and len(value) in _PAN_SHAPED:
        return mask_pan(value)
    return value
