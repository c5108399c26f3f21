"""The database's machine is gone without a word: whoever asked it knows within seconds, and so does it."""

import time
from collections.abc import Iterator
from functools import partial

import psycopg
import pytest

from tests.faults.namespace import Network, NoNetwork, network
from tests.faults.services import services
from tests.stack import PYTHON, Stack, wait_until

NOTICED_WITHIN_S = 6.5
ASKING = ("pages_and_workers", "lease", "link", "listening")
LOCKED = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 8583"


@pytest.fixture(scope="module")
def cable() -> Iterator[Network]:
    try:
        with network() as made:
            yield made
    except NoNetwork as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory, cable: Network) -> Iterator[Stack]:
    """A database on another machine."""
    folder = tmp_path_factory.mktemp("elsewhere")
    folder.chmod(0o755)
    with services(folder / "services", cable) as running:
        stack = Stack(folder / "state", running.place.database_url, running.place.broker_url)
        yield stack
        stack.stop()


def test_everybody_who_asks_notices_and_nothing_stays_locked(elsewhere: Stack, cable: Network) -> None:
    url = f"postgres://ferryman@{cable.database}:5432/ferryman"
    usual = {"DATABASE_URL": url, "DATABASE_DIRECT_URL": url, "DATABASE_POOL": "2"}
    asking = {
        way: elsewhere.spawn(
            way,
            [*cable.at_holder, PYTHON, "-m", "tests.faults.asking", way],
            DJANGO_SETTINGS_MODULE="config.settings",
            **usual,
        )
        for way in (*ASKING, "locks")
    }
    for way, process in asking.items():
        wait_until(lambda process=process: "asking" in process.log.read_text(), 30, f"{way} asks")  # type: ignore[misc]

    with psycopg.connect(elsewhere.database_url, autocommit=True) as here:
        assert here.execute(LOCKED).fetchone()
        cable.cut("both directions")
        cut = time.monotonic()
        try:
            left = partial(_left, cut + NOTICED_WITHIN_S)
            for way in ASKING:
                log = asking[way].log
                wait_until(lambda log=log: "lost" in log.read_text(), left(), f"{way} noticed")  # type: ignore[misc]
            wait_until(lambda: not here.execute(LOCKED).fetchone(), left(), "what was locked is free")
        finally:
            cable.heal()


def _left(deadline: float) -> float:
    return max(0.0, deadline - time.monotonic())
