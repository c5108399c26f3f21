"""Django's handle on the package."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.translation import gettext_lazy as _


class StaffConfig(AppConfig):
    """The package as a Django app."""

    name = "staff"
    verbose_name = _("Who")

    def ready(self) -> None:
        """Begin to listen, once the models are there."""
        from staff import people, requests, roles, watching  # noqa: PLC0415

        requests.register(*people.kinds())
        watching.listen()
        post_migrate.connect(roles.establish, sender=self, dispatch_uid="staff.roles")
