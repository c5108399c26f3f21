"""Services restarted and wiped under a steady load over HTTP: `python -m tests.faults.outages --rate 200`.

PostgreSQL and Valkey are a run's own, RabbitMQ is a virtual host of its own. After each outage payments must flow
again; in the end every payment that was answered 2xx must have ended right. Exits 1 on any violation.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import redis

from tests.acceptance.conftest import LATEST_ANSWER_S, PATIENCE_S
from tests.faults.load import contradicted
from tests.faults.rabbit import NoRabbit, virtual_host
from tests.faults.services import Services, services
from tests.faults.stack import ProxiedFerry
from tests.faults.steady import Steady
from tests.stack import wait_until

_CALM_S: Final = 8.0
_DRAIN_WITHIN_S: Final = 120.0
_LINK: Final = f"--answer-timeout {PATIENCE_S} --echo-interval 5 --echo-timeout 2 --breaker-open 3"
_OURS: Final = ("simulator", "proxy", "web", "worker", "link", "beat")
_RABBIT: Final = "amqp://guest:guest@127.0.0.1:5672//"
#: approved but for a few that are declined, and fewer that are never answered
_ENDINGS: Final = {0: 985, 51: 10, 68: 5}
_APPROVED_SINCE: Final = (
    "SELECT count(*) AS n FROM transactions_payment WHERE status = 'approved' AND created_at > to_timestamp(%s)"
)

Outage = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Seen:
    """One outage: what clients were answered, and for how long nothing was accepted and nothing ended, in seconds."""

    name: str
    took_s: float
    accepted: int
    refused: int
    broken: int
    pause_of_accepts_s: float
    pause_of_ends_s: float


@dataclass
class Outages:
    """Outages of one installation under one load."""

    ferry: ProxiedFerry
    rate: float
    seen: list[Seen] = field(default_factory=list)

    def run(self, outages: Mapping[str, Outage]) -> list[str]:
        """Set up, load, hurt, drain, check; returns what does not hold."""
        self._set_up()
        clients = Steady(self.ferry, self.rate, body)
        clients.start()
        try:
            self._wait_for_payments(int(self.rate))
            self._suffer(clients, "none", lambda: None)
            for name, outage in outages.items():
                self._suffer(clients, name, outage)
            clients.stop(60)
            time.sleep(LATEST_ANSWER_S)
            self.ferry.wait_until_ended(_DRAIN_WITHIN_S)
        except AssertionError as error:
            return [f"L1: {error}"]
        dead = [f"{name} ended" for name, process in self.ferry.processes.items() if not process.is_running]
        return [*dead, *self.ferry.violations(), *contradicted(self.ferry, clients.told)]

    def _set_up(self) -> None:
        ferry = self.ferry
        ferry.prepare()
        ferry.manage("link", "bank", *_LINK.split())
        ferry.start(*_OURS)
        ferry.wait_until_up(60)
        ferry.control("PUT", "/settings", {"latency_s": 0.02, "jitter_s": 0.03, "client_waits_s": float(PATIENCE_S)})

    def _suffer(self, clients: Steady, name: str, outage: Outage) -> None:
        began = time.time()
        outage()
        healed = time.time()
        self._wait_for_payments(int(self.rate))
        time.sleep(_CALM_S)
        self.seen.append(self._look(clients, name, began, healed))

    def _wait_for_payments(self, count: int) -> None:
        """So many that are accepted from now on are approved."""
        now = time.time()
        wait_until(lambda: self.ferry.sql(_APPROVED_SINCE, now)[0].n >= count, 60, "payments flow")

    def _look(self, clients: Steady, name: str, began: float, healed: float) -> Seen:
        ended = time.time()
        answers = clients.between(began, ended)
        accepted = [answer.at for answer in answers if answer.status in (200, 202)]
        rows = self.ferry.sql(
            "SELECT extract(epoch FROM ended_at)::float AS at FROM transactions_payment"
            " WHERE ended_at BETWEEN to_timestamp(%s) AND to_timestamp(%s) ORDER BY ended_at",
            began,
            ended,
        )
        return Seen(
            name,
            took_s=healed - began,
            accepted=len(accepted),
            refused=sum(answer.status == 503 for answer in answers),
            broken=sum(answer.status not in (200, 202, 503) for answer in answers),
            pause_of_accepts_s=_longest_pause([began, *accepted, ended]),
            pause_of_ends_s=_longest_pause([began, *(row.at for row in rows), ended]),
        )


def body(dice: random.Random) -> dict[str, Any]:
    """One purchase."""
    ending = dice.choices(list(_ENDINGS), list(_ENDINGS.values()))[0]
    return {
        "operation": "purchase",
        "amount": 100 * dice.randrange(10, 1000) + ending,
        "currency": "IDR",
        "card": {"pan": "4111111111111111"},
        "expires_in": 3600,
    }


def table(seen: list[Seen]) -> str:
    """Return a line an outage."""
    heads = ("took s", "2xx", "503", "broken", "no accept s", "no end s")
    lines = [f"{'outage':34}" + "".join(f"{head:>13}" for head in heads)]
    lines += [
        f"{one.name:34}{one.took_s:13.1f}{one.accepted:13}{one.refused:13}{one.broken:13}"
        f"{one.pause_of_accepts_s:13.2f}{one.pause_of_ends_s:13.2f}"
        for one in seen
    ]
    return "\n".join(lines)


def main() -> int:
    """Run once with each broker and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200, help="payments a second")
    parser.add_argument("--rabbit", default=os.environ.get("CI_BROKER_URL", _RABBIT), help="URL of a RabbitMQ, or none")
    options = parser.parse_args()
    seen: list[Seen] = []
    found: list[str] = []
    with _folder() as folder, services(folder / "services") as running:
        outages = Outages(_ferry(folder, running, running.place.broker_url), options.rate)
        found += _run(outages, _of_valkey_and_postgresql(running), seen)
    if options.rabbit:
        try:
            with _folder() as folder, virtual_host(options.rabbit) as own, services(folder / "services") as running:
                ways = {
                    "RabbitMQ: queues purged": own.purge,
                    "RabbitMQ: queues deleted": own.delete_queues,
                    "RabbitMQ: vhost made again": own.make_again,
                }
                found += _run(Outages(_ferry(folder, running, own.url), options.rate), ways, seen)
        except NoRabbit as error:
            found.append(f"RabbitMQ: {error}")
    print(table(seen))
    print(f"{len(found)} violations")
    print("\n".join(found[:50]))
    return 1 if found else 0


