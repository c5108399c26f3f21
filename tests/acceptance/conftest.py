"""Ferryman as it runs: real processes against one database, one broker and the simulator."""

import os
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from kombu import Connection

from queueing.broker import queue_of
from tests.checks import Accounts, violations
from tests.stack import Process, Stack, fresh_database, wait_until

FINAL = {"approved", "declined", "reversed", "expired", "cancelled", "failed"}
QUEUES = ("forward", "settle", "webhooks", "maintenance", "link.bank")


_DIGESTS = "SELECT data->>'digest' AS digest FROM transactions_event WHERE type = 'Dispatched'"


class Ferry(Stack):
    """A stack with the words of the stories."""

    def purchase(self, amount: int, **details: Any) -> dict[str, Any]:
        """What a client posts."""
        return {
            "operation": "purchase",
            "amount": amount,
            "currency": "IDR",
            "card": {"pan": "4111111111111111"},
            **details,
        }

    def post(self, client: httpx.Client, amount: int, *, wait: int = 0, **details: Any) -> dict[str, Any]:
        """Post a payment, repeating with the same key whatever happens to the connection."""
        headers = {"Idempotency-Key": str(uuid.uuid4())} | ({"Prefer": f"wait={wait}"} if wait else {})

        def attempt() -> dict[str, Any] | None:
            try:
                response = client.post("/payments", json=self.purchase(amount, **details), headers=headers)
            except httpx.TransportError:
                return None
            return response.json() if response.status_code in (200, 202) else None

        return wait_until(attempt, 30, "a payment was accepted")

    def post_all(self, amounts: Sequence[int], clients: int = 8, **details: Any) -> list[str]:
        """Post many at once; returns their ids."""
        with self.client() as client, ThreadPoolExecutor(clients) as pool:
            return [payment["id"] for payment in pool.map(lambda amount: self.post(client, amount, **details), amounts)]

    def statuses(self) -> dict[str, int]:
        """How many payments are in which status."""
        found = self.sql("SELECT status, count(*) AS payments FROM transactions_payment GROUP BY status")
        return {row.status: row.payments for row in found}

    def wait_until_ended(self, within_s: float) -> None:
        """Wait until every payment has ended and nothing is owed to the host any more."""

        def ended() -> bool:
            row = self.sql(
                "SELECT (SELECT count(*) FROM queueing_queueentry) AS owed,"
                " (SELECT count(*) FROM processor_inboundframe) AS unsettled,"
                " (SELECT count(*) FROM transactions_payment WHERE ended_at IS NULL) AS open"
            )[0]
            return (row.owed, row.unsettled, row.open) == (0, 0, 0)

        try:
            wait_until(ended, within_s, "every payment has ended")
        except AssertionError as error:
            raise AssertionError(f"{error}: {self.statuses()}\n{self.tails()}") from None

    def accounts(self) -> Accounts:
        """Both sides of the story."""
        return Accounts(
            journal=self.journal(),
            payments=self.sql("SELECT id, status, amount, currency, accepted_attempt FROM transactions_payment"),
            attempts=self.sql("SELECT * FROM transactions_attempt"),
            dispatched=frozenset(row.digest for row in self.sql(_DIGESTS)),
        )

    def everything_holds(self) -> None:
        """The host's journal and the database agree, and the database verifies."""
        assert violations(self.accounts()) == []
        assert "nothing is wrong" in self.manage("verify")
        assert "every row is what its events say" in self.manage("rebuild")

    def tails(self) -> str:
        """The last words of every process."""

        def tail(process: Process) -> str:
            state = "running" if process.is_running else f"ended with {process.popen.returncode}"
            return f"--- {process.name} {state}\n{process.log.read_text()[-1500:]}"

        return "\n".join(map(tail, self.processes.values()))


@pytest.fixture
def ferry(tmp_path: Path) -> Iterator[Ferry]:
    """Everything prepared, nothing running; short patience, so that silence is soon."""
    tmp_path.chmod(0o755)
    with fresh_database(os.environ["DATABASE_URL"]) as database_url:
        stack = Ferry(tmp_path / "state", database_url, os.environ["BROKER_URL"])
        stack.settings |= {"BACKLOG_LIMIT": "100000", "RECOVERY_SECONDS": "2", "CACHE_SECONDS": "1"}
        stack.prepare()
        purge(stack.broker_url)
        try:
            yield stack
        finally:
            stack.stop()


@pytest.fixture
def running(ferry: Ferry) -> Ferry:
    """Everything running, with an answer timeout of two seconds."""
    ferry.manage("link", "bank", "--answer-timeout", "2")
    ferry.start("simulator", "web", "worker", "link", "beat")
    ferry.wait_until_up()
    ferry.control("PUT", "/settings", {"client_waits_s": 2.0})
    return ferry


def purge(broker_url: str) -> None:
    """Wipe every ring from the broker."""
    with Connection(broker_url) as connection:
        for name in QUEUES:
            queue = queue_of(name)(connection.default_channel)
            queue.declare()
            queue.purge()
