"""The shapes of webhook endpoints and deliveries: what a client sends, and what it is shown."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import Meta, Struct

from transactions.api.checking import FieldError, Unacceptable, parse
from transactions.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from transactions.outbox import EVENT_TYPES
from transactions.webhooks.endpoints import USUAL_OVERLAP, Wanted, unknown_types
from transactions.webhooks.signing import webhook_id

_TYPES: Final = f"Of {', '.join(EVENT_TYPES)}; none means all."
_LONGEST_OVERLAP_S: Final = 7 * 86_400

Url = Annotated[
    str, Meta(min_length=1, max_length=2048, description="An https URL; no private address, no user name, no fragment.")
]
EventTypes = Annotated[list[str], Meta(max_length=20, description=_TYPES)]
Description = Annotated[str, Meta(max_length=200, description="Your own words.")]


class EndpointIn(Struct, forbid_unknown_fields=True, frozen=True):
    """Where to tell of payments that end."""

    url: Url
    event_types: EventTypes = []
    description: Description = ""

    def wanted(self) -> Wanted:
        """Return what the service takes."""
        return Wanted(self.url, self.event_types, self.description)


class EndpointChangeIn(Struct, forbid_unknown_fields=True, frozen=True):
    """What to change of an endpoint; what is left out stays."""

    url: Url | None = None
    event_types: EventTypes | None = None
    description: Description | None = None
    enabled: Annotated[bool, Meta(description="False tells nothing there; true begins anew.")] | None = None

    def changes(self) -> Mapping[str, Any]:
        """Return what is changed of its columns."""
        given = {"url": self.url, "event_types": self.event_types, "description": self.description}
        return {name: value for name, value in given.items() if value is not None}


class RotationIn(Struct, forbid_unknown_fields=True, frozen=True):
    """How a secret is replaced."""

    overlap_seconds: Annotated[
        int, Meta(ge=0, le=_LONGEST_OVERLAP_S, description="How long the one before signs as well.")
    ] = int(USUAL_OVERLAP / timedelta(seconds=1))

    @property
    def overlap(self) -> timedelta:
        """How long both are good."""
        return timedelta(seconds=self.overlap_seconds)


class EndpointOut(Struct, frozen=True, kw_only=True):
    """A webhook endpoint."""

    id: UUID
    url: str
    event_types: list[str]
    description: str
    enabled: bool
    disabled_at: datetime | None
    disabled_reason: Annotated[str | None, Meta(description="by_client, by_staff, gone or failing.")]
    failing_since: Annotated[datetime | None, Meta(description="Since when nothing was taken there.")]
    quiet_until: Annotated[datetime | None, Meta(description="Until when it asked by Retry-After to be sent nothing.")]
    previous_secret_until: Annotated[datetime | None, Meta(description="How long the secret before signs as well.")]
    created_at: datetime
    updated_at: datetime


class EndpointMadeOut(EndpointOut, frozen=True, kw_only=True):
    """A webhook endpoint with its new secret, shown this once."""

    secret: str


class EndpointsOut(Struct, frozen=True):
    """A merchant's webhook endpoints."""

    items: list[EndpointOut]


class AttemptOut(Struct, frozen=True, kw_only=True):
    """One try to deliver."""

    number: int
    at: datetime
    duration_ms: int
    response_code: int | None
    error: Annotated[str | None, Meta(description="What went wrong where no answer came, as one word.")]
    answer: Annotated[str | None, Meta(description="How the answer began, card numbers masked.")]


class DeliveryOut(Struct, frozen=True, kw_only=True):
    """A message to an endpoint, and every try to deliver it."""

    id: int
    webhook_id: str
    type: str
    payment: UUID | None
    version: int | None
    state: Annotated[str, Meta(description="pending, sending; final: delivered, exhausted.")]
    next_at: Annotated[datetime | None, Meta(description="When it is tried next.")]
    created_at: datetime
    ended_at: datetime | None
    attempts: list[AttemptOut]


class DeliveriesOut(Struct, frozen=True):
    """One page of deliveries, newest first."""

    items: list[DeliveryOut]
    next: Annotated[str | None, Meta(description="Address of the next page; null on the last.")]


def parse_endpoint(body: Any) -> EndpointIn:
    """Return the endpoint a body asks for; raises Unacceptable."""
    wanted = parse(body, EndpointIn)
    _check_types(wanted.event_types)
    return wanted


def parse_change(body: Any) -> EndpointChangeIn:
    """Return the changes a body asks for; raises Unacceptable."""
    wanted = parse(body, EndpointChangeIn)
    _check_types(wanted.event_types or [])
    return wanted


def endpoint_out(endpoint: WebhookEndpoint) -> EndpointOut:
    """Return an endpoint as its merchant sees it."""
    return EndpointOut(**_shown(endpoint))


def endpoint_made_out(endpoint: WebhookEndpoint, secret: str) -> EndpointMadeOut:
    """Return an endpoint with its secret."""
    return EndpointMadeOut(**_shown(endpoint), secret=secret)


def deliveries_out(deliveries: Sequence[WebhookDelivery]) -> list[DeliveryOut]:
    """Return deliveries, read with their messages, with all their tries."""
    tries: dict[int, list[AttemptOut]] = {}
    for attempt in WebhookAttempt.objects.filter(delivery__in=[one.pk for one in deliveries]).order_by("id"):
        tries.setdefault(attempt.delivery_id, []).append(_attempt_out(attempt))
    return [_delivery_out(delivery, tries.get(delivery.pk, [])) for delivery in deliveries]


def _check_types(event_types: Sequence[str]) -> None:
    if unknown_types(event_types):
        raise Unacceptable([FieldError("/event_types", "choice", f"Each is one of: {', '.join(EVENT_TYPES)}.")])


def _shown(endpoint: WebhookEndpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "event_types": endpoint.event_types,
        "description": endpoint.description,
        "enabled": endpoint.disabled_at is None,
        "disabled_at": endpoint.disabled_at,
        "disabled_reason": endpoint.disabled_reason or None,
        "failing_since": endpoint.failing_since,
        "quiet_until": endpoint.quiet_until,
        "previous_secret_until": endpoint.previous_until,
        "created_at": endpoint.created_at,
        "updated_at": endpoint.updated_at,
    }


def _attempt_out(attempt: WebhookAttempt) -> AttemptOut:
    return AttemptOut(
        number=attempt.number,
        at=attempt.at,
        duration_ms=attempt.duration_ms,
        response_code=attempt.response_code,
        error=attempt.error or None,
        answer=attempt.answer or None,
    )


def _delivery_out(delivery: WebhookDelivery, attempts: list[AttemptOut]) -> DeliveryOut:
    message = delivery.message
    return DeliveryOut(
        id=delivery.pk,
        webhook_id=webhook_id(message.id),
        type=message.type,
        payment=message.payment_id,
        version=message.version,
        state=delivery.state,
        next_at=delivery.next_at if delivery.state == "pending" else None,
        created_at=delivery.created_at,
        ended_at=delivery.ended_at,
        attempts=attempts,
    )
