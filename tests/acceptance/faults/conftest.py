"""Ferries with a proxy before their host, and ferries with a database and a broker of their own."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.acceptance.conftest import PATIENCE_S, purge
from tests.faults.services import Services, services
from tests.faults.stack import ProxiedFerry
from tests.stack import Stack, fresh_database

SETTINGS = {"BACKLOG_LIMIT": "100000", "RECOVERY_SECONDS": "2", "CACHE_SECONDS": "1"}


def set_off(ferry: ProxiedFerry, *more: str) -> None:
    """Start everything, with little patience for the host."""
    ferry.sql(
        "UPDATE processor_link SET answer_timeout_s = %s, echo_interval_s = 2, echo_timeout_s = 2, breaker_open_s = 2",
        PATIENCE_S,
    )
    ferry.start("simulator", "proxy", "web", "worker", "link", "beat", *more)
    ferry.wait_until_up()
    ferry.control("PUT", "/settings", {"client_waits_s": float(PATIENCE_S)})


@pytest.fixture
def proxied(tmp_path: Path, prepared: Stack) -> Iterator[ProxiedFerry]:
    """Everything running, behind a proxy."""
    tmp_path.chmod(0o755)
    with fresh_database(os.environ["DATABASE_URL"], copied_from=prepared.database_url) as database_url:
        ferry = ProxiedFerry(tmp_path / "state", database_url, prepared.broker_url, settings=dict(SETTINGS))
        ferry.api_key, ferry.proxy_port = prepared.api_key, prepared.simulator_port
        purge(ferry.broker_url)
        try:
            set_off(ferry)
            yield ferry
        finally:
            ferry.stop()


@contextmanager
def running_on(services: Services, folder: Path, database_url: str = "", **settings: str) -> Iterator[ProxiedFerry]:
    """Everything prepared and running behind a proxy, on these services: in a database of them, or in their own."""
    place = services.place
    ferry = ProxiedFerry(folder, database_url or place.database_url, place.broker_url, settings=SETTINGS | settings)
    purge(ferry.broker_url)
    ferry.prepare()
    try:
        set_off(ferry)
        yield ferry
    finally:
        ferry.stop()


@pytest.fixture(scope="package")
def own_services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A database and a broker that may be hurt without hurting other tests."""
    folder = tmp_path_factory.mktemp("services")
    folder.chmod(0o755)
    with services(folder) as running:
        yield running


@pytest.fixture
def served(tmp_path: Path, own_services: Services) -> Iterator[ProxiedFerry]:
    """Everything running, on services of its own, behind a proxy."""
    tmp_path.chmod(0o755)
    with (
        fresh_database(own_services.place.database_url) as database_url,
        running_on(own_services, tmp_path / "state", database_url) as ferry,
    ):
        yield ferry