def _of_valkey_and_postgresql(running: Services) -> Mapping[str, Outage]:
    def wipe() -> None:
        with redis.Redis(unix_socket_path=str(running.place.sockets / "valkey.sock")) as broker:
            broker.flushall()

    return {
        "PostgreSQL: restarted": lambda: running.restart("postgres", signal.SIGINT),
        "PostgreSQL: crashed": lambda: running.restart("postgres", signal.SIGQUIT),
        "Valkey: wiped": wipe,
        "Valkey: killed and restarted": lambda: running.restart("valkey", signal.SIGKILL),
    }


def _run(outages: Outages, ways: Mapping[str, Outage], seen: list[Seen]) -> list[str]:
    try:
        found = outages.run(ways)
    finally:
        outages.ferry.stop()
    seen += outages.seen
    print(f"{outages.ferry.statuses()}", flush=True)
    return found


def _ferry(folder: Path, running: Services, broker_url: str) -> ProxiedFerry:
    return ProxiedFerry(folder / "state", running.place.database_url, broker_url, settings={"CACHE_SECONDS": "1"})


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="ferryman-outages-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


def _longest_pause(times: list[float]) -> float:
    return max((later - earlier for earlier, later in pairwise(times)), default=0.0)


if __name__ == "__main__":
    sys.exit(main())
