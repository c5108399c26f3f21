"""Errors for people and machines: RFC 9457, in one shape, never repeating a value."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog
from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse
from rest_framework import exceptions
from rest_framework.response import Response

from staff.masking import mask_text
from transactions import accepting
from transactions.api.checking import FieldError, Unacceptable
from transactions.domain.errors import NotAllowed, UnknownPayment
from transactions.webhooks.errors import EndpointDisabled, TooManyEndpoints, UnknownDelivery, UnknownEndpoint

MEDIA_TYPE: Final = "application/problem+json"
_TYPE: Final = "urn:ferryman:problem:"
_RETRY_AFTER_S: Final = 2

_log = structlog.get_logger(__name__)


class IdempotencyKeyWrong(exceptions.APIException):
    """Send one Idempotency-Key of 1 to 255 printable ASCII characters, without commas."""

    status_code = 400
    default_detail = __doc__
    default_code = "idempotency_key"


class CursorWrong(exceptions.APIException):
    """The cursor is not one that this API gave; begin again without it."""

    status_code = 400
    default_detail = __doc__
    default_code = "cursor"


class ParameterWrong(exceptions.APIException):
    """A parameter has a value that it does not take; the detail names it and what it takes."""

    status_code = 400
    default_code = "parameter"


class Busy(exceptions.APIException):
    """The service cannot take this now."""

    status_code = 503

    def __init__(self, code: str, detail: str, retry_after_s: float) -> None:
        super().__init__(detail, code)
        self.wait = retry_after_s


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error, as RFC 9457 has it."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: list[FieldError] = []


#: exception -> (status, code, title, what to do)
_KNOWN: Final[Mapping[type[Exception], tuple[int, str, str, str]]] = {
    exceptions.ParseError: (
        400,
        "malformed-json",
        "The body is not JSON",
        "Send UTF-8 with no byte order mark: each member once, no NaN, no NUL, up to 8 levels. Nothing was accepted.",
    ),
    exceptions.NotAuthenticated: (
        401,
        "unauthenticated",
        "No key was sent",
        "Send your API key as: Authorization: Bearer <key>.",
    ),
    exceptions.AuthenticationFailed: (
        401,
        "unauthenticated",
        "The key is not valid",
        "Send it as: Authorization: Bearer <key>. It may have been revoked.",
    ),
    exceptions.PermissionDenied: (
        403,
        "lacking-scope",
        "The key may not do this",
        "Ask for a key with the scope that this needs.",
    ),
    Http404: (404, "not-found", "There is no such thing here", "Check the address and whose key you use."),
    UnknownPayment: (404, "not-found", "There is no such payment", "Check the id and whose key you use."),
    exceptions.MethodNotAllowed: (405, "method", "This address does not take that method", "See the Allow header."),
    exceptions.NotAcceptable: (406, "accept", "No such form of the answer", "Accept application/json."),
    exceptions.UnsupportedMediaType: (415, "media-type", "The body has the wrong media type", "Send application/json."),
    exceptions.Throttled: (429, "too-fast", "Too many requests", "Wait as long as Retry-After says, then go on."),
    RequestDataTooBig: (413, "too-large", "The body is too large", "Send less at once. Nothing was accepted."),
    NotAllowed: (
        409,
        "not-allowed",
        "The payment's state does not allow this",
        "Nothing was changed; read the payment to see how it stands.",
    ),
    UnknownEndpoint: (404, "not-found", "There is no such webhook endpoint", "Check the id and whose key you use."),
    UnknownDelivery: (404, "not-found", "There is no such delivery", "Check its id, and the endpoint's."),
    EndpointDisabled: (
        409,
        "endpoint-disabled",
        "The webhook endpoint is disabled",
        "Nothing is sent there. Enable it first: PATCH it with enabled true.",
    ),
    TooManyEndpoints: (
        409,
        "too-many-endpoints",
        "There are as many webhook endpoints as there may be",
        "Nothing was made. Delete one that is not used any more.",
    ),
    accepting.KeyReused: (
        422,
        "key-reused",
        "The idempotency key stands for another request",
        "Nothing was written. Use a new key for a new payment, the same body to repeat the old one.",
    ),
    accepting.LinkUnavailable: (
        503,
        "link-unavailable",
        "The link to the bank cannot carry this now",
        "Nothing was accepted. Repeat with the same key after Retry-After, or with expires_in above 60 to be queued.",
    ),
    accepting.BacklogFull: (
        503,
        "backlog-full",
        "Too many payments wait for the bank",
        "Nothing was accepted. Repeat with the same key after Retry-After.",
    ),
}


def handle(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """Return the answer to an exception in a view; None for a bug, which becomes a 500."""
    request = context["request"]._request  # noqa: SLF001  (DRF gives no other way to Django's request)
    problem = problem_of(error, request)
    if problem is None:
        return None
    headers = {"WWW-Authenticate": challenge} if (challenge := getattr(error, "auth_header", None)) else {}
    if seconds := retry_after(error):
        headers["Retry-After"] = str(seconds)
    response = Response(problem, status=problem.status, headers=headers, content_type=MEDIA_TYPE)
    response.exception = True
    # It is told: a frame that still names the error would be tied to it, and wait for the garbage collector with it.
    error.__traceback__ = None
    return response


def problem_of(error: Exception, request: HttpRequest) -> Problem | None:
    """Return what a client is told of an error; None for a bug."""
    if isinstance(error, Unacceptable | accepting.OrderRefused):
        errors = error.errors if isinstance(error, Unacceptable) else [FieldError(*entry) for entry in error.errors]
        return _problem(request, 422, "invalid", "The request does not fit", "Nothing was accepted.", errors)
    if isinstance(error, OperationalError | InterfaceError):
        _log.error("api.database_away", error=type(error).__name__)
        return _unavailable(request)
    if known := next((_KNOWN[kind] for kind in type(error).__mro__ if kind in _KNOWN), None):
        status, code, title, advice = known
        detail = " ".join(part for part in (str(error) if isinstance(error, NotAllowed) else "", advice) if part)
        return _problem(request, status, code, title, detail)
    if isinstance(error, exceptions.APIException):
        code = str(error.get_codes()).replace("_", "-")
        return _problem(request, error.status_code, code, _title(error.status_code), str(error.detail))
    return None


def retry_after(error: Exception) -> int | None:
    """Return in how many seconds to ask again, where asking again helps."""
    if wait := getattr(error, "wait", None):
        return max(1, round(float(wait)))
    return _RETRY_AFTER_S if isinstance(error, accepting.BacklogFull | OperationalError | InterfaceError) else None


def page(request: HttpRequest, status: int, code: str, title: str, detail: str) -> HttpResponse:
    """Return a problem from outside DRF: an address under /api/ that leads nowhere, or a bug."""
    body = msgspec.json.encode(_problem(request, status, code, title, detail))
    return HttpResponse(body, status=status, content_type=MEDIA_TYPE)


def request_id() -> str:
    """Return the id under which this request is logged."""
    return str(structlog.contextvars.get_contextvars().get("request_id", ""))


def _problem(
    request: HttpRequest, status: int, code: str, title: str, detail: str, errors: Sequence[FieldError] = ()
) -> Problem:
    return Problem(f"{_TYPE}{code}", title, status, detail, mask_text(request.path), request_id(), list(errors))


def _unavailable(request: HttpRequest) -> Problem:
    detail = (
        "Whether a payment you just posted was accepted is not known here. Repeat with the same Idempotency-Key "
        "after Retry-After: it is carried once, whatever happened."
    )
    return _problem(request, 503, "database-away", "The service cannot reach its database", detail)


def _title(status: int) -> str:
    return {400: "The request cannot be understood", 413: "The body is too large", 503: "Not now"}.get(status, "Error")
