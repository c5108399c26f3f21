"""Payments through everything: real processes, a host with a fixed delay, every payment at its right end."""

import json
import subprocess
import time
import uuid
from collections.abc import Mapping
from typing import Any, Final

import psycopg

from tests.bench.bare import bare_rate
from tests.bench.figures import Figure
from tests.bench.processes import Groups, MemoryPeak
from tests.bench.seeding import accept_many, dispatch_many
from tests.stack import PYTHON, Stack, wait_until

CONNECTIONS: Final = 64
_PROCESSES: Final = ("web", "worker", "link", "beat")
_OPEN: Final = (
    "SELECT EXISTS (SELECT 1 FROM queueing_queueentry WHERE link = 'bank')"
    " OR EXISTS (SELECT 1 FROM processor_inboundframe)"
)
_UNANSWERED: Final = (
    "SELECT EXISTS (SELECT 1 FROM queueing_queueentry WHERE state = 'dispatched' AND link = 'bank')"
    " OR EXISTS (SELECT 1 FROM queueing_queueentry WHERE state = 'taken' AND link = 'bank')"
)
_PURCHASE: Final = {"operation": "purchase", "amount": 1250000, "currency": "IDR", "card": {"pan": "4111111111111111"}}
_ENDED: Final = (
    "SELECT count(*) FILTER (WHERE status = 'approved') AS approved, count(*) AS all FROM transactions_payment"
)
_LEFT: Final = "SELECT state, kind, count(*) FROM queueing_queueentry WHERE link = 'bank' GROUP BY 1, 2"
_WIRE: Final = """
SELECT count(*) AS answers, extract(epoch FROM max(answered_at) - min(taken_at))::float8 AS seconds
FROM transactions_attempt WHERE answered_at IS NOT NULL AND taken_at > %s"""
#: of one payment, in which part of us the time behind the accept goes
_BEHIND: Final = ("postgres", "valkey", "worker", "link", "beat")


