"""Addresses under /api/v1/."""

from django.urls import path

from transactions.api.views import CancelView, EventsView, PaymentsView, PaymentView

urlpatterns = [
    path("payments", PaymentsView.as_view(), name="payments"),
    path("payments/<uuid:payment_id>", PaymentView.as_view(), name="payment"),
    path("payments/<uuid:payment_id>/events", EventsView.as_view(), name="payment-events"),
    path("payments/<uuid:payment_id>/cancel", CancelView.as_view(), name="payment-cancel"),
]
