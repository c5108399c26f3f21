"""Django's handle on the package."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class TransactionsConfig(AppConfig):
    """The package as a Django app."""

    name = "transactions"
    verbose_name = _("Payments")

    def ready(self) -> None:
        """Say which requests payments know, once the models are there."""
        from staff import requests  # noqa: PLC0415
        from transactions import actions, api_keys, bulk, rerouting  # noqa: PLC0415

        requests.register(*actions.kinds(), *bulk.kinds(), *api_keys.kinds(), *rerouting.kinds())
