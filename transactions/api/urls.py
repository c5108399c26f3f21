"""Addresses under /api/v1/."""

from django.urls import path

from transactions.api.links import CommandsView, CommandView, ConfigurationView, LinksView, LinkView
from transactions.api.views import (
    BatchView,
    CancelView,
    CaptureView,
    EventsView,
    PaymentsView,
    PaymentView,
    RefundView,
    VoidView,
)
from transactions.api.webhooks import (
    DeliveriesView,
    EndpointsView,
    EndpointView,
    ResendView,
    RotationView,
    TrialView,
)

_LINK = "links/<slug:name>"
_ENDPOINT = "webhook-endpoints/<uuid:endpoint_id>"

urlpatterns = [
    path("payments", PaymentsView.as_view(), name="payments"),
    path("payments/batch", BatchView.as_view(), name="payments-batch"),
    path("payments/<uuid:payment_id>", PaymentView.as_view(), name="payment"),
    path("payments/<uuid:payment_id>/events", EventsView.as_view(), name="payment-events"),
    path("payments/<uuid:payment_id>/cancel", CancelView.as_view(), name="payment-cancel"),
    path("payments/<uuid:payment_id>/capture", CaptureView.as_view(), name="payment-capture"),
    path("payments/<uuid:payment_id>/refund", RefundView.as_view(), name="payment-refund"),
    path("payments/<uuid:payment_id>/void", VoidView.as_view(), name="payment-void"),
    path("links", LinksView.as_view(), name="links"),
    path(_LINK, LinkView.as_view(), name="link"),
    path(f"{_LINK}/config", ConfigurationView.as_view(), name="link-config"),
    path(f"{_LINK}/commands", CommandsView.as_view(), name="link-commands"),
    path(f"{_LINK}/commands/<int:command_id>", CommandView.as_view(), name="link-command"),
    path("webhook-endpoints", EndpointsView.as_view(), name="webhook-endpoints"),
    path(_ENDPOINT, EndpointView.as_view(), name="webhook-endpoint"),
    path(f"{_ENDPOINT}/rotate-secret", RotationView.as_view(), name="webhook-rotation"),
    path(f"{_ENDPOINT}/test", TrialView.as_view(), name="webhook-test"),
    path(f"{_ENDPOINT}/deliveries", DeliveriesView.as_view(), name="webhook-deliveries"),
    path(f"{_ENDPOINT}/deliveries/<int:delivery_id>/resend", ResendView.as_view(), name="webhook-resend"),
]
