"""What a list of payments is asked for: filters, and where to go on. The cursor is signed."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.core import signing
from rest_framework.request import Request

from transactions.api.problems import CursorWrong, ParameterWrong
from transactions.domain.money import MAX_AMOUNT, is_currency
from transactions.domain.values import Operation, Status
from transactions.paging import Filters

_PAGE: Final = 25
_LARGEST_PAGE: Final = 100
_CURSOR_SALT: Final = "ferryman.payments"
_EARLIEST: Final = datetime(1970, 1, 2, tzinfo=UTC)
_LATEST: Final = datetime(9999, 1, 1, tzinfo=UTC)
_NAME: Final = re.compile(r"[0-9A-Za-z_-]{1,50}\Z")
_LAST_FOUR: Final = re.compile(r"[0-9]{4}\Z")
_NUMBER: Final = re.compile(r"[0-9]{1,12}\Z")


def listing_of(request: Request) -> tuple[Filters, UUID | None, int]:
    """Return filters, the id to go on before, and how many; raises CursorWrong or ParameterWrong."""
    asked = request.query_params
    for name in asked:
        if name not in _READERS and name not in ("cursor", "limit"):
            raise ParameterWrong(f"There is no such parameter; there are: {', '.join([*_READERS, 'limit', 'cursor'])}.")
        if len(asked.getlist(name)) > 1:
            raise ParameterWrong(f"`{name}` is said once.")
    try:
        before = UUID(signing.loads(asked["cursor"], salt=_CURSOR_SALT)) if "cursor" in asked else None
    except (ValueError, signing.BadSignature):
        raise CursorWrong from None
    limit = _number(asked.get("limit", str(_PAGE)))
    if limit is None or not 1 <= limit <= _LARGEST_PAGE:
        raise ParameterWrong(f"`limit` is a number from 1 to {_LARGEST_PAGE}.")
    return Filters(**{name: _read(name, asked[name]) for name in _READERS if name in asked}), before, limit


def page_address(request: Request, last: UUID) -> str:
    """Return where the page after this payment is."""
    asked = {name: value for name, value in request.query_params.items() if name != "cursor"}
    return f"{request.path}?{urlencode({**asked, 'cursor': signing.dumps(str(last), salt=_CURSOR_SALT)})}"


def _read(name: str, text: str) -> Any:
    read, form = _READERS[name]
    value = read(text)
    if value is None:
        raise ParameterWrong(f"`{name}` is {form}.")
    return value


def _member(values: type[Enum]) -> Callable[[str], Enum | None]:
    return lambda text: next((value for value in values if value.value == text), None)


def _of_form(form: re.Pattern[str]) -> Callable[[str], str | None]:
    return lambda text: text if form.match(text) else None


def _text(most: int) -> Callable[[str], str | None]:
    return lambda text: text if text.isprintable() and 1 <= len(text) <= most else None


def _number(text: str) -> int | None:
    return int(text) if _NUMBER.match(text) and int(text) <= MAX_AMOUNT else None


def _id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _time(text: str) -> datetime | None:
    """RFC 3339; in an address, `+` must be written `%2B`, or it is a space."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.utcoffset() is not None and _EARLIEST < at < _LATEST else None


def _choices(values: type[Enum]) -> str:
    return f"one of: {', '.join(value.value for value in values)}"


_MOMENT: Final = "a time with its zone, as 2026-11-21T09:00:00Z or 2026-11-21T16:00:00%2B07:00"
_MINOR: Final = "a number of minor units, of 12 digits at most"

#: parameter -> (how it is read, its form in words)
_READERS: Final[Mapping[str, tuple[Callable[[str], Any], str]]] = {
    "status": (_member(Status), _choices(Status)),
    "operation": (_member(Operation), _choices(Operation)),
    "currency": (lambda text: text if is_currency(text) else None, "the letters of a currency of ISO 4217"),
    "link": (_of_form(_NAME), "the name of a link"),
    "lane": (_text(64), "a text of 1 to 64 printable characters"),
    "reference": (_text(64), "a text of 1 to 64 printable characters"),
    "idempotency_key": (_text(255), "a text of 1 to 255 printable characters"),
    "card_last4": (_of_form(_LAST_FOUR), "four digits"),
    "original": (_id, "the id of a payment"),
    "amount_from": (_number, _MINOR),
    "amount_to": (_number, _MINOR),
    "created_from": (_time, _MOMENT),
    "created_to": (_time, _MOMENT),
}
