"""The database's disk is full: clients are told to come back, nothing is half accepted, and it goes on by itself."""

import shutil
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from config import embedded
from tests.acceptance.faults.conftest import running_on
from tests.faults.services import Services, services
from tests.faults.small_disk import IS_POSSIBLE, Disk, small_disk
from tests.faults.stack import ProxiedFerry
from tests.stack import wait_until

pytestmark = pytest.mark.skipif(not IS_POSSIBLE, reason="only root mounts a disk of its own")

MEGABYTES = 256
TILLS = 8


@dataclass(slots=True)
class Tills:
    """Clients that post under keys of their own, and what each was told."""

    ferry: ProxiedFerry
    accepted: dict[str, str] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)

    def post(self, key: str) -> httpx.Response:
        with self.ferry.client(**{"Idempotency-Key": key}) as client:
            answer = client.post("/payments", json=self.ferry.purchase(100, expires_in=3600))
        if answer.status_code == 202:
            self.accepted[key] = answer.json()["id"]
        else:
            assert answer.status_code == 503, answer.text
            assert int(answer.headers["Retry-After"]) > 0
            self.refused.add(key)
        return answer

    def post_some(self) -> int:
        """Each posts once; returns how many were refused."""
        with ThreadPoolExecutor(TILLS) as pool:
            answers = pool.map(self.post, [str(uuid.uuid4()) for _ in range(TILLS)])
        return sum(answer.status_code == 503 for answer in answers)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[embedded.Place]:
    place = embedded.place_at(tmp_path / "services")
    shutil.rmtree(place.state, ignore_errors=True)
    yield place
    shutil.rmtree(place.state)


@pytest.fixture
def disk(place: embedded.Place) -> Iterator[Disk]:
    with small_disk(place.state / "postgres", MEGABYTES) as disk:
        yield disk


@pytest.fixture
def own(tmp_path: Path, disk: Disk) -> Iterator[Services]:
    with services(tmp_path / "services") as running:
        yield running


@pytest.fixture
def ferry(tmp_path: Path, own: Services) -> Iterator[ProxiedFerry]:
    """Everything running, on a small disk."""
    tmp_path.chmod(0o755)
    with running_on(own, tmp_path / "state") as ferry:
        yield ferry


def test_clients_are_refused_until_there_is_room_again(ferry: ProxiedFerry, own: Services, disk: Disk) -> None:
    tills = Tills(ferry)
    tills.post_some()
    ferry.wait_until_ended(20)

    def is_refused() -> bool:
        disk.fill()  # again: a checkpoint, or its recovery, gives back a little
        return tills.post_some() == TILLS

    wait_until(is_refused, 30, "everybody is refused")
    assert is_refused(), "and goes on to be"
    disk.free()

    def is_back() -> bool:
        own.keep("postgres")
        if not ferry.processes["link"].is_running:
            ferry.start("link")  # without a renewal its lease ran out: a supervisor's turn
        return tills.post_some() == 0

    refused = set(tills.refused)
    wait_until(is_back, 30, "everybody is accepted")
    ferry.wait_until_ended(40)
    known = {row.key: row.id for row in ferry.sql("SELECT idempotency_key AS key, id::text FROM transactions_payment")}
    assert known == tills.accepted
    assert ferry.statuses().keys() <= {"approved", "reversed"}

    for key in refused:
        assert tills.post(key).status_code == 202
    ferry.wait_until_ended(40)
    assert sum(ferry.statuses().values()) == len(tills.accepted)
    ferry.everything_holds()
