"""kill -9, of whoever: nothing is lost, nothing is paid twice, and it goes on."""

import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from processor.lease import TTL_S
from tests.acceptance.conftest import Ferry, purge
from tests.stack import wait_until


def start_standby(ferry: Ferry) -> None:
    ferry.start("link-standby")
    log = ferry.processes["link-standby"].log
    wait_until(lambda: "link.standby" in log.read_text(), 20, "the standby waits")


def test_the_link_worker_with_two_hundred_in_flight_and_a_standby_running(ferry: Ferry) -> None:
    ferry.manage("link", "bank", "--window", "256", "--answer-timeout", "20")
    ferry.start("simulator", "web", "worker", "link", "beat")
    ferry.wait_until_up()
    ferry.control("PUT", "/settings", {"latency_s": 10.0})
    start_standby(ferry)
    ferry.post_all([100] * 200, clients=8, expires_in=3600)
    in_flight = "SELECT count(*) AS taken FROM queueing_queueentry WHERE state = 'taken'"
    wait_until(lambda: ferry.sql(in_flight)[0].taken == 200, 20, "two hundred are in flight")

    ferry.processes["link"].kill()
    killed = time.monotonic()
    ferry.control("PUT", "/settings", {"latency_s": 0.0})
    with ferry.client() as client:
        assert ferry.post(client, 200, wait=30, expires_in=3600)["status"] == "approved"

    assert time.monotonic() - killed < TTL_S + 2
    ferry.wait_until_ended(60)
    assert ferry.statuses() == {"approved": 1, "reversed": 200}
    ferry.everything_holds()


@pytest.mark.parametrize("victim", ["web", "worker", "beat"])
def test_any_other_process_under_load(running: Ferry, victim: str) -> None:
    posted: list[str] = []

    def post_until_told() -> None:
        while not told.wait(0.05):
            posted.extend(running.post_all([100] * 10, clients=4, expires_in=3600))

    told = threading.Event()
    posting = threading.Thread(target=post_until_told)
    posting.start()
    try:
        for _ in range(4):
            running.processes[victim].kill()
            running.start(victim)
            goal = running.approved() + 30
            wait_until(lambda goal=goal: running.approved() > goal, 60, "payments are approved")  # type: ignore[misc]
    finally:
        told.set()
        posting.join()

    running.wait_until_ended(60)
    assert running.statuses() == {"approved": len(posted)}
    running.everything_holds()


def test_a_web_server_leaves_no_worker_behind_that_waits_for_a_client(running: Ferry) -> None:
    web = running.processes["web"].pid
    workers = [Path("/proc") / pid for pid in Path(f"/proc/{web}/task/{web}/children").read_text().split()]
    with running.client() as client, ThreadPoolExecutor(1) as patient:
        waiting = patient.submit(running.post, client, 168, wait=60, expires_in=3600)
        wait_until(lambda: running.statuses() == {"in_flight": 1}, 10, "a client waits for a silent bank")

        running.processes["web"].kill()

        wait_until(lambda: not any(worker.exists() for worker in workers), 5, "no worker goes on")
        running.start("web")
        assert waiting.result(60)["status"] == "reversed"
    assert workers


def test_a_repeat_after_a_broken_connection_pays_once(running: Ferry) -> None:
    keys = [str(uuid.uuid4()) for _ in range(30)]
    with running.client() as client:
        for number, key in enumerate(keys):
            if number == 15:
                running.processes["web"].kill()
                running.start("web")
            for _ in range(200):
                try:
                    headers = {"Idempotency-Key": key}
                    if client.post("/payments", json=running.purchase(100), headers=headers).status_code == 202:
                        break
                except httpx.TransportError:
                    time.sleep(0.05)

    running.wait_until_ended(30)
    assert running.statuses() == {"approved": 30}
    running.everything_holds()


def test_a_broker_wiped_with_a_thousand_queued(running: Ferry) -> None:
    running.processes["worker"].kill()
    running.post_all([100] * 1000, clients=16, expires_in=3600)
    assert running.statuses() == {"queued": 1000}

    purge(running.broker_url)
    running.start("worker")

    running.wait_until_ended(60)
    assert running.statuses() == {"approved": 1000}
    running.everything_holds()


def test_a_link_worker_that_stops_cleanly_signs_off_and_hands_over_at_once(running: Ferry) -> None:
    start_standby(running)

    running.processes["link"].stop()
    stopped = time.monotonic()
    with running.client() as client:
        assert running.post(client, 100, wait=20)["status"] == "approved"

    assert time.monotonic() - stopped < TTL_S
    assert any(line.get("network") == "002" for line in running.journal())
    running.everything_holds()


def test_two_link_workers_at_once_one_writes_the_other_nothing(running: Ferry) -> None:
    start_standby(running)
    running.post_all([100] * 60, clients=6)
    running.wait_until_ended(30)

    sessions = {line["session"] for line in running.journal()}
    assert len(sessions) == 1
    assert {row.epoch for row in running.sql("SELECT epoch FROM transactions_attempt")} == {1}
