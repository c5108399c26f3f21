"""What the API's document says: shapes from the msgspec structs, examples that work when pasted."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema

from transactions.api.batches import BatchIn, BatchOut
from transactions.api.examples import BATCH_EXAMPLE, EXAMPLES, FOLLOW_UP_EXAMPLES
from transactions.api.followups import FOLLOW_UPS
from transactions.api.link_shapes import LINK_SHAPES
from transactions.api.problems import MEDIA_TYPE, Problem
from transactions.api.rendering import MAX_BATCH, MAX_BODY
from transactions.api.responses import EventsOut, PageOut
from transactions.api.serializers import PaymentIn
from transactions.api.webhook_shapes import (
    DeliveriesOut,
    DeliveryOut,
    EndpointChangeIn,
    EndpointIn,
    EndpointMadeOut,
    EndpointOut,
    EndpointsOut,
    RotationIn,
)
from transactions.domain.money import MAX_AMOUNT
from transactions.domain.values import Operation, Status
from transactions.showing import PaymentOut

_SHAPES: Final = (
    *LINK_SHAPES,
    PaymentIn,
    BatchIn,
    BatchOut,
    *FOLLOW_UPS.values(),
    PaymentOut,
    PageOut,
    EventsOut,
    Problem,
    EndpointIn,
    EndpointChangeIn,
    EndpointOut,
    EndpointMadeOut,
    EndpointsOut,
    RotationIn,
    DeliveryOut,
    DeliveriesOut,
)
_, _COMPONENTS = msgspec.json.schema_components(_SHAPES, ref_template="#/components/schemas/{name}")

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
_MINOR: Final = {"type": "integer", "minimum": 0, "maximum": MAX_AMOUNT}
_MOMENT: Final = {"type": "string", "format": "date-time"}
_LISTING: Final = [
    OpenApiParameter("status", {"type": "string", "enum": [status.value for status in Status]}),
    OpenApiParameter("operation", {"type": "string", "enum": [operation.value for operation in Operation]}),
    OpenApiParameter("currency", {"type": "string", "pattern": "^[A-Z]{3}$"}),
    OpenApiParameter("link", {"type": "string"}),
    OpenApiParameter("lane", {"type": "string"}),
    OpenApiParameter("reference", {"type": "string"}),
    OpenApiParameter("idempotency_key", {"type": "string"}),
    OpenApiParameter("card_last4", {"type": "string", "pattern": "^[0-9]{4}$"}),
    OpenApiParameter("original", {"type": "string", "format": "uuid"}, description="What follows that payment."),
    OpenApiParameter("amount_from", _MINOR, description="In minor units, it included."),
    OpenApiParameter("amount_to", _MINOR, description="In minor units, it included."),
    OpenApiParameter("created_from", _MOMENT, description="Accepted then or later."),
    OpenApiParameter("created_to", _MOMENT, description="Accepted before that."),
    OpenApiParameter("limit", {"type": "integer", "minimum": 1, "maximum": 100, "default": 25}),
    OpenApiParameter("cursor", {"type": "string"}, description="From `next` of the page before."),
]

_PROBLEMS: Final = {
    400: "The request cannot be understood.",
    401: "No key, or not a valid one.",
    403: "The key lacks the scope.",
    404: "There is no such thing of yours.",
    405: "Not that method.",
    406: "No such form of the answer.",
    409: "Its state does not allow it.",
    412: "The link has another version by now.",
    413: f"The body has more than {MAX_BODY} bytes, or that of a batch more than {MAX_BATCH}.",
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
        request={"application/json": shape(PaymentIn)},
        examples=[OpenApiExample(name, value=value, request_only=True) for name, value in EXAMPLES.items()],
        responses=answers(_ACCEPTED, PaymentOut, 400, 413, 415, 422, 429, 503),
    )


_FOLLOWING: Final = {
    Operation.CAPTURE: (
        "Capture an authorised payment, or a part of it",
        (
            "Parts may follow each other up to the amount authorised. A capture tells the bank what happened, so it is "
            "repeated until the bank has taken it, and does not expire."
        ),
    ),
    Operation.REFUND: (
        "Refund a payment, or a part of it",
        (
            "Several may follow each other up to what was paid: the amount of a purchase or bill payment, or what was "
            "captured of an authorisation."
        ),
    ),
    Operation.VOID: (
        "Void a payment as a whole",
        "Of what nothing was captured or refunded yet. It is repeated until the bank answers, and does not expire.",
    ),
}


def following(operation: Operation) -> Documented:
    """Describe posting what follows a payment."""
    summary, description = _FOLLOWING[operation]
    return extend_schema(
        operation_id=f"{operation.value}Payment",
        summary=summary,
        description=f"{description} It is a payment of its own, with its own key and end, whose `original` is this "
        "one. What was asked for and has not ended counts as done; what ended otherwise is free again.",
        parameters=[_KEY, _PREFER],
        request={"application/json": shape(FOLLOW_UPS[operation])},
        examples=[
            OpenApiExample(name, value=value, request_only=True)
            for name, value in FOLLOW_UP_EXAMPLES[operation].items()
        ],
        responses=answers(_ACCEPTED, PaymentOut, 400, 404, 409, 413, 415, 422, 429, 503),
    )


def batching() -> Documented:
    """Describe posting many payments."""
    return extend_schema(
        operation_id="createPayments",
        summary="Post up to 1,000 payments at once",
        description="Each has its own `idempotency_key` and its own result, in its place of `items`: what it would "
        "have been answered alone. What is refused stops no other. 200 is the answer to the batch, whatever came of "
        f"its payments; repeating it with the same keys never pays twice. A body has at most {MAX_BATCH} bytes.",
        request={"application/json": shape(BatchIn)},
        examples=[OpenApiExample("two payments", value=BATCH_EXAMPLE, request_only=True)],
        responses=answers({200: "What came of each."}, BatchOut, 400, 413, 415, 422, 503),
    )


def listing() -> Documented:
    """Describe listing payments."""
    return extend_schema(
        operation_id="listPayments",
        summary="List payments, newest first",
        description="All filters hold together. A page may be short, or empty, where there is more: looking on takes "
        "its time, so go on with `next` until it is null.",
        parameters=_LISTING,
        responses=answers({200: "One page."}, PageOut, 400, 429, 503),
    )


def showing() -> Documented:
    """Describe reading a payment."""
    return extend_schema(
        operation_id="getPayment",
        summary="Read a payment",
        responses=answers({200: "The payment as it is now."}, PaymentOut, 404, 429, 503),
    )


def telling() -> Documented:
    """Describe reading a payment's events."""
    return extend_schema(
        operation_id="listPaymentEvents",
        summary="Read all that happened to a payment",
        responses=answers({200: "Its events, first to last."}, EventsOut, 404, 429, 503),
    )


