"""A payment crosses to the bank and back."""

import datetime as dt
import json
import socket
import uuid
from collections.abc import Mapping
from typing import Any, cast

from tests.acceptance.conftest import Ferry
from tests.stack import wait_until
from transactions.api.examples import BATCH_EXAMPLE, EXAMPLES, FOLLOW_UP_EXAMPLES
from transactions.domain.values import Operation


def test_every_documented_example_crosses_and_is_approved(running: Ferry) -> None:
    with running.client() as client:
        for name, example in EXAMPLES.items():
            headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=20"}
            response = client.post("/payments", json=example, headers=headers)
            payment = response.json()

            assert (response.status_code, payment["status"]) == (200, "approved"), (name, payment)
            if example["operation"] == "balance_inquiry":
                assert payment["balances"][0]["amount_minor"] > 0

        events = client.get(f"/payments/{payment['id']}/events").json()["items"]
    assert [event["type"] for event in events] == ["Accepted", "Dispatched", "Approved"]
    running.wait_until_ended(5)
    running.everything_holds()


def test_every_documented_capture_refund_and_void_crosses_and_is_approved(running: Ferry) -> None:
    with running.client() as client:

        def post(address: str, body: Mapping[str, Any]) -> dict[str, Any]:
            headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=20"}
            response = client.post(address, json=body, headers=headers)
            payment = cast("dict[str, Any]", response.json())
            assert (response.status_code, payment["status"]) == (200, "approved"), (address, body, payment)
            return payment

        for operation, examples in FOLLOW_UP_EXAMPLES.items():
            for example in examples.values():
                is_capture = operation is Operation.CAPTURE
                original = post("/payments", EXAMPLES["authorisation, to be captured" if is_capture else "purchase"])
                child = post(f"/payments/{original['id']}/{operation}", example)
                assert (child["operation"], child["original"]) == (operation, original["id"])
                shown = client.get(f"/payments/{original['id']}").json()
                assert shown["status"] == "approved"
                assert child["amount"] in (shown["captured_amount"], shown["refunded_amount"], original["amount"])
    running.wait_until_ended(5)
    running.everything_holds()


def test_the_documented_batch_crosses_and_its_replay_pays_nothing_twice(running: Ferry) -> None:
    with running.client() as client:
        results = [client.post("/payments/batch", json=BATCH_EXAMPLE).json()["items"] for _ in range(2)]
    first, again = ([result["payment"]["id"] for result in items] for items in results)
    running.wait_until_ended(20)

    assert first == again
    assert running.statuses() == {"approved": len(first)}
    running.everything_holds()


def test_what_each_process_logs_follows_the_payment_and_names_no_card(running: Ferry) -> None:
    with running.client() as client:
        response = client.post(
            "/payments",
            json=running.purchase(100),
            headers={"Idempotency-Key": "k", "Prefer": "wait=20", "X-Request-ID": "till-7-receipt-42"},
        )
    payment_id = response.json()["id"]

    assert response.headers["X-Request-ID"] == "till-7-receipt-42"
    for name in ("web", "worker", "link"):
        log = running.processes[name].log.read_text()
        lines = [line for line in log.splitlines() if payment_id in line]
        assert any("till-7-receipt-42" in line for line in lines), name
    for path in running.folder.rglob("*"):
        if path.is_file():
            assert b"4111111111111111" not in path.read_bytes(), path


def test_headers_sent_twice_are_refused(running: Ferry) -> None:
    body = json.dumps(running.purchase(100)).encode()
    request = (
        f"POST /api/v1/payments HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {running.api_key}\r\n"
        f"Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()
    with socket.create_connection(("127.0.0.1", running.web_port)) as connection:
        connection.sendall(request + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"urn:ferryman:problem:idempotency-key" in answer


def test_a_lane_keeps_its_order_across_processes(running: Ferry) -> None:
    running.control("PUT", "/settings", {"latency_s": 0.01})
    with running.client() as client:
        for amount in range(100, 112):
            headers = {"Idempotency-Key": str(uuid.uuid4())}
            client.post("/payments", json=running.purchase(amount, lane="till-7"), headers=headers)
    running.wait_until_ended(30)

    seen = [int(line["amount"]) for line in running.journal() if line.get("mti") == "0200" and line["what"] == "in"]
    assert seen == list(range(100, 112))


def test_what_the_host_starts_is_answered(running: Ferry) -> None:
    def date() -> dt.date:
        return cast("dt.date", running.sql("SELECT business_date FROM processor_linkstatus")[0].business_date)

    def answers() -> list[str]:
        lines = [line for line in running.journal() if line.get("mti") == "0810" and line["what"] == "in"]
        return [line["code"] for line in lines if line["terminal"] == "HOST"]

    before = date()
    for message in ("echo", "cut-over"):
        running.control("POST", "/send", {"message": message})
    wait_until(lambda: answers() == ["00", "00"], 10, "both are answered")
    wait_until(lambda: date() != before, 10, "the cut-over is filed")
    with running.client() as client:
        running.post(client, 100, wait=10)

    after = date()
    assert (after - before).days == 1
    assert running.sql("SELECT business_date FROM transactions_attempt")[0].business_date == after
    running.wait_until_ended(5)
    running.everything_holds()


def test_a_host_that_signs_us_off_is_signed_on_again(running: Ferry) -> None:
    running.control("POST", "/send", {"message": "sign-off"})

    with running.client() as client:
        assert running.post(client, 100, wait=20)["status"] == "approved"
    running.everything_holds()
