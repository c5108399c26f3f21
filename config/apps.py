"""Django's handle on the composition: once the apps are ready, tasks and rings have their Celery."""

from django.apps import AppConfig


class ConfigConfig(AppConfig):
    """Makes the Celery application current in every process that runs Django."""

    name = "config"

    def ready(self) -> None:
        """Import it for its effect."""
        import config.celery  # noqa: F401, PLC0415  (needs the apps)
