"""Django's handle on the package."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ProcessorConfig(AppConfig):
    """The package as a Django app."""

    name = "processor"
    verbose_name = _("Bank")

    def ready(self) -> None:
        """Say which requests links know, once the models are there."""
        from processor import ordering, rekeying  # noqa: PLC0415
        from staff import requests  # noqa: PLC0415

        requests.register(*ordering.kinds(), *rekeying.kinds())
