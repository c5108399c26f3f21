"""The bank is asked for its totals of a business date: in balance, and out of it once it counts a debit more."""

import json
import uuid
from collections.abc import Iterator

import httpx
import pytest

from tests.acceptance.conftest import Ferry
from tests.stack import wait_until


@pytest.fixture
def operator(running: Ferry) -> Iterator[httpx.Client]:
    """Somebody who compares with the bank, signed in."""
    logins = json.loads(running.manage("demo", "--simulator", f"127.0.0.1:{running.simulator_port}"))
    who = logins["staff"]["operator"]
    with httpx.Client(base_url=running.url, timeout=30, follow_redirects=True) as client:
        client.get("/admin/login/")
        given = {"username": who["user"], "password": who["password"], "next": "/admin/"}
        signed_in = client.post("/admin/login/", data={**given, "csrfmiddlewaretoken": client.cookies["csrftoken"]})
        assert "sessionid" in client.cookies, signed_in.text
        yield client


def day_of(ferry: Ferry) -> str:
    return str(ferry.sql("SELECT business_date FROM processor_linkstatus")[0].business_date)


def asked(client: httpx.Client, day: str) -> str:
    """Ask the bank, and return what the page says when there is an answer."""
    about = {"day": day, "link": "bank"}
    form = {**about, "currency": "IDR", "csrfmiddlewaretoken": client.cookies["csrftoken"]}
    client.post("/admin/reports/settlement/ask/", data=form).raise_for_status()
    told = "/admin/reports/settlement/told/"
    wait_until(lambda: client.get(told, params=about).json()["is_over"], 30, "the bank answered")
    return client.get("/admin/reports/settlement/", params=about).text


def follow(client: httpx.Client, payment: str, verb: str, **body: int) -> None:
    key = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=20"}
    done = client.post(f"/payments/{payment}/{verb}", json=body, headers=key)
    assert done.json()["status"] == "approved", done.text


def test_both_count_the_same_until_one_counts_otherwise(running: Ferry, operator: httpx.Client) -> None:
    with running.client() as client:
        paid = [running.post(client, amount, wait=20) for amount in (100_000, 250_000, 70_000)]
        running.post(client, 40_051, wait=20)
        held = running.post(client, 500_000, wait=20, operation="authorisation")
        follow(client, held["id"], "capture", amount=400_000)
        follow(client, paid[0]["id"], "refund", amount=30_000)
        follow(client, paid[2]["id"], "void")
    running.wait_until_ended(30)

    page = asked(operator, day_of(running))

    assert "In balance: the bank counts as we do." in page
    spoken = [line["mti"] for line in running.journal() if line.get("mti", "").startswith("05")]
    assert spoken == ["0500", "0510"]

    running.control("PUT", "/settings", {"totals_off_by": 125_000_000})
    page = asked(operator, day_of(running))

    assert "The bank counts 1 debit more: IDR 1,250,000.00." in page
    assert "<strong>+1,250,000.00</strong>" in page
    running.everything_holds()