def cancelling() -> Documented:
    """Describe cancelling a payment."""
    return extend_schema(
        operation_id="cancelPayment",
        summary="Cancel a payment of which nothing was sent",
        description="Repeating it is harmless. 409 once it was taken for the bank.",
        request=None,
        responses=answers({200: "It is cancelled."}, PaymentOut, 404, 409, 429, 503),
    )


def shape(struct: type) -> dict[str, str]:
    """Return the reference to one of our shapes."""
    return {"$ref": f"#/components/schemas/{struct.__name__}"}


def described(
    operation: str,
    summary: str,
    good: Mapping[int, str],
    struct: type | None,
    problems: Sequence[int] = (),
    **more: Any,
) -> Documented:
    """Describe an operation with its good answers and its problems; `more` as extend_schema takes it."""
    responses = answers(good, struct, 429, 503, *problems)
    return extend_schema(operation_id=operation, summary=summary, responses=responses, **more)


def answers(good: Mapping[int, str], struct: type | None, *problems: int) -> dict[Any, Any]:
    """Return the answers of an address: the good ones, and the problems that it may have besides the usual ones."""
    described: dict[Any, Any] = {}
    for status, description in good.items():
        body = OpenApiResponse(shape(struct) if struct else None, description)
        described[(status, "application/json") if struct else status] = body
    for status in sorted({*problems, 401, 403, 405, 406}):
        described[status, MEDIA_TYPE] = OpenApiResponse(shape(Problem), _PROBLEMS[status])
    return described
