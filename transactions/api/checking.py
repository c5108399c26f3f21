"""What is wrong with a request's body: every mistake at once, each with where it is. No message repeats a value.

msgspec checks types and patterns in one pass; when that fails, every field is looked at on its own.
"""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, TypeVar, get_args

import msgspec
from msgspec import Struct

from staff.masking import luhn_fits

MOST_METADATA: Final = 50
LONGEST_METADATA_KEY: Final = 64
LONGEST_METADATA: Final = 500
_LARGEST_INTEGER: Final = 2**53
_PLAIN_NAME: Final = re.compile(r"^[A-Za-z0-9_.-]{1,64}\Z")
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
#: 13 to 19 digits, together or in a card's groups, not inside a longer word: a UUID is none
_PAN_SHAPED: Final = re.compile(
    r"(?<![0-9A-Za-z])"
    r"(?:[0-9]{13,19}|[0-9]{4}(?:[ -][0-9]{4}){3}(?:[ -]?[0-9]{1,3})?|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5})"
    r"(?![0-9A-Za-z])"
)
_MANY_DIGITS: Final = re.compile(r"[0-9]{8}")

MetadataValue = str | int | bool | None
Shape = TypeVar("Shape", bound=Struct)


@dataclass(frozen=True, slots=True)
class FieldError:
    """One thing wrong with a request: where (RFC 6901 pointer), what, and what to do. Never the value."""

    pointer: str
    code: str
    detail: str


class Unacceptable(Exception):
    """The request is well-formed JSON and not what is asked for here."""

    def __init__(self, errors: Sequence[FieldError]) -> None:
        super().__init__("the request does not validate")
        self.errors = errors


def parse(body: Any, struct: type[Shape]) -> Shape:
    """Return a body as the struct it should be; raises Unacceptable with everything that is wrong with its form."""
    try:
        parsed = msgspec.convert(body, struct)
    except msgspec.ValidationError:
        raise Unacceptable(list(_shape_errors(body, struct, ""))) from None
    if errors := list(_text_errors(body, "")):
        raise Unacceptable(errors)
    return parsed


def _shape_errors(body: Any, struct: type[Struct], at: str) -> Iterator[FieldError]:
    """Look at every member by itself."""
    if not isinstance(body, dict):
        yield FieldError(at, "type", "This must be an object.")
        return
    fields = _fields(struct)
    for name in sorted(body.keys() - fields.keys()):
        yield FieldError(f"{at}/{_escaped(name)}", "unknown_field", "There is no such field.")
    for name, field in fields.items():
        if name not in body:
            if field.required:
                yield FieldError(f"{at}/{name}", "required", "This field is required.")
        elif _is_struct(field.type):
            yield from _shape_errors(body[name], field.type, f"{at}/{name}")
        elif name == "metadata" and isinstance(body[name], dict) and len(body[name]) <= MOST_METADATA:
            for key, value in body[name].items():
                yield from _member_error({key: value}, field.type, f"{at}/{name}/{_escaped(key)}")
        else:
            yield from _member_error(body[name], field.type, f"{at}/{name}")


@cache
def _fields(struct: type[Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(struct)}


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _member_error(value: Any, kind: Any, at: str) -> Iterator[FieldError]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        yield FieldError(at, *_named(str(error), kind))


def _named(complaint: str, kind: Any) -> tuple[str, str]:
    """msgspec says the type it expected and, for an enumeration, the value it got: keep what is ours of it."""
    if form := re.search(r"matching regex '(.*?)'(?: - at|$)", complaint):
        return "format", f"This must have the form {form[1]}."
    if bound := re.search(r"of length (<=|>=) ([0-9]+)", complaint):
        return "length", f"This has {_BOUNDS[bound[1]]} {bound[2]} characters or members."
    if bound := re.search(r"(<=|>=) (-?[0-9]+)", complaint):
        return "range", f"This is {_BOUNDS[bound[1]]} {bound[2]}."
    if "enum" in complaint:
        return "choice", f"This is one of: {', '.join(sorted(get_args(kind)))}."
    expected = re.match(r"Expected `([a-z |]+)`", complaint)
    return "type", f"This must be {expected[1].replace(' | ', ' or ')}." if expected else "This is of the wrong type."


_BOUNDS: Final = {"<=": "at most", ">=": "at least"}


def metadata_errors(metadata: Mapping[str, MetadataValue]) -> Iterator[FieldError]:
    """What types cannot say of metadata: lengths, ranges, and that no card number is in it."""
    for key, value in metadata.items():
        at = f"/metadata/{_escaped(key)}"
        if len(key) > LONGEST_METADATA_KEY or (isinstance(value, str) and len(value) > LONGEST_METADATA):
            yield FieldError(
                at, "length", f"Keys have up to {LONGEST_METADATA_KEY} characters, values up to {LONGEST_METADATA}."
            )
        if not isinstance(value, str) and value is not None and not -_LARGEST_INTEGER <= value <= _LARGEST_INTEGER:
            yield FieldError(at, "range", "Integers reach 2 to the power of 53; send larger ones as text.")
        if looks_like_card(key) or looks_like_card(str(value)):
            yield FieldError("/metadata", "card_number", "Metadata must not hold card numbers.")


def _text_errors(value: Any, at: str) -> Iterator[FieldError]:
    """No control, bidirectional or invisible characters anywhere."""
    if isinstance(value, str):
        if not value.isprintable() and any(unicodedata.category(char) in _UNSEEN for char in value):
            yield FieldError(at, "characters", "Control and invisible characters are not allowed.")
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _text_errors(key, at)
            yield from _text_errors(inner, f"{at}/{_escaped(key)}")


def looks_like_card(text: str) -> bool:
    """True when a text holds 13 to 19 digits that check like a card number, spaced or not."""
    return any(luhn_fits(re.sub("[ -]", "", match)) for match in _PAN_SHAPED.findall(text))


def _escaped(name: str) -> str:
    """Return a member's name for a pointer; an odd one is not repeated."""
    if not _PLAIN_NAME.match(name) or _MANY_DIGITS.search(name):
        return "?"
    return name.replace("~", "~0").replace("/", "~1")
