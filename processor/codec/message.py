"""One ISO 8583 message as a value, and the way to and from bytes.

Owns strictness: what pyiso8583 lets pass (signs and spaces in lengths, letters in numeric fields)
is refused here with a typed error. Knows nothing of payments, keys or sockets.
"""

from collections.abc import Mapping

import iso8583
import msgspec

from processor.codec.dialects import Dialect, FieldKind
from processor.codec.errors import DecodeError, EncodeError

_HEX = frozenset("0123456789ABCDEF")
#: C and D as the bytes they are where digits are packed
_LETTERS = {"C": "43", "D": "44"}


class Message(msgspec.Struct, frozen=True):
    """An MTI and its fields by number; text without padding, binary as upper-case hex."""

    mti: str
    fields: Mapping[int, str]

    def get(self, number: int) -> str | None:
        """Return a field's text, or None when the message does not carry it."""
        return self.fields.get(number)

    @property
    def is_answer(self) -> bool:
        """True for 0110, 0210, 0430, 0810 and their like: an odd third digit."""
        return self.mti[2] in "13579"


def encode(message: Message, dialect: Dialect) -> bytes:
    """Pack a message; raises EncodeError naming the field that does not fit."""
    document = {"t": _checked_mti(message.mti)}
    for number, value in message.fields.items():
        document[str(number)] = _checked(number, value, dialect)
    try:
        return bytes(iso8583.encode(document, dialect.spec)[0])
    except (iso8583.EncodeError, KeyError) as error:
        field = getattr(error, "field", None)
        raise EncodeError(f"field {field} does not fit the dialect {dialect.name}", field=_number(field)) from None


def decode(body: bytes, dialect: Dialect) -> Message:
    """Read a message; raises DecodeError for anything that this dialect does not allow."""
    if len(body) > dialect.max_body:
        raise DecodeError(f"a body of {len(body)} bytes is longer than {dialect.max_body}")
    try:
        decoded, encoded = iso8583.decode(body, dialect.spec)
    except iso8583.DecodeError as error:
        raise DecodeError(f"{error.msg}: field {error.field}", field=_number(error.field)) from None
    except (KeyError, ValueError, IndexError):
        raise DecodeError("the bitmap names a field that the dialect does not know") from None
    mti = decoded.pop("t")
    if not (len(mti) == 4 and mti.isascii() and mti.isdigit()):
        raise DecodeError("the MTI is not four digits")
    _check_bitmap(encoded, dialect)
    fields: dict[int, str] = {}
    for key, value in decoded.items():
        if key in ("p", "1", "h"):
            continue
        number = int(key)
        if dialect.variable_text_length and (length := encoded[key]["len"]):
            _check_length(number, length, dialect)
        fields[number] = _read(number, value, dialect)
    return Message(mti, fields)


def _checked_mti(mti: str) -> str:
    if not (len(mti) == 4 and mti.isascii() and mti.isdigit()):
        raise EncodeError("the MTI is not four digits")
    return mti


def _checked(number: int, value: str, dialect: Dialect) -> str:
    rule = dialect.rules.get(number)
    if rule is None:
        raise EncodeError(f"field {number} is not in the dialect {dialect.name}", field=number)
    if rule.kind is FieldKind.NUMERIC:
        if not (value.isascii() and value.isdigit()):
            raise EncodeError(f"field {number} takes digits only", field=number)
    elif rule.kind is FieldKind.BINARY:
        if not _HEX.issuperset(value):
            raise EncodeError(f"field {number} takes upper-case hex only", field=number)
    elif rule.kind is FieldKind.SIGNED:
        return _write_signed(number, value, dialect)
    elif not value.isascii() or not value.isprintable():
        raise EncodeError(f"field {number} takes printable ASCII only", field=number)
    if rule.pad_to:
        if len(value) > rule.pad_to:
            raise EncodeError(f"field {number} is longer than {rule.pad_to}", field=number)
        return value.ljust(rule.pad_to)
    return value


def _read(number: int, value: str, dialect: Dialect) -> str:
    rule = dialect.rules[number]
    if rule.kind is FieldKind.NUMERIC:
        if value and not (value.isascii() and value.isdigit()):
            raise DecodeError(f"field {number} is not numeric", field=number)
        return value
    if rule.kind is FieldKind.BINARY:
        if not _HEX.issuperset(value := value.upper()):
            raise DecodeError(f"field {number} is not hexadecimal", field=number)
        return value
    if rule.kind is FieldKind.SIGNED:
        return _read_signed(number, value, dialect)
    if rule.pad_to:
        if not (value.isascii() and value.isprintable()):
            raise DecodeError(f"field {number} holds control characters", field=number)
        return value.rstrip(" ")
    return value


def _write_signed(number: int, value: str, dialect: Dialect) -> str:
    if not _is_signed(value):
        raise EncodeError(f"field {number} takes C or D and digits only", field=number)
    return _LETTERS[value[0]] + value[1:] if _is_packed(number, dialect) else value


def _read_signed(number: int, value: str, dialect: Dialect) -> str:
    if _is_packed(number, dialect):
        value = {packed: letter for letter, packed in _LETTERS.items()}.get(value[:2], "") + value[2:]
    if not _is_signed(value):
        raise DecodeError(f"field {number} is not C or D and digits", field=number)
    return value


def _is_signed(value: str) -> bool:
    return value[:1] in _LETTERS and value.isascii() and value[1:].isdigit()


def _is_packed(number: int, dialect: Dialect) -> bool:
    return bool(dialect.spec[str(number)]["data_enc"] == "b")


def _check_length(number: int, length: bytes, dialect: Dialect) -> None:
    if not length.decode(dialect.text_encoding, "replace").isdigit():
        raise DecodeError(f"the length of field {number} is not digits", field=number)


def _check_bitmap(encoded: Mapping[str, Mapping[str, bytes]], dialect: Dialect) -> None:
    if dialect.binary_bitmap:
        return
    for key in ("p", "1"):
        if key in encoded and not _HEX.issuperset(encoded[key]["data"].decode("ascii", "replace").upper()):
            raise DecodeError("the bitmap is not hexadecimal")


def _number(field: object) -> int | None:
    text = str(field)
    return int(text) if text.isascii() and text.isdigit() else None
