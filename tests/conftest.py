"""What many tests share."""

from collections.abc import Iterator
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings
from django.db import connection
from django.test.utils import setup_databases, teardown_databases
from hypothesis import settings as hypothesis_settings
from pytest_django import DjangoDbBlocker

from queueing import doorbell

hypothesis_settings.register_profile("here", deadline=None, derandomize=True, max_examples=100)
hypothesis_settings.load_profile("here")


@pytest.fixture(autouse=True)
def rings(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float]]:
    """Hear the doorbell instead of ringing it: (queue, after how many seconds)."""
    heard: list[tuple[str, float]] = []

    class Listening:
        """In place of the process's own."""

        def ring(self, queue: str, after_s: float = 0.0) -> None:
            """Write it down."""
            heard.append((queue, after_s))

    monkeypatch.setattr(doorbell, "_doorbell", Listening())
    return heard


@pytest.fixture(scope="session")
def django_db_setup(django_test_environment: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """One migrated test database for the session, for tests that commit as for those that do not."""
    with django_db_blocker.unblock():
        made = setup_databases(verbosity=0, interactive=False)
    parts = urlsplit(settings.DATABASE_DIRECT_URL)
    settings.DATABASE_DIRECT_URL = urlunsplit(parts._replace(path=f"/{connection.settings_dict['NAME']}"))
    yield
    with django_db_blocker.unblock():
        with connection.cursor() as cursor:
            # The process's own LISTEN connection lives as long as the process.
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        teardown_databases(made, verbosity=0)
