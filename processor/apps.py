"""Django's handle on the package."""

from django.apps import AppConfig


class ProcessorConfig(AppConfig):
    """The package as a Django app."""

    name = "processor"
    verbose_name = "Bank"
