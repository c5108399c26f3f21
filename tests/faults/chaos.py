"""Random faults under load: `python -m tests.faults.chaos --minutes M --faults N --seed S`.

Real processes are killed and the wire, the host, the database and the broker hurt, at random, while clients pay and
staff work. Then everything is healed, the queue must drain in time, and every check is made. Exits 1 on any violation.
"""

import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx
import psycopg
import redis
from amqp.exceptions import AMQPError

from tests.acceptance.conftest import LATEST_ANSWER_S, PATIENCE_S
from tests.faults.brokers import Broker, RabbitMQ, Valkey
from tests.faults.forgery import forge_and_restore
from tests.faults.injuries import FAULTS, Scene
from tests.faults.listener import Listener
from tests.faults.load import Clients
from tests.faults.rabbit import NoRabbit, virtual_host
from tests.faults.services import Services, services
from tests.faults.stack import ProxiedFerry
from tests.faults.staff import Staff
from tests.stack import wait_until

_OURS: Final = ("web", "worker-1", "worker-2", "link-1", "link-2", "beat")
_AT_ONCE: Final = 2
_DRAIN_WITHIN_S: Final = 180.0
#: so that some requests of staff expire
_REQUESTS_LAST_S: Final = 15.0
#: violations of a kind that are printed
_SHOWN: Final = 20
_AWAY: Final = (httpx.HTTPError, psycopg.Error, redis.RedisError, AMQPError, NoRabbit, OSError)
_RECOVERY: Final = """
SELECT extract(epoch FROM p.created_at)::float AS accepted, extract(epoch FROM p.ended_at)::float AS ended
FROM transactions_payment p WHERE p.status = 'approved' ORDER BY p.created_at"""


@dataclass(frozen=True, slots=True)
class Injected:
    """One fault that was there from one time to another."""

    name: str
    began: float
    healed: float


@dataclass
class Chaos:
    """One run; what it starts ends with it."""

    ferry: ProxiedFerry
    services: Services
    broker: Broker
    seed: int
    #: what verify said of an event that was altered by hand
    forged: str = "not reached"
    injected: list[Injected] = field(default_factory=list)
    #: faults that our own tools could not inflict
    failed: list[str] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = Listener(self.ferry)
        self._staff = Staff(self.ferry, self.seed)
        self._keeper = threading.Thread(target=self._keep_running, daemon=True)

    def run(self, minutes: float, faults: int, rate: float) -> list[str]:
        """Load, hurt, heal, drain, check; returns what does not hold."""
        self._set_up()
        self._keeper.start()
        clients = Clients(self.ferry, self.seed, rate)
        clients.start()
        self._staff.start()
        self._hurt(minutes * 60, faults)
        self._heal()
        found = self._come_to_rest(clients)
        found += self.ferry.violations() + clients.check() + self._listener.violations() + self._staff.violations()
        self.forged, unnoticed = forge_and_restore(self.ferry)
        found += unnoticed
        print(
            f"clients were answered {dict(sorted(clients.statuses.items()))}; {self.ferry.statuses()}; {self._listener}"
        )
        return found

    def _come_to_rest(self, clients: Clients) -> list[str]:
        """What hangs is a violation (L1), and keeps nothing else from being checked."""
        try:
            self.ferry.wait_until_up(60)
            self._staff.stop(120)
            self._wait_until_payments_flow()
            clients.stop(60)
            time.sleep(LATEST_ANSWER_S)
            self.ferry.wait_until_ended(_DRAIN_WITHIN_S)
            self._staff.wait_until_done(_DRAIN_WITHIN_S)
            self._listener.wait_until_told()
        except (AssertionError, *_AWAY) as error:
            return [f"L1: {error!r}"]
        return []

    def stop(self) -> None:
        """End everything."""
        self._stopped.set()
        self._listener.stop()
        self.ferry.stop()

    def _set_up(self) -> None:
        ferry = self.ferry
        self.broker.keep_running(ferry)
        ferry.prepare()
        ferry.manage(
            "link",
            "bank",
            "--answer-timeout",
            str(PATIENCE_S),
            "--echo-interval",
            "3",
            "--echo-timeout",
            "2",
            "--breaker-open",
            "3",
        )
        ferry.start("simulator", "proxy", *_OURS)
        ferry.wait_until_up(60)
        ferry.control("PUT", "/settings", {"latency_s": 0.02, "jitter_s": 0.03, "client_waits_s": float(PATIENCE_S)})
        self._listener.subscribe()

    def _keep_running(self) -> None:
        """What a supervisor does."""
        while not self._stopped.wait(0.1):
            self.broker.keep_running(self.ferry)
            for name in (*_OURS, "simulator"):
                if not self.ferry.processes[name].is_running:
                    self.ferry.start(name)

    def _hurt(self, seconds: float, faults: int) -> None:
        dice = random.Random(self.seed)
        names, weights = list(FAULTS), [weight for weight, _ in FAULTS.values()]
        order = dice.choices(names, weights, k=faults)
        began = time.monotonic()
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for number, name in enumerate(order):
                due = began + seconds * number / faults
                time.sleep(max(0.0, due - time.monotonic()))
                pool.submit(self._inject, name, random.Random(f"{self.seed}/{number}"))

    def _inject(self, name: str, dice: random.Random) -> None:
        began = time.time()
        for _ in range(20):
            try:
                FAULTS[name][1](Scene(self.ferry, self.services, self.broker, self._listener, dice))
                break
            except _AWAY:
                time.sleep(0.5)  # another fault keeps us from it
            except Exception as error:  # noqa: BLE001  (what it is has to be told in the end)
                self.failed.append(f"{name}: {error!r}")
                return
        self.injected.append(Injected(name, began, time.time()))

    def _heal(self) -> None:
        self.ferry.proxy("POST", "/heal")

    def _wait_until_payments_flow(self) -> None:
        """Payments accepted after the last fault are approved."""
        healed = time.time()
        statement = f"SELECT 1 FROM ({_RECOVERY}) AS paid WHERE accepted > %s LIMIT 1"
        wait_until(lambda: self.ferry.sql(statement, healed), 60, "payments flow again")

    def table(self) -> str:
        """Return what was injected, and how long it was until payments accepted afterwards were approved."""
        paid = self.ferry.sql(_RECOVERY)
        by_name: dict[str, list[float]] = defaultdict(list)
        for fault in self.injected:
            ends = [row.ended for row in paid if row.accepted >= fault.healed]
            by_name[fault.name].append(min(ends, default=float("inf")) - fault.healed)
        lines = [f"{'fault':32}{'times':>6}{'median s':>10}{'worst s':>10}"]
        lines += [
            f"{name:32}{len(times):6}{statistics.median(times):10.1f}{max(times):10.1f}"
            for name in FAULTS
            if (times := by_name.get(name))
        ]
        lines += ["", self._staff.table(), ""]
        lines.append(f"one event altered by hand, and put back; verify: {self.forged}")
        return "\n".join(lines)


