"""The database and the broker come and go under load: every 2xx ends right, and the longest pause is bounded."""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import httpx
import psycopg
import pytest

from processor.lease import TTL_S
from tests.faults.load import Clients
from tests.faults.services import Services
from tests.faults.stack import ProxiedFerry
from tests.stack import wait_until

_LONGEST_PAUSE = """
SELECT coalesce(max(extract(epoch FROM ended_at - before)), 0)::float AS seconds FROM (
    SELECT ended_at, lag(ended_at) OVER (ORDER BY ended_at) AS before
    FROM transactions_payment WHERE status = 'approved'
) AS ends"""


@contextmanager
def under_load(ferry: ProxiedFerry, longest_pause_s: float) -> Iterator[None]:
    """Load before, during and after a block; then everything holds, and payments were never away for longer."""
    clients = Clients(ferry, seed=8583, rate=40)
    clients.start()
    wait_until(lambda: ferry.approved() > 20, 60, "payments are approved")
    yield
    goal = ferry.approved() + 50
    wait_until(lambda: ferry.approved() > goal, 60, "payments are approved again")
    clients.stop(30)
    assert [process.name for process in ferry.processes.values() if not process.is_running] == []
    ferry.wait_for_late_answers()
    ferry.everything_holds()
    assert clients.check() == []
    assert ferry.sql(_LONGEST_PAUSE)[0].seconds < longest_pause_s


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGQUIT], ids=["restarted", "crashed"])
def test_postgresql_comes_back(served: ProxiedFerry, own_services: Services, sent: signal.Signals) -> None:
    with under_load(served, longest_pause_s=20):
        own_services.restart("postgres", sent)


def test_the_broker_is_killed_and_wiped(served: ProxiedFerry, own_services: Services) -> None:
    with under_load(served, longest_pause_s=20):
        own_services.restart("valkey", signal.SIGKILL)


def test_a_holder_cut_off_from_the_database_falls_silent_before_its_lease_ends(
    served: ProxiedFerry, own_services: Services
) -> None:
    with served.client() as client:
        served.post(client, 100, wait=20)
    with own_services.frozen("postgres"):
        frozen_at = time.clock_gettime(time.CLOCK_BOOTTIME)
        wait_until(lambda: not served.processes["link"].is_running, TTL_S + 2, "the holder ended")

    written = [line["at"] for line in served.wire_journal() if line["what"] == "bytes" and line["direction"] == "out"]
    assert max(written) < frozen_at + TTL_S
    served.start("link")
    served.wait_until_up()
    with served.client() as client:
        assert served.post(client, 100, wait=20)["status"] == "approved"
    served.everything_holds()


def test_without_a_free_database_connection_a_client_is_told_and_repeats(served: ProxiedFerry) -> None:
    headers = {"Idempotency-Key": "till-7"}
    with every_connection_taken(served), served.client() as client:
        answer = client.post("/payments", json=served.purchase(100), headers=headers)
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["Retry-After"]) > 0

    with served.client() as client:
        again = wait_until(lambda: _accepted(client, served.purchase(100), headers), 60, "it is accepted")
    if not served.processes["link"].is_running:
        served.start("link")  # its lease could not be renewed: a supervisor's turn
    served.wait_until_ended(60)
    assert served.statuses() == {"approved": 1}
    assert served.sql("SELECT id::text FROM transactions_payment")[0].id == again
    served.everything_holds()


@contextmanager
def every_connection_taken(ferry: ProxiedFerry) -> Iterator[None]:
    """Take every connection there is, also those that the web server had."""
    with ExitStack() as taken:
        first = taken.enter_context(psycopg.connect(ferry.database_url, autocommit=True))
        for _ in range(2):
            with suppress(psycopg.OperationalError):
                while True:
                    taken.enter_context(psycopg.connect(ferry.database_url))
            first.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'web'")
        with suppress(psycopg.OperationalError):
            while True:
                taken.enter_context(psycopg.connect(ferry.database_url))
        yield


def _accepted(client: httpx.Client, body: Mapping[str, Any], headers: Mapping[str, str]) -> str:
    answer = client.post("/payments", json=body, headers=headers)
    return str(answer.json()["id"]) if answer.status_code in (200, 202) else ""