class Crossing:
    """Ferryman, running for the bench; figures are per payment that ended approved."""

    def __init__(self, stack: Stack, services: Mapping[str, int]) -> None:
        self.stack = stack
        self._services = services
        self._approved = 0
        self._asking = psycopg.connect(stack.database_url, autocommit=True)

    def start(self) -> None:
        """Start everything, against a host that answers after 20 ms."""
        self.stack.start("web", "worker", "beat")
        self.use_host(20)
        self.stack.start("link")
        self.stack.wait_until_up()

    def use_host(self, delay_ms: float) -> None:
        """Put another host behind the same port."""
        if host := self.stack.processes.get("host"):
            host.kill()
        self.stack.spawn("host", [PYTHON, "-m", "tests.bench.host", str(self.stack.simulator_port), str(delay_ms)])

    def change_host(self, delay_ms: float) -> None:
        """The same while the link is up; returns when it is up again."""
        self.use_host(delay_ms)
        wait_until(lambda: self.stack.sql("SELECT 1 FROM processor_linkstatus WHERE NOT up"), 20, "the link noticed")
        self.stack.wait_until_up()

    def groups(self) -> Groups:
        """The process trees that are ours, with PostgreSQL and the broker."""
        running = {name: self.stack.processes[name] for name in _PROCESSES}
        ours = {name: process.pid for name, process in running.items() if process.is_running}
        return Groups({**self._services, **ours})

    # What is measured

    def idle(self, seconds: float = 8) -> Figure:
        """CPU of everything while nothing happens."""
        groups = self.groups()
        time.sleep(2)
        before, began = groups.cpu(), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        parts = {name: 100 * spent / took for name, spent in groups.spent(before).items()}
        return Figure("idle: CPU of all our processes", sum(parts.values()), "% of a core", 5, 2, parts=parts)

    def saturated(self, seconds: float = 15) -> tuple[list[Figure], float]:
        """Single POSTs from 64 keep-alive connections as fast as they are answered; returns the rate to the end too."""
        self._load(3, 0)
        groups = self.groups()
        before, began = groups.cpu(), time.monotonic()
        loaded = self._load(seconds, 0)
        took = time.monotonic() - began
        parts = {name: 1000 * spent / loaded["accepted"] for name, spent in groups.spent(before).items()}
        rate = loaded["accepted"] / took
        return [
            Figure("one whole payment over HTTP: CPU", sum(parts.values()), "ms", 2.5, 1.5, parts=parts),
            Figure("payments to their end, 64 connections, 20 ms host", rate, "/s", 500, 1000, more_is_better=True),
            Figure("  accepted meanwhile", loaded["accepted"] / loaded["seconds"], "/s", more_is_better=True),
        ], rate

    def half_rate(self, rate: float, seconds: float = 10) -> list[Figure]:
        """How long accepting takes with room to spare."""
        groups = self.groups()
        self._load(2, rate)
        before = groups.cpu()
        loaded = self._load(seconds, rate)
        parts = {name: 1000 * spent / loaded["accepted"] for name, spent in groups.spent(before).items()}
        return [
            Figure(f"accept p99 at {rate:.0f}/s", loaded["p99_ms"], "ms", 100, 30, parts={"p50": loaded["p50_ms"]}),
            Figure("  CPU of one whole payment at that rate", sum(parts.values()), "ms", parts=parts),
        ]

    def waiting(self, payments: int = 300) -> list[Figure]:
        """One client that waits for each end, an instant host, nothing else going on."""
        self.change_host(0)
        latencies = []
        with self.stack.client() as client:
            for number in range(payments + 20):
                headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=20"}
                began = time.perf_counter()
                response = client.post("/payments", json=_PURCHASE, headers=headers)
                took = time.perf_counter() - began
                assert response.json()["status"] == "approved", response.text
                if number >= 20:
                    latencies.append(1000 * took)
        latencies.sort()
        self._see_ended(payments + 20)
        return [
            Figure("Prefer: wait, instant host, idle: p50", latencies[len(latencies) // 2], "ms", 40, 15),
            Figure("  p99", latencies[int(len(latencies) * 0.99)], "ms", 100, 40),
        ]

    def behind(self, payments: int = 6000) -> list[Figure]:
        """Everything behind the accept: payments that appear all at once."""
        groups = self.groups()
        with accept_many(2000):
            pass
        self._see_ended(2000)
        with accept_many(payments):
            before, began = groups.cpu(), time.monotonic()
        self._see_ended(payments)
        took = time.monotonic() - began
        parts = {name: 1000 * spent / payments for name, spent in groups.spent(before).items() if name in _BEHIND}
        return [
            Figure("behind the accept: CPU of a payment", sum(parts.values()), "ms", 0.8, 0.4, parts=parts),
            Figure("  payments to their end", payments / took, "/s", more_is_better=True),
        ]

    def windows(self) -> list[Figure]:
        """One link with frames dispatched already: only taking, writing, reading and filing."""
        self.change_host(20)
        return [
            self._window(16, 2000, 760, 0.95 * 800),
            self._window(64, 8000, 3000, 0.95 * 3200),
            self._window(256, 12000, 5000, 0.95 * 12800),
        ]

    def _window(self, window: int, payments: int, target: float, stretch: float) -> Figure:
        for name in ("link", "worker"):
            self.stack.processes[name].stop()
        self.stack.manage("link", "bank", "--window", str(window))
        with accept_many(payments):
            pass
        dispatch_many(payments)
        since = self.stack.sql("SELECT now() AS at")[0].at
        self.stack.start("link")
        self._wait_for(_UNANSWERED, 60)
        self.stack.start("worker")
        self._see_ended(payments)
        row = self.stack.sql(_WIRE, since)[0]
        assert row.answers == payments, row
        rate = payments / row.seconds
        bare = bare_rate(self.stack.simulator_port, window, payments)
        parts = {"bare client": bare, "% of it": 100 * rate / bare}
        what = f"one link, 20 ms host, window {window}"
        return Figure(what, rate, "/s", target, stretch, more_is_better=True, parts=parts)

    def crowded(self, payments: int = 20_000) -> list[Figure]:
        """Drain payments while a million rows lie in the same table; memory is each process's highest."""
        self.change_host(0)
        groups = self.groups()
        with MemoryPeak(groups) as peak:
            with accept_many(payments):
                began = time.monotonic()
            self._see_ended(payments)
        took = time.monotonic() - began
        parts = {name: peak.mebibytes[name] for name in _PROCESSES}
        what = f"draining {payments:,} beside 1,000,000 rows: largest process"
        return [
            Figure(what, max(parts.values()), "MiB", 200, 120, parts=parts),
            Figure("  payments to their end", payments / took, "/s", more_is_better=True),
        ]

    # How

    def _load(self, seconds: float, rate: float) -> dict[str, Any]:
        arguments = [self.stack.web_port, self.stack.api_key, CONNECTIONS, seconds, rate]
        command = [PYTHON, "-m", "tests.bench.load", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        loaded: dict[str, Any] = json.loads(done.stdout)
        refused = {status: count for status, count in loaded["statuses"].items() if status != "202"}
        assert not refused, f"not every payment was accepted: {refused}"
        self._see_ended(loaded["accepted"])
        return loaded

    def _wait_for(self, still_open: str, within_s: float) -> None:
        """Ask cheaply, on one connection, until nothing is open."""
        deadline = time.monotonic() + within_s
        while self._asking.execute(still_open).fetchone() == (True,):
            assert time.monotonic() < deadline, f"not within {within_s:g} s: {self.stack.sql(_LEFT)}"
            time.sleep(0.05)

    def _see_ended(self, payments: int) -> None:
        """Wait for the end, and see that all of it is approval."""
        self._wait_for(_OPEN, 120)
        self._approved += payments
        ended = self.stack.sql(_ENDED)[0]
        assert (ended.approved, ended.all) == (self._approved, self._approved), (ended, self._approved)
