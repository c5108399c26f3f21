"""The link's holder is cut off from the database, and not from the host: `python -m tests.faults.partition`.

Two link workers: one on a machine of its own (a network namespace) that reaches the database over a cable, one beside
the host as a standby. nft lets the packets on that cable vanish, in each way in turn, while clients pay. The journal of
the proxy before the host says who wrote what and when. Exits 1 on any violation.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from processor.lease import TTL_S
from queueing.clock import boottime
from tests.acceptance.conftest import PATIENCE_S
from tests.faults import verdict
from tests.faults.load import Clients
from tests.faults.namespace import CUTS, Network, NoNetwork, network
from tests.faults.services import services
from tests.faults.stack import ProxiedFerry
from tests.faults.verdict import Cut, Epoch
from tests.stack import wait_until

_INSIDE: Final = "link-inside"
_OUTSIDE: Final = "link-outside"
_LINK: Final = f"--answer-timeout {PATIENCE_S} --echo-interval 2 --echo-timeout 1.5 --breaker-open 3"
#: how long both are left alone after the standby took over: a holder that does not fall silent is heard by then
_ALONE_S: Final = 4.0
_DRAIN_WITHIN_S: Final = 90.0


@dataclass
class Partition:
    """One run; what it starts ends with it."""

    ferry: ProxiedFerry
    network: Network
    cuts: list[Cut] = field(default_factory=list)
    epochs: list[Epoch] = field(default_factory=list)

    def run(self, rate: float) -> list[str]:
        """Cut in every way, heal, drain; returns what does not hold."""
        self._set_up()
        clients = Clients(self.ferry, 8583, rate)
        clients.start()
        try:
            for way in CUTS:
                self._hold_inside()
                self._wait_for_payments(50)
                self._cut(way)
            clients.stop(60)
            self.ferry.wait_for_late_answers()
            self.ferry.wait_until_ended(_DRAIN_WITHIN_S)
        except AssertionError as error:
            return [*self._judge(), f"L1: {error}"]
        return [*self._judge(), *self.ferry.violations(), *clients.check()]

    def _set_up(self) -> None:
        ferry = self.ferry
        ferry.prepare()
        ferry.manage("link", "bank", *_LINK.split())
        ferry.start("simulator", "proxy", "web", "worker", "beat")
        self._start_inside()
        ferry.wait_until_up(60)
        ferry.control("PUT", "/settings", {"latency_s": 0.05, "client_waits_s": float(PATIENCE_S)})

    def _start_inside(self) -> None:
        """Start the link worker that knows the database by its address on the cable."""
        url = f"postgres://ferryman@{self.network.database}:5432/ferryman"
        command = [*self.network.at_holder, *self.ferry.command(_INSIDE)]
        self.ferry.spawn(_INSIDE, command, DATABASE_URL=url, DATABASE_DIRECT_URL=url)

    def _hold_inside(self) -> None:
        """The one on the cable holds, the other waits."""
        ferry = self.ferry
        if _OUTSIDE in ferry.processes:
            ferry.processes[_OUTSIDE].stop(30)
        wait_until(lambda: ferry.holder().name == _INSIDE, 30, "the holder is on the cable")
        ferry.wait_until_up(60)
        waiting = _times_waited(ferry)
        ferry.start(_OUTSIDE)
        wait_until(lambda: _times_waited(ferry) > waiting, 30, "the standby waits")

    def _cut(self, way: str) -> None:
        ferry, old = self.ferry, self.ferry.processes[_INSIDE]
        epoch = _epoch(ferry)
        cut = Cut(way, boottime(), epoch)
        self.network.cut(way)
        try:
            wait_until(lambda: _epoch(ferry) > epoch, TTL_S + 10, "the standby has the lease")
            self._wait_for_payments(50)
            time.sleep(_ALONE_S)
            self.cuts.append(replace(cut, dropped=self.network.dropped()))
        finally:
            self.network.heal()
        wait_until(lambda: not old.is_running, TTL_S, "the holder that was cut off ended")
        waited = _times_waited(ferry, _INSIDE)
        self._start_inside()
        wait_until(lambda: _times_waited(ferry, _INSIDE) > waited, 30, "it waits as a standby")

    def _wait_for_payments(self, count: int) -> None:
        goal = self.ferry.approved() + count
        wait_until(lambda: self.ferry.approved() > goal, 60, "payments are approved")

    def _judge(self) -> list[str]:
        """What the proxy's journal says."""
        lines = self.ferry.wire_journal()
        attempts = self.ferry.sql("SELECT stan, epoch FROM transactions_attempt WHERE epoch > 0")
        epoch_of = {row.stan: row.epoch for row in attempts}
        self.epochs = verdict.epochs(lines, epoch_of)
        return [
            *verdict.mixed_connections(lines, epoch_of),
            *verdict.overtaken_epochs(self.epochs),
            *(late for cut in self.cuts for late in verdict.held_too_long(cut, self.epochs)),
        ]

    def table(self) -> str:
        """Return each cut with what followed, in seconds after it, and what the proxy saw of each epoch."""
        by_number = {epoch.number: epoch for epoch in self.epochs}
        heads = ("lost", "epoch", "request", "byte", "closed", "next")
        lines = [
            "packets lost; the cut-off epoch, its last request, last byte and close, and the next one's first byte:",
            "seconds after the cut",
            f"{'cut':18}" + "".join(f"{head:>10}" for head in heads),
        ]
        for cut in self.cuts:
            old, new = by_number.get(cut.epoch), by_number.get(cut.epoch + 1)
            if old and new:
                after = [at - cut.at for at in (old.last_payment, old.ended, old.closed, new.began)]
                lines.append(f"{cut.way:18}{cut.dropped:10}{cut.epoch:10}" + "".join(f"{s:10.2f}" for s in after))
        began = min((epoch.began for epoch in self.epochs), default=0.0)
        lines += [
            "",
            f"{'epoch':>6}  {'from':16}{'connections':>12}{'requests':>10}{'bytes':>10}{'first s':>10}{'last s':>10}",
        ]
        lines += [
            f"{epoch.number:6}  {epoch.peer:16}{epoch.connections:12}{epoch.payments:10}{epoch.bytes_out:10}"
            f"{epoch.began - began:10.3f}{epoch.ended - began:10.3f}"
            for epoch in self.epochs
        ]
        return "\n".join(lines)


def main() -> int:
    """Run once and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=50, help="payments a second")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ferryman-partition-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        try:
            with network() as cable, services(folder / "services", cable) as running:
                place = running.place
                ferry = ProxiedFerry(folder / "state", place.database_url, place.broker_url, proxy_host=cable.outside)
                ferry.settings |= {"RECOVERY_SECONDS": "2", "CACHE_SECONDS": "1"}
                return _report(Partition(ferry, cable), options)
        except NoNetwork as error:
            print(error, file=sys.stderr)
            return 2


def _report(partition: Partition, options: Any) -> int:
    try:
        found = partition.run(options.rate)
    finally:
        partition.ferry.stop()
    print(partition.table())
    print(f"\n{partition.ferry.statuses()}; {len(found)} violations")
    print("\n".join(found[:50]))
    return 1 if found else 0


def _epoch(ferry: ProxiedFerry) -> int:
    return int(ferry.sql("SELECT epoch FROM processor_lease WHERE link = 'bank'")[0].epoch)


def _times_waited(ferry: ProxiedFerry, name: str = _OUTSIDE) -> int:
    """How often a worker of this name began to wait for the lease."""
    log = ferry.folder / f"{name}.log"
    return log.read_text().count("link.standby") if log.exists() else 0


if __name__ == "__main__":
    sys.exit(main())
