"""What the API's document says: shapes from the msgspec structs, examples that work when pasted."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from transactions.api.problems import MEDIA_TYPE, Problem
from transactions.api.rendering import MAX_BODY
from transactions.api.responses import EventsOut, PageOut, PaymentOut
from transactions.api.serializers import PaymentIn
from transactions.domain.values import Operation, Status

_SHAPES: Final = (PaymentIn, PaymentOut, PageOut, EventsOut, Problem)
_, _COMPONENTS = msgspec.json.schema_components(_SHAPES, ref_template="#/components/schemas/{name}")

_CARD: Final = {"pan": "4111111111111111", "expiry": "3012"}
#: PIN 1234 of that card, under the published test key that the simulator knows
_PIN_BLOCK: Final = "4AD5A9AB1F88975DC7F0CC1CA03FA5A9265F18718C610057B10E11906D0EC2C6"

EXAMPLES: Final[Mapping[str, Mapping[str, Any]]] = {
    "purchase": {
        "operation": "purchase",
        "amount": 1250000,
        "currency": "IDR",
        "card": _CARD,
        "reference": "order-1001",
    },
    "withdrawal": {
        "operation": "withdrawal",
        "amount": 50000000,
        "currency": "IDR",
        "card": {**_CARD, "pin_block": _PIN_BLOCK},
        "source_account": "1234567890",
    },
    "balance inquiry": {
        "operation": "balance_inquiry",
        "currency": "IDR",
        "card": {**_CARD, "pin_block": _PIN_BLOCK},
        "source_account": "1234567890",
    },
    "transfer, one at a time": {
        "operation": "transfer",
        "amount": 10000000,
        "currency": "IDR",
        "card": _CARD,
        "source_account": "1234567890",
        "destination_account": "9876543210",
        "lane": "1234567890",
    },
    "bill payment": {
        "operation": "bill_payment",
        "amount": 23450000,
        "currency": "IDR",
        "card": _CARD,
        "source_account": "1234567890",
        "biller": "PLN",
        "customer_number": "532100012345",
        "priority": 3,
        "metadata": {"branch": "Menteng"},
    },
}

_KEY: Final = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": r"^[\x20-\x2B\x2D-\x7E]+$"},
    OpenApiParameter.HEADER,
    required=True,
    description="Yours, one for each payment: repeating it with the same body never pays twice.",
)
_PREFER: Final = OpenApiParameter(
    "Prefer",
    {"type": "string"},
    OpenApiParameter.HEADER,
    description="`wait=N` waits up to N seconds, 60 at most, for the payment's end. It is a wish.",
    examples=[OpenApiExample("wait for the end", value="wait=30")],
)
_LISTING: Final = [
    OpenApiParameter("status", {"type": "string", "enum": [status.value for status in Status]}),
    OpenApiParameter("operation", {"type": "string", "enum": [operation.value for operation in Operation]}),
    OpenApiParameter("reference", {"type": "string"}),
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 25}),
    OpenApiParameter("cursor", {"type": "string"}, description="From `next` of the page before."),
]

_PROBLEMS: Final = {
    400: "The request cannot be understood.",
    401: "No key, or not a valid one.",
    403: "The key lacks the scope.",
    404: "There is no such payment of yours.",
    405: "Not that method.",
    406: "No such form of the answer.",
    409: "The payment's state does not allow it.",
    413: f"The body has more than {MAX_BODY} bytes.",
    415: "The body is not application/json.",
    422: "The request does not validate, or the key stands for another body.",
    429: "Too many requests; wait for Retry-After.",
    503: "Not now; wait for Retry-After and repeat with the same key.",
}


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """How callers say who they are."""

    target_class = "transactions.api.auth.BearerKey"
    name = "apiKey"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        """An API key as a bearer token."""
        return {"type": "http", "scheme": "bearer"}


def add_components(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Put our shapes among the document's components."""
    result.setdefault("components", {}).setdefault("schemas", {}).update(_COMPONENTS)
    return result


_ACCEPTED: Final = {200: "It has ended.", 202: "It is carried; not final yet."}

Documented = Callable[[Any], Any]


def accepting() -> Documented:
    """Describe posting a payment."""
    return extend_schema(
        operation_id="createPayment",
        summary="Post a payment",
        description="It is durable when the answer comes. 200 has its end, 202 says where to look for it.",
        parameters=[_KEY, _PREFER],
        request={"application/json": _shape(PaymentIn)},
        examples=[OpenApiExample(name, value=value, request_only=True) for name, value in EXAMPLES.items()],
        responses=_answers(
            {200: "It has ended.", 202: "It is carried; not final yet."}, PaymentOut, 400, 413, 415, 422, 429, 503
        ),
    )


def listing() -> Documented:
    """Describe listing payments."""
    return extend_schema(
        operation_id="listPayments",
        summary="List payments, newest first",
        parameters=_LISTING,
        responses=_answers({200: "One page."}, PageOut, 400, 429, 503),
    )


def showing() -> Documented:
    """Describe reading a payment."""
    return extend_schema(
        operation_id="getPayment",
        summary="Read a payment",
        responses=_answers({200: "The payment as it is now."}, PaymentOut, 404, 429, 503),
    )


def telling() -> Documented:
    """Describe reading a payment's events."""
    return extend_schema(
        operation_id="listPaymentEvents",
        summary="Read all that happened to a payment",
        responses=_answers({200: "Its events, first to last."}, EventsOut, 404, 429, 503),
    )


def cancelling() -> Documented:
    """Describe cancelling a payment."""
    return extend_schema(
        operation_id="cancelPayment",
        summary="Cancel a payment of which nothing was sent",
        description="Repeating it is harmless. 409 once it was taken for the bank.",
        request=None,
        responses=_answers({200: "It is cancelled."}, PaymentOut, 404, 409, 429, 503),
    )


def _shape(struct: type) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{struct.__name__}"}


def _answers(good: Mapping[int, str], struct: type, *problems: int) -> dict[Any, Any]:
    answers: dict[Any, Any] = {
        (status, "application/json"): OpenApiResponse(_shape(struct), description)
        for status, description in good.items()
    }
    for status in sorted({*problems, 401, 403, 405, 406}):
        answers[status, MEDIA_TYPE] = OpenApiResponse(_shape(Problem), _PROBLEMS[status])
    return answers
