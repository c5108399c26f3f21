"""A host that stops answering payments is spared: the breaker opens, tries, and closes."""

import uuid

import httpx

from tests.acceptance.conftest import Ferry
from tests.stack import wait_until

NEVER_ANSWERED = 100_068
OPEN_S = 10


def breaker(ferry: Ferry) -> str:
    return str(ferry.sql("SELECT breaker FROM processor_linkstatus")[0].breaker)


def post_once(ferry: Ferry, client: httpx.Client, **details: object) -> httpx.Response:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    return client.post("/payments", json=ferry.purchase(100, **details), headers=headers)


def test_the_breaker_opens_refuses_tries_and_closes(running: Ferry) -> None:
    running.manage("link", "bank", "--breaker-failures", "3", "--breaker-open", str(OPEN_S))
    wait_until(lambda: running.sql("SELECT 1 FROM processor_linkstatus WHERE up AND version = 2"), 20, "taken over")
    running.control("PUT", "/settings", {"reversals": "silent"})
    running.post_all([NEVER_ANSWERED] * 5, expires_in=3600)

    wait_until(lambda: breaker(running) == "open", 20, "three silences opened the breaker")
    with running.client() as client:
        wait_until(lambda: post_once(running, client).status_code == 503, 5, "the door refuses")
        refused = post_once(running, client)
        waiting = post_once(running, client, expires_in=3600)

    assert refused.json()["type"] == "urn:ferryman:problem:link-unavailable"
    assert 1 <= int(refused.headers["Retry-After"]) <= OPEN_S
    assert waiting.status_code == 202
    assert "breaker open" in running.manage("link", "bank")

    running.control("PUT", "/settings", {"reversals": ""})
    wait_until(lambda: breaker(running) == "closed", 30, "it closed again")
    running.wait_until_ended(60)
    assert running.statuses() == {"approved": running.approved(), "reversed": 5}
    assert running.approved() >= 1
    running.everything_holds()
