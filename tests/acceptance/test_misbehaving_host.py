"""Whatever the host does, every payment reaches its one right end, which is what the host says of it."""

import random
from typing import Final

from tests.acceptance.conftest import Ferry

ENDINGS: Final = (0, 51, 91, 68, 69, 70, 71, 72, 73, 74)
RIGHT_ENDS: Final = {
    0: {"approved", "reversed"},
    51: {"declined", "reversed"},
    91: {"declined", "reversed"},
    68: {"reversed"},
    69: {"reversed"},
    70: {"approved", "reversed"},
    71: {"reversed"},
    72: {"reversed"},
    73: {"reversed"},
    74: {"reversed"},
}


def test_twenty_of_each_mixed_from_eight_clients(running: Ferry) -> None:
    amounts = [100_000 + ending for ending in ENDINGS for _ in range(20)]
    random.Random(8583).shuffle(amounts)

    running.post_all(amounts, clients=8, expires_in=3600)
    running.wait_until_ended(60)
    running.wait_for_late_answers()

    for row in running.sql("SELECT amount, status FROM transactions_payment"):
        assert row.status in RIGHT_ENDS[row.amount % 100], row
    running.everything_holds()


def test_an_answer_after_the_client_gave_up_is_undone_again(running: Ferry) -> None:
    with running.client() as client:
        assert running.post(client, 100_069, wait=15)["status"] == "reversed"
    running.wait_for_late_answers()

    events = [row.type for row in running.sql("SELECT type FROM transactions_event ORDER BY version")]
    assert events == [
        *("Accepted", "Dispatched", "ReversalRequired", "Dispatched", "Reversed"),
        *("ReversalRequired", "Dispatched", "Reversed"),
    ]
    assert [line["mti"] for line in running.journal() if line.get("mti", "")[1:3] == "42"] == ["0420", "0421"]
    assert running.statuses() == {"reversed": 1}
    running.everything_holds()


def test_a_reversal_is_repeated_until_the_host_accepts_it(running: Ferry) -> None:
    running.control("PUT", "/settings", {"reversals": "silent"})
    with running.client() as client:
        assert running.post(client, 100_068, wait=6)["status"] == "reversing"
        running.control("PUT", "/settings", {"reversals": "91"})
        assert running.post(client, 100, wait=10)["status"] == "approved"
        running.control("PUT", "/settings", {"reversals": ""})
    running.wait_until_ended(30)

    mtis = [line["mti"] for line in running.journal() if line["what"] == "in" and line["mti"].startswith("042")]
    assert mtis[0] == "0420"
    assert set(mtis[1:]) == {"0421"}
    running.everything_holds()


def test_a_host_that_refuses_sign_on_sees_no_money(ferry: Ferry) -> None:
    ferry.start("simulator", "web", "worker", "beat")
    ferry.control_when_up("PUT", "/settings", {"refuse_sign_on": True})
    ferry.start("link")
    with ferry.client() as client:
        payment = ferry.post(client, 100, wait=4, expires_in=3600)

    assert payment["status"] == "queued"
    assert all(line["mti"][1] == "8" for line in ferry.journal() if line["what"] == "in")
    ferry.control("PUT", "/settings", {"refuse_sign_on": False})
    ferry.wait_until_ended(40)
    assert ferry.statuses() == {"approved": 1}
