"""A host that stops reading and answering, under a steady load: `python -m tests.faults.stuck --seconds 300`.

Payments are accepted until the backlog limit and refused with 503 and Retry-After from then on, the memory of every
process of ours stays flat, and once the host is back everything ends right: what expired, unsent. Exits 1 on any
violation.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.acceptance.conftest import LATEST_ANSWER_S, PATIENCE_S
from tests.bench.processes import Groups
from tests.faults.load import contradicted
from tests.faults.services import services
from tests.faults.stack import ProxiedFerry
from tests.faults.steady import Answer, Steady
from tests.stack import wait_until

_OURS: Final = ("web", "worker", "link", "beat")
_LINK: Final = f"--answer-timeout {PATIENCE_S} --echo-interval 5 --echo-timeout 2 --breaker-open 3"
_EVERY_S: Final = 1.0
#: while it lasts, samples of one part are held against those of another
_PARTS: Final = 5
_MAY_GROW_MIB: Final = 10.0
_MAY_GROW: Final = 0.05
#: of the payments, who wants to be carried soon or not at all: more than the minute within which a customer waits
_IMPATIENT: Final = 0.3
_IMPATIENT_S: Final = 90
#: the figure by which a payment is refused is a second old, and as much older as fifty times its counting takes
_FIGURE_S: Final = 2.0
_FIGURE_COUNTS: Final = 50
_DRAIN_WITHIN_S: Final = 300.0
_WAITING: Final = "SELECT count(*) AS n FROM queueing_queueentry WHERE state IN ('waiting', 'blocked', 'ready')"


@dataclass
class Samples:
    """Memory of each process in MiB and entries that wait, every second while it is entered."""

    ferry: ProxiedFerry
    mebibytes: dict[str, list[float]] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)
    slowest_count_s: float = 0.0
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Samples":
        self._groups = Groups({name: self.ferry.processes[name].pid for name in _OURS})
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._over.wait(_EVERY_S):
            for name, mebibytes in self._groups.largest().items():
                self.mebibytes.setdefault(name, []).append(mebibytes)
            began = time.monotonic()
            self.waiting.append(self.ferry.sql(_WAITING)[0].n)
            self.slowest_count_s = max(self.slowest_count_s, time.monotonic() - began)

    def parts(self, name: str) -> list[float]:
        """The highest reading of each part of the time, in order."""
        readings = self.mebibytes[name]
        return [max(readings[len(readings) * part // _PARTS :][: len(readings) // _PARTS]) for part in range(_PARTS)]

    def grown(self) -> list[str]:
        """Name what needed more in the last part than in the second: the first is for warming up."""
        found = []
        for name in self.mebibytes:
            _, before, *_, last = self.parts(name)
            if last > before + max(_MAY_GROW_MIB, _MAY_GROW * before):
                found.append(f"the memory of {name} grew from {before:.0f} to {last:.0f} MiB")
        return found


@dataclass
class Stuck:
    """One stall of the host, and what was seen of it."""

    ferry: ProxiedFerry
    rate: float
    limit: int
    began: float = 0.0
    ended: float = 0.0
    drained: float = 0.0

    def __post_init__(self) -> None:
        self.samples = Samples(self.ferry)
        self.clients = Steady(self.ferry, self.rate, body, again_s=None)

    def run(self, seconds: float) -> list[str]:
        """Load, stall, return, drain, check; returns what does not hold."""
        ferry, clients = self.ferry, self.clients
        clients.start()
        try:
            goal = ferry.approved() + int(self.rate)
            wait_until(lambda: ferry.approved() > goal, 60, "payments flow")
            ferry.wire(reads=False, swallow="in")
            self.began = time.time()
            with self.samples:
                time.sleep(seconds)
            self.ended = time.time()
            ferry.wire(reads=True, swallow="")
            approved = ferry.approved()
            wait_until(lambda: ferry.approved() > approved, 60, "payments flow again")
            clients.stop(60)
            ferry.wait_until_ended(_DRAIN_WITHIN_S)
            self.drained = time.time()
            time.sleep(LATEST_ANSWER_S)
            ferry.wait_until_ended(30)
        except AssertionError as error:
            return [*self._judge(), f"L1: {error}"]
        return [*self._judge(), *ferry.violations(), *contradicted(ferry, clients.told)]

    @property
    def stuck(self) -> list[Answer]:
        """What clients were answered while the host was stuck."""
        return self.clients.between(self.began, self.ended or time.time())

    @property
    def refused(self) -> list[Answer]:
        """Who was refused meanwhile because too many waited."""
        return [answer for answer in self.stuck if answer.status == 503 and answer.code == "backlog-full"]

    def _judge(self) -> list[str]:
        found = self.samples.grown()
        found += [f"{name} ended" for name, process in self.ferry.processes.items() if not process.is_running]
        if not self.refused:
            found.append("nobody was refused: the limit was not reached")
        most = self.limit + self.rate * (_FIGURE_S + _FIGURE_COUNTS * self.samples.slowest_count_s)
        if max(self.samples.waiting, default=0) > most:
            found.append(f"{max(self.samples.waiting)} waited, more than {most:.0f}")
        found += [f"503 without Retry-After: {answer}" for answer in self.refused if not answer.retry_after]
        strange = Counter(f"{answer.status} {answer.code}" for answer in self.stuck if answer.status != 202)
        del strange["503 backlog-full"]
        return [*found, *(f"{times} were answered {what}" for what, times in strange.items())]

    def table(self) -> str:
        """Return memory by process, and what was accepted, refused and carried."""
        lines = [f"{'MiB, highest in each part':28}" + "".join(f"{part + 1:>8}" for part in range(_PARTS))]
        lines += [
            f"{name:28}" + "".join(f"{most:8.1f}" for most in self.samples.parts(name))
            for name in self.samples.mebibytes
        ]
        accepted = sum(answer.status == 202 for answer in self.stuck)
        took = sorted(answer.took_s for answer in self.stuck if answer.status == 202) or [0.0]
        first = min((answer.at for answer in self.refused), default=float("nan")) - self.began
        lines += [
            f"stuck for {self.ended - self.began:.0f} s at {self.rate:g} payments/s, limit {self.limit}",
            f"accepted meanwhile {accepted}, in {took[len(took) // 2] * 1000:.0f} ms (median)",
            f"refused with 503 and Retry-After {len(self.refused)}, the first after {first:.1f} s",
            f"most that waited {max(self.samples.waiting)}; slowest count {self.samples.slowest_count_s:.3f} s",
            f"all ended {self.drained - self.ended:.1f} s after the host was back",
            f"{self.ferry.statuses()}",
        ]
        return "\n".join(lines)


def body(dice: random.Random) -> dict[str, Any]:
    """One purchase that can wait; some for less long than others."""
    return {
        "operation": "purchase",
        "amount": 100 * dice.randrange(10, 1000),
        "currency": "IDR",
        "card": {"pan": "4111111111111111"},
        "expires_in": _IMPATIENT_S if dice.random() < _IMPATIENT else 3600,
    }


def main() -> int:
    """Run once and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200, help="payments a second")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--limit", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferryman-stuck-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        with services(folder / "services") as running:
            ferry = ProxiedFerry(folder / "state", running.place.database_url, running.place.broker_url)
            ferry.settings["BACKLOG_LIMIT"] = str(options.limit)
            stuck = Stuck(ferry, options.rate, options.limit)
            try:
                return _report(stuck, options.seconds)
            finally:
                ferry.stop()


def _report(stuck: Stuck, seconds: float) -> int:
    ferry = stuck.ferry
    ferry.prepare()
    ferry.manage("link", "bank", *_LINK.split())
    ferry.start("simulator", "proxy", *_OURS)
    ferry.wait_until_up(60)
    ferry.control("PUT", "/settings", {"client_waits_s": float(PATIENCE_S)})
    found = stuck.run(seconds)
    print(stuck.table())
    print(f"{len(found)} violations")
    print("\n".join(found[:50]))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
