"""What the API's document says of what receivers are sent: the messages, their headers, and how to answer."""

from collections.abc import Mapping
from typing import Any, Final

from transactions.api.openapi import shape
from transactions.domain.values import Status
from transactions.outbox import EVENT_TYPES, TEST
from transactions.showing import PaymentOut

_MEANING: Final = {
    Status.APPROVED: "The bank carried it out.",
    Status.DECLINED: "The bank refused it; nothing was paid.",
    Status.REVERSED: "It was undone at the bank; nothing is paid.",
    Status.EXPIRED: "Its time was over before anything was sent; nothing was paid.",
    Status.CANCELLED: "It was taken back before anything was sent; nothing was paid.",
    Status.FAILED: "It could not be carried out; nothing was paid.",
}
_HEADERS: Final[Mapping[str, tuple[Mapping[str, Any], str]]] = {
    "webhook-id": (
        {"type": "string", "pattern": "^msg_[0-9a-f]{32}$"},
        "The same however often a message is sent: take each once.",
    ),
    "webhook-timestamp": (
        {"type": "string", "pattern": "^[0-9]+$"},
        "When it was sent, in seconds since 1970. Refuse what is older than 5 minutes.",
    ),
    "webhook-signature": (
        {"type": "string", "pattern": "^v1,[A-Za-z0-9+/]+=*( v1,[A-Za-z0-9+/]+=*)*$"},
        (
            "One for each secret that is good: `v1,` and the base64 of HMAC-SHA256 over "
            "`{webhook-id}.{webhook-timestamp}.{body}`, its key what follows `whsec_`, from base64. "
            "One that fits is enough."
        ),
    ),
}
_ANSWERS: Final = {
    "2XX": "Taken; it is not sent again. Answer within 15 seconds, and work on it later.",
    "410": "The endpoint is disabled at once.",
    "429": "Sent again, not before `Retry-After` is over; nothing else is sent there until then.",
    "503": "As with 429.",
    "default": "Sent again for three days, ever less often. No redirect is followed.",
}
_ASKING: Final = {
    "Retry-After": {
        "description": "Seconds, or an HTTP date; up to 6 hours are heeded.",
        "schema": {"type": "string"},
    }
}


def add_webhooks(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Put what receivers are sent into the document, as OpenAPI 3.1 has it."""
    parameters = {_name(header): _parameter(header) for header in _HEADERS}
    result["components"].setdefault("parameters", {}).update(parameters)
    schemas = {"WebhookTest": _message(TEST, _TESTED), **{_schema(kind): _ended(kind) for kind in EVENT_TYPES}}
    result["components"]["schemas"].update(schemas)
    result["webhooks"] = {kind: {"post": _operation(kind)} for kind in (*EVENT_TYPES, TEST)}
    return result


_TESTED: Final = {
    "type": "object",
    "properties": {"endpoint": {"type": "string", "format": "uuid"}},
    "required": ["endpoint"],
}


def _operation(kind: str) -> dict[str, Any]:
    if kind == TEST:
        described = "Somebody asked for a test message. It tells of no payment."
    else:
        described = f"{_MEANING[_status(kind)]} Messages come in no promised order: compare `version`."
    return {
        "operationId": f"on{_schema(kind)}",
        "summary": kind,
        "description": described,
        "tags": ["webhook-endpoints"],
        "security": [{}],
        "parameters": [{"$ref": f"#/components/parameters/{_name(header)}"} for header in _HEADERS],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{_schema(kind)}"}}},
        },
        "responses": {
            code: {"description": text} | ({"headers": _ASKING} if code in ("429", "503") else {})
            for code, text in _ANSWERS.items()
        },
    }


def _parameter(header: str) -> dict[str, Any]:
    schema, described = _HEADERS[header]
    return {"name": header, "in": "header", "required": True, "description": described, "schema": schema}


def _ended(kind: str) -> dict[str, Any]:
    status = {"properties": {"status": {"const": _status(kind).value}}}
    return _message(kind, {"allOf": [shape(PaymentOut), status]})


def _message(kind: str, content: Mapping[str, Any]) -> dict[str, Any]:
    moment = {"type": "string", "format": "date-time", "description": "When it came about."}
    return {
        "type": "object",
        "properties": {"type": {"type": "string", "const": kind}, "timestamp": moment, "data": content},
        "required": ["type", "timestamp", "data"],
    }


def _status(kind: str) -> Status:
    return Status(kind.removeprefix("payment."))


def _schema(kind: str) -> str:
    """Return a message type's name among the shapes: PaymentApproved."""
    return "".join(part.capitalize() for part in kind.split("."))


def _name(header: str) -> str:
    return "".join(part.capitalize() for part in header.split("-"))
