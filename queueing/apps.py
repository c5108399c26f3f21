"""Django's handle on the package."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class QueueingConfig(AppConfig):
    """The package as a Django app."""

    name = "queueing"
    verbose_name = _("Queue")
