"""Django's handle on the package."""

from django.apps import AppConfig


class QueueingConfig(AppConfig):
    """The package as a Django app."""

    name = "queueing"
    verbose_name = "Queue"
