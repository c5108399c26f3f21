"""A process dies at each of the places where it may: every payment has its one end, and the books agree."""

import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from queueing.failpoints import DIED
from tests.acceptance.conftest import Ferry
from tests.stack import Process, wait_until

PATIENCE_S = 30
ENDS = {"approved", "reversed"}
OURS = ("web", "worker", "link", "beat")


def started_to_die(ferry: Ferry, victim: str, place: str, count: int) -> Process:
    """Start a process anew that will die when it comes to a place for the count-th time."""
    if ferry.processes[victim].is_running:
        ferry.processes[victim].kill()
    ferry.settings["FAILPOINTS"] = f"{place}:exit:{count}"
    ferry.start(victim)
    del ferry.settings["FAILPOINTS"]
    return ferry.processes[victim]


@pytest.mark.parametrize(
    ("victim", "places"),
    [
        ("worker", [("encoding", 3), ("dispatched", 3), ("before_a_ring", 2), ("after_a_ring", 2)]),
        ("worker", [("before_outcome", 2), ("outcome_committed", 2)]),
        ("link", [("dispatched_before_take", 2), ("taken_before_write", 2), ("written", 2)]),
        ("link", [("half_written", 6)]),
        ("link", [("read_before_filing", 3), ("filed", 2)]),
    ],
)
def test_every_payment_ends_although_a_process_dies(
    running: Ferry, victim: str, places: Sequence[tuple[str, int]]
) -> None:
    posted: list[str] = []
    for place, count in places:
        dying = started_to_die(running, victim, place, count)
        deadline = time.monotonic() + PATIENCE_S
        while dying.is_running:
            assert time.monotonic() < deadline, f"{victim} came to {place}"
            posted += running.post_all([100] * 5, clients=5, expires_in=3600)
        assert dying.popen.returncode == DIED
    running.start(victim)

    running.wait_until_ended(45)
    statuses = running.statuses()
    assert (statuses.keys() <= ENDS, sum(statuses.values())) == (True, len(posted)), statuses
    assert victim == "link" or statuses.keys() == {"approved"}, "only what may be on the wire is reversed"
    running.everything_holds()


def test_everybody_dies_at_once_under_load(running: Ferry) -> None:
    posted: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            posting = pool.submit(running.post_all, [100] * 60, 6, expires_in=3600)
            goal = running.approved() + 10
            wait_until(lambda goal=goal: running.approved() > goal, PATIENCE_S, "payments are approved")  # type: ignore[misc]
            for name in OURS:
                running.processes[name].popen.kill()
            for name in OURS:
                running.processes[name].kill()
            running.start(*OURS)
            posted += posting.result()

    running.wait_until_ended(45)
    running.wait_for_late_answers()
    statuses = running.statuses()
    assert (statuses.keys() <= ENDS, sum(statuses.values())) == (True, len(posted)), statuses
    running.everything_holds()


def test_a_payment_that_ends_every_worker_is_held_and_its_siblings_are_paid(running: Ferry) -> None:
    running.processes["worker"].kill()
    (deadly,) = running.post_all([100], expires_in=3600)
    for _ in range(3):
        dying = started_to_die(running, "worker", "encoding", 1)
        wait_until(lambda dying=dying: not dying.is_running, PATIENCE_S, "the worker died of it")  # type: ignore[misc]
    running.post_all([100] * 5, expires_in=3600)
    running.start("worker")

    wait_until(lambda: running.statuses() == {"on_hold": 1, "approved": 5}, PATIENCE_S, "its siblings are paid")
    held = running.sql("SELECT payment_id::text AS id, state FROM queueing_queueentry")
    assert [(row.id, row.state) for row in held] == [(deadly, "held")]
    alerting = httpx.get(f"{running.url}/metrics").text
    assert "ferryman_on_hold 1.0" in alerting
    running.everything_holds()


def test_a_client_that_was_not_answered_repeats_and_pays_once(running: Ferry) -> None:
    keys = [str(uuid.uuid4()) for _ in range(12)]
    told: dict[str, str] = {}
    for number, place in enumerate(["before_accept", "accepted", "before_a_ring", "after_a_ring"]):
        # Of the web server it is a worker that dies; the server ends with it.
        dying = started_to_die(running, "web", place, 2)
        repeat_until(running, keys[3 * number : 3 * number + 3], told, lambda dying=dying: not dying.is_running)  # type: ignore[misc]
    running.start("web")

    repeat_until(running, keys, told, lambda: len(told) == len(keys))
    running.wait_until_ended(45)
    assert running.statuses() == {"approved": 12}
    running.everything_holds()


def repeat_until(ferry: Ferry, keys: Sequence[str], told: dict[str, str], enough: Callable[[], bool]) -> None:
    """Post under each of the keys, again and again, until it is enough."""

    def post() -> bool:
        for key in keys:
            try:
                answer = client.post("/payments", json=ferry.purchase(100), headers={"Idempotency-Key": key})
            except httpx.TransportError:
                break
            assert answer.status_code in (200, 202), answer.text
            assert told.setdefault(key, answer.json()["id"]) == answer.json()["id"]
        return enough()

    with ferry.client() as client:
        wait_until(post, PATIENCE_S, "clients were told, or what was to die is dead")
