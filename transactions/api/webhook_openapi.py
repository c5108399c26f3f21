"""What the API's document says of webhooks."""

from typing import Final

from drf_spectacular.utils import OpenApiExample, OpenApiParameter

from transactions.api.openapi import Documented, described, shape
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
from transactions.models import WebhookDelivery

_HOW: Final = (
    "Messages follow Standard Webhooks: `webhook-id` stays the same however often one is sent, `webhook-timestamp` is "
    "when it was, `webhook-signature` is made with the secret, and with the one before while that is good. A message "
    "has `type`, `timestamp` and `data`, the payment as this API shows it. It is sent once its payment's end is "
    "committed, again for three days until a 2xx answers it, and in no promised order: compare `version`. 410 "
    "disables the endpoint, as do three days without a success."
)
_EXAMPLES: Final = {
    "every end": {"url": "https://shop.example.com/ferryman", "description": "the web shop"},
    "only what failed": {
        "url": "https://shop.example.com/ferryman",
        "event_types": ["payment.declined", "payment.expired", "payment.failed"],
    },
}
_PAGING: Final = [
    OpenApiParameter("state", {"type": "string", "enum": list(WebhookDelivery.State.values)}),
    OpenApiParameter("cursor", {"type": "string"}, description="From `next` of the page before."),
]


def creating() -> Documented:
    """Describe making an endpoint."""
    return described(
        "createWebhookEndpoint",
        "Make a webhook endpoint",
        {201: "It is told of every payment that ends from now on. The secret is shown this once."},
        EndpointMadeOut,
        (400, 409, 413, 415, 422),
        description=_HOW,
        request={"application/json": shape(EndpointIn)},
        examples=[OpenApiExample(name, value=value, request_only=True) for name, value in _EXAMPLES.items()],
    )


def listing() -> Documented:
    """Describe listing endpoints."""
    return described("listWebhookEndpoints", "List webhook endpoints", {200: "All of them."}, EndpointsOut)


def showing() -> Documented:
    """Describe reading an endpoint."""
    return described("getWebhookEndpoint", "Read a webhook endpoint", {200: "As it is now."}, EndpointOut, (404,))


def changing() -> Documented:
    """Describe changing an endpoint."""
    return described(
        "changeWebhookEndpoint",
        "Change, disable or enable a webhook endpoint",
        {200: "As it is now. What waited for a disabled endpoint is given up."},
        EndpointOut,
        (400, 404, 413, 415, 422),
        request={"application/json": shape(EndpointChangeIn)},
        examples=[OpenApiExample("enable again", value={"enabled": True}, request_only=True)],
    )


def deleting() -> Documented:
    """Describe deleting an endpoint."""
    return described("deleteWebhookEndpoint", "Delete a webhook endpoint", {204: "Gone."}, None, (404,))


def rotating() -> Documented:
    """Describe a new secret."""
    return described(
        "rotateWebhookSecret",
        "Give a webhook endpoint a new secret",
        {200: "The new secret, shown this once; the one before signs as well for the overlap."},
        EndpointMadeOut,
        (400, 404, 413, 415, 422),
        request={"application/json": shape(RotationIn)},
        examples=[OpenApiExample("an hour to change over", value={"overlap_seconds": 3600}, request_only=True)],
    )


def testing() -> Documented:
    """Describe a test message."""
    return described(
        "testWebhookEndpoint",
        "Send a test message",
        {202: "It is on its way; its delivery says what comes of it."},
        DeliveryOut,
        (404, 409),
        request=None,
    )


def delivering() -> Documented:
    """Describe listing deliveries."""
    return described(
        "listWebhookDeliveries",
        "List what was sent to a webhook endpoint, newest first, with every try",
        {200: "One page."},
        DeliveriesOut,
        (400, 404),
        parameters=_PAGING,
    )


def resending() -> Documented:
    """Describe sending again."""
    return described(
        "resendWebhook",
        "Send a webhook once more",
        {202: "It is on its way, with the same webhook-id."},
        DeliveryOut,
        (404, 409),
        request=None,
    )
