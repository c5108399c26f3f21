"""JSON in and out: strict about what comes in, quick about what goes out."""

import json
from collections.abc import Iterable, Mapping
from typing import IO, Any, Final, NoReturn

import msgspec
from django.core.exceptions import RequestDataTooBig
from rest_framework.exceptions import APIException, ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

MAX_BODY: Final = 65_536
MAX_BATCH: Final = 1_000_000
_DEEPEST: Final = 8


class TooLarge(APIException):
    """The body is larger than this resource takes."""

    status_code = 413
    default_code = "too_large"

    def __init__(self, most: int) -> None:
        super().__init__(f"A body has at most {most} bytes here. Nothing was accepted.")


class StrictJsonParser(BaseParser):
    """JSON as RFC 8259 means it: UTF-8, no duplicate members, no NaN, no NUL, no lone surrogates, not deep."""

    media_type = "application/json"
    most = MAX_BODY

    def parse(
        self, stream: IO[bytes], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the parsed body; raises ParseError or TooLarge."""
        try:
            body = stream.read(self.most + 1)
        except RequestDataTooBig:
            raise TooLarge(self.most) from None
        if len(body) > self.most:
            raise TooLarge(self.most)
        return parse_json(body)


class BatchParser(StrictJsonParser):
    """The same for many payments at once."""

    most = MAX_BATCH


class JsonRenderer(BaseRenderer):
    """Plain values and structs as JSON."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        """Return the body."""
        return b"" if data is None else msgspec.json.encode(data)


class Negotiation(DefaultContentNegotiation):
    """Whoever takes anything, or JSON, gets what a view renders first; only other wishes are weighed."""

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return a renderer and its media type; raises NotAcceptable."""
        first = next(iter(renderers))
        if not request.META.get("QUERY_STRING") and request.META.get("HTTP_ACCEPT", "*/*") in ("*/*", first.media_type):
            return first, str(first.media_type)
        found: tuple[BaseRenderer, str] = super().select_renderer(request, renderers, format_suffix)
        return found


class ProblemRenderer(JsonRenderer):
    """Errors as RFC 9457 names them."""

    media_type = "application/problem+json"
    format = "problem"


def parse_json(body: bytes) -> Any:
    """Return a body's value; raises ParseError, which never says what was in it."""
    try:
        parsed = _decoder.decode(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise ParseError from None
    if b"\\" in body and not _is_clean(parsed):
        raise ParseError
    if body.count(b"{") + body.count(b"[") > _DEEPEST and _depth(parsed) > _DEEPEST:
        raise ParseError
    return parsed


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a member stands twice")
    return members


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


_decoder: Final = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)


def _is_clean(value: Any) -> bool:
    """Escapes may hide what raw text may not hold: NUL and halves of surrogate pairs."""
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, dict):
        return all(_is_clean(key) and _is_clean(inner) for key, inner in value.items())
    return all(map(_is_clean, value)) if isinstance(value, list) else True


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0
