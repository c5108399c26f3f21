"""Django's handle on the package."""

from django.apps import AppConfig


class TransactionsConfig(AppConfig):
    """The package as a Django app."""

    name = "transactions"
    verbose_name = "Payments"
