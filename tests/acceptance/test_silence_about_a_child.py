"""A refund that nobody answers is reversed and free again; a capture and a void are told until they are answered."""

import uuid

import httpx

from tests.acceptance.conftest import Ferry
from tests.stack import wait_until

#: the simulator carries it out and says nothing
_SILENT = 1_000_68


def _ask(client: httpx.Client, payment_id: str, what: str, amount: int | None = None) -> dict[str, object]:
    headers = {"Idempotency-Key": str(uuid.uuid4())}
    body = {"amount": amount} if amount else {}
    response = client.post(f"/payments/{payment_id}/{what}", json=body, headers=headers)
    assert response.status_code == 202, response.text
    return dict(response.json())


def test_a_refund_without_an_answer_is_reversed_and_may_be_asked_for_again(running: Ferry) -> None:
    with running.client() as client:
        original = running.post(client, 5_000_00, wait=20)
        refund = _ask(client, original["id"], "refund", _SILENT)
        wait_until(lambda: running.statuses().get("reversed") == 1, 30, "the refund is reversed")

        again = _ask(client, original["id"], "refund", 5_000_00)
        running.wait_until_ended(20)

        shown = client.get(f"/payments/{original['id']}").json()
        assert client.get(f"/payments/{refund['id']}").json()["reason"]["code"] == "host_timeout"
        assert client.get(f"/payments/{again['id']}").json()["status"] == "approved"
    assert (shown["status"], shown["refunded_amount"]) == ("approved", 5_000_00)
    running.everything_holds()


def test_a_capture_and_a_void_are_repeated_until_the_host_answers(running: Ferry) -> None:
    with running.client() as client:
        authorised = running.post(client, 5_000_00, wait=20, operation="authorisation")
        paid = running.post(client, 7_000_00, wait=20)
        running.control("PUT", "/settings", {"reversals": "silent"})
        capture, void = _ask(client, authorised["id"], "capture"), _ask(client, paid["id"], "void")

        def repeated() -> bool:
            seen = {line.get("mti") for line in running.journal() if line["what"] == "in"}
            return {"0221", "0401"} <= seen

        wait_until(repeated, 30, "both were told again")
        assert client.post(f"/payments/{void['id']}/cancel").status_code == 409
        running.control("PUT", "/settings", {"reversals": ""})
        running.wait_until_ended(60)

        assert client.get(f"/payments/{capture['id']}").json()["status"] == "approved"
        assert client.get(f"/payments/{authorised['id']}").json()["captured_amount"] == 5_000_00
        assert client.get(f"/payments/{paid['id']}").json()["voided_by"] == void["id"]
    running.everything_holds()
