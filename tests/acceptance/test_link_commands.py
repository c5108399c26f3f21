"""Staff tell the link what to do: it does so once, says so, and no payment is lost or doubled by it."""

import time
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import Ferry
from tests.stack import free_ports, wait_until


def tell(ferry: Ferry, *words: str, fails: bool = False) -> str:
    return ferry.manage("link", "bank", *words, "--reason", "a test", fails=fails)


def sessions(ferry: Ferry) -> set[Any]:
    return {line["session"] for line in ferry.journal()}


def proposed(client: httpx.Client, **changes: Any) -> dict[str, Any]:
    """Propose another configuration, and return what its worker answered."""
    link = client.get("/links/bank")
    body = {**link.json()["configuration"]["values"], "reason": "a test", **changes}
    asked = client.put("/links/bank/config", json=body, headers={"If-Match": link.headers["ETag"]})
    assert asked.status_code == 202, asked.text

    def answer() -> dict[str, Any]:
        found: dict[str, Any] = client.get(asked.headers["Location"].removeprefix("/api/v1")).json()
        return found

    wait_until(lambda: answer()["state"] not in ("open", "running"), 20, "the worker answers")
    return answer()


def test_a_link_taken_down_and_up_again_loses_nothing(running: Ferry) -> None:
    assert "Signed off" in tell(running, "close")
    with running.client() as client:
        waiting = running.post(client, 100, expires_in=3600)
        refused = client.post("/payments", json=running.purchase(100), headers={"Idempotency-Key": "now"})
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:ferryman:problem:link-unavailable")
        assert "closed by staff" in running.manage("link", "bank")
        assert client.get("/links/bank").json()["wanted"] == "closed"

        running.processes["link"].stop()
        running.start("link")
        assert "refused" in tell(running, "echo", fails=True)
        assert len(sessions(running)) == 1

        assert "is up" in tell(running, "establish")
        running.wait_until_ended(30)
        assert client.get(f"/payments/{waiting['id']}").json()["status"] == "approved"
    running.everything_holds()


def test_a_configuration_that_leads_nowhere_is_refused_and_the_link_is_not_touched(running: Ferry) -> None:
    (nowhere,) = free_ports(1)
    with running.client() as client:
        answer = proposed(client, endpoints=[{"host": "127.0.0.1", "port": nowhere}])
        assert answer["state"] == "refused"
        assert "No host of it takes a connection" in answer["answer"]
        answer = proposed(client, endpoints=[{"host": "no-such-host.invalid", "port": 5}])
        assert "No address is known" in answer["answer"]

        assert running.post(client, 100, wait=20)["status"] == "approved"
        configured = client.get("/links/bank").json()["configuration"]
        assert (configured["version"], configured["in_use"]) == (1, 1)
        assert "No address is known" in configured["refused"]["reason"]
        assert len(sessions(running)) == 1

        began = time.monotonic()
        assert proposed(client, window=8)["state"] == "done"
        assert time.monotonic() - began < 5
        assert client.get("/links/bank").json()["configuration"]["in_use"] == 2
        assert running.post(client, 100, wait=20)["status"] == "approved"
    running.everything_holds()


def test_a_command_whose_worker_was_killed_is_failed_and_not_repeated(running: Ferry) -> None:
    running.control("PUT", "/settings", {"latency_s": 60.0})
    with running.client() as client:
        running.post(client, 100, expires_in=3600)
        wait_until(lambda: running.statuses() == {"in_flight": 1}, 10, "it is in flight")
        asked = client.post("/links/bank/commands", json={"command": "drain", "reason": "a test"})
        running_now = "SELECT 1 FROM processor_linkcommand WHERE state = 'running'"
        wait_until(lambda: running.sql(running_now), 10, "the worker drains")
        wait_until(lambda: running.sql("SELECT 1 FROM processor_lease WHERE wanted = 'paused'"), 10, "it is paused")

        running.processes["link"].kill()
        running.control("PUT", "/settings", {"latency_s": 0.0})
        running.start("link")

        found = asked.headers["Location"].removeprefix("/api/v1")
        wait_until(lambda: client.get(found).json()["state"] == "failed", 30, "the next worker says so")
        assert "The worker ended" in client.get(found).json()["answer"]
        held_back = running.post(client, 200, expires_in=3600)
        wait_until(lambda: running.statuses() == {"reversed": 1, "queued": 1}, 30, "reversals go on, payments wait")

        tell(running, "resume")
        running.wait_until_ended(30)
        assert client.get(f"/payments/{held_back['id']}").json()["status"] == "approved"
    running.everything_holds()


@pytest.mark.parametrize("words", [["pause"], ["drain"]])
def test_payments_wait_while_the_link_is_paused_and_its_session_stands(running: Ferry, words: list[str]) -> None:
    tell(running, *words)
    running.post_all([100] * 20, clients=4, expires_in=3600)
    assert "code 00" in tell(running, "echo")
    assert running.statuses() == {"queued": 20}

    tell(running, "resume")

    running.wait_until_ended(30)
    assert running.statuses() == {"approved": 20}
    assert len(sessions(running)) == 1
    running.everything_holds()