def main() -> int:
    """Run once, print the table, say how to run it again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int(datetime.now(UTC).timestamp()))
    parser.add_argument("--rate", type=float, default=50, help="payments a second")
    parser.add_argument("--broker", default="", help="URL of a RabbitMQ: a virtual host of its own there")
    parser.add_argument("--keep", type=Path, help="a folder for logs and journals, kept")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferryman-chaos-", ignore_cleanup_errors=True) as name:
        folder = options.keep or Path(name)
        folder.mkdir(exist_ok=True)
        folder.chmod(0o711)
        with services(folder / "services") as running, _broker(options.broker, running) as broker:
            ferry = ProxiedFerry(folder / "state", running.place.database_url, broker.url)
            ferry.settings |= {"BACKLOG_LIMIT": "100000", "RECOVERY_SECONDS": "2", "LOG_LEVEL": "INFO"}
            ferry.settings |= {"WEBHOOK_PRIVATE_ADDRESSES": "1", "REQUEST_HOURS": str(_REQUESTS_LAST_S / 3600)}
            chaos = Chaos(ferry, running, broker, options.seed)
            try:
                return _report(chaos, options)
            finally:
                chaos.stop()


@contextmanager
def _broker(url: str, running: Services) -> Iterator[Broker]:
    if not url:
        yield Valkey(running)
        return
    with virtual_host(url) as own:
        yield RabbitMQ(own)


def _report(chaos: Chaos, options: Any) -> int:
    found = chaos.run(options.minutes, options.faults, options.rate)
    print(chaos.table())
    print(f"{len(chaos.injected)} faults, {len(found)} violations")
    for failed in chaos.failed:
        print(f"not injected: {failed}")
    by_kind: dict[str, list[str]] = defaultdict(list)
    for violation in found:
        by_kind[violation.split(":")[0]].append(violation)
    for kind, violations in by_kind.items():
        print(f"  {kind}: {len(violations)}", *violations[:_SHOWN], sep="\n    ")
    again = f"--minutes {options.minutes:g} --faults {options.faults} --rate {options.rate:g} --seed {options.seed}"
    again += f" --broker {options.broker}" if options.broker else ""
    print(f"again: python -m tests.faults.chaos {again}")
    return 1 if found or chaos.failed else 0


if __name__ == "__main__":
    sys.exit(main())
