"""Ferryman as it runs: real processes against one database, one broker and the simulator."""

import os
import subprocess
import sys
import uuid
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from kombu import Connection

from queueing.broker import queue_of
from tests.checks import Accounts, violations
from tests.stack import Process, Stack, fresh_database, wait_until

PATIENCE_S = 2
PY_SPY = Path(sys.executable).with_name("py-spy")
#: an amount ending in 69 is answered five seconds after the client's patience
LATEST_ANSWER_S = PATIENCE_S + 5.5
QUEUES = ("forward", "settle", "webhooks", "maintenance", "link.bank")
_PAYMENTS = (
    "SELECT id, status, operation, original, amount, currency, accepted_attempt, captured_amount, refunded_amount,"
    " voided_by FROM transactions_payment"
)
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

    def approved(self) -> int:
        """How many payments are approved."""
        return self.statuses().get("approved", 0)

    def wait_until_ended(self, within_s: float) -> None:
        """Wait until every payment has ended and nothing is owed to the host any more."""

        def ended() -> bool:
            row = self.sql(
                "SELECT (SELECT count(*) FROM queueing_queueentry) AS owed,"
                " (SELECT count(*) FROM processor_inboundframe) AS unsettled,"
                " (SELECT count(*) FROM transactions_payment WHERE ended_at IS NULL) AS open"
            )[0]
            return (row.owed, row.unsettled, row.open) == (0, 0, 0)

        wait_until(ended, within_s, "every payment has ended")

    def wait_for_late_answers(self) -> None:
        """Wait until the host has no answer left to give, and what it gave is settled."""

        def said_everything() -> bool:
            asked = max(line["at"] for line in self.journal() if line.get("mti", "")[1:2] in ("1", "2"))
            return (datetime.now(UTC) - datetime.fromisoformat(asked)).total_seconds() > LATEST_ANSWER_S

        wait_until(said_everything, 2 * LATEST_ANSWER_S, "the host has said everything")
        self.wait_until_ended(30)

    def accounts(self) -> Accounts:
        """Both sides of the story."""
        return Accounts(
            journal=self.journal(),
            payments=self.sql(_PAYMENTS),
            attempts=self.sql("SELECT * FROM transactions_attempt"),
            dispatched=frozenset(row.digest for row in self.sql(_DIGESTS)),
        )

    def everything_holds(self) -> None:
        """The host's journal and the database agree, and the database verifies."""
        assert violations(self.accounts()) == []
        assert "nothing is wrong" in self.manage("verify")
        assert "every row is what its events say" in self.manage("rebuild")

    def owed(self) -> str:
        """What is still in the queue."""
        statement = (
            "SELECT state, kind, epoch, count(*) AS entries, min(id) AS first, now() - min(taken_at) AS taken_ago,"
            " min(not_before) AS not_before, held_reason FROM queueing_queueentry"
            " GROUP BY state, kind, epoch, held_reason"
        )
        return "\n".join(map(str, self.sql(statement)))

    def state(self) -> str:
        """What a failed test leaves to whoever looks for its cause."""
        return f"{self.statuses()}\n{self.owed()}\n{self.tails()}"

    def tails(self) -> str:
        """The last words of every process, and where each thread of those that run is."""

        def tail(process: Process) -> str:
            state = "running" if process.is_running else f"ended with {process.popen.returncode}"
            words = process.log.read_text()[-1500:]
            return f"--- {process.name} {state}\n{words}\n{stacks(process) if process.is_running else ''}"

        return "\n".join(map(tail, self.processes.values()))


def stacks(process: Process) -> str:
    """Where each thread of a process and its children is, if the system lets us look."""
    found = subprocess.run(
        [PY_SPY, "dump", "--subprocesses", "--pid", str(process.pid)],
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    return found.stdout or found.stderr


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put what is in the database and the logs behind the failure of a story."""
    report = yield
    if report.failed and call.when == "call":
        fixtures = getattr(item, "funcargs", {}).values()
        for ferry in {id(each): each for each in fixtures if isinstance(each, Ferry)}.values():
            try:
                report.sections.append(("what was there", ferry.state()))
            except psycopg.Error as error:
                report.sections.append(("what was there", f"the database does not say: {error}\n{ferry.tails()}"))
    return report


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A migrated database with the demonstration data, to be copied by every story."""
    with fresh_database(os.environ["DATABASE_URL"]) as database_url:
        stack = Stack(tmp_path_factory.mktemp("prepared"), database_url, os.environ["BROKER_URL"])
        stack.prepare()
        yield stack


@pytest.fixture
def ferry(tmp_path: Path, prepared: Stack) -> Iterator[Ferry]:
    """Everything prepared, nothing running; short patience, so that silence is soon."""
    tmp_path.chmod(0o755)
    with fresh_database(os.environ["DATABASE_URL"], copied_from=prepared.database_url) as database_url:
        stack = Ferry(tmp_path / "state", database_url, prepared.broker_url)
        stack.api_key, stack.simulator_port = prepared.api_key, prepared.simulator_port
        stack.settings |= {"BACKLOG_LIMIT": "100000", "RECOVERY_SECONDS": "2", "CACHE_SECONDS": "1"}
        purge(stack.broker_url)
        try:
            yield stack
        finally:
            stack.stop()


@pytest.fixture
def running(ferry: Ferry) -> Ferry:
    """Everything running, with little patience for the host."""
    ferry.sql("UPDATE processor_link SET answer_timeout_s = %s, breaker_open_s = 2", PATIENCE_S)
    ferry.start("simulator", "web", "worker", "link", "beat")
    ferry.wait_until_up()
    ferry.control("PUT", "/settings", {"client_waits_s": float(PATIENCE_S)})
    return ferry


def purge(broker_url: str) -> None:
    """Wipe every ring from the broker."""
    with Connection(broker_url) as connection:
        for name in QUEUES:
            queue = queue_of(name)(connection.default_channel)
            queue.declare()
            queue.purge()
