"""One seed: a stage, its actors, its faults, from the first payment to the last check."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from unittest.mock import patch

from processor.connection import Connection
from tests.simulation import link_model, payments_model, queue_model
from tests.simulation.actors import Bells, LinkWorker, Worker, beat, workers_of
from tests.simulation.clients import Client, cancelling, retrying, some_order
from tests.simulation.faults import Faults
from tests.simulation.host import Host
from tests.simulation.invariants import Frame, violations
from tests.simulation.network import Network, opener
from tests.simulation.stage import Stage
from tests.simulation.tables import Tables
from tests.simulation.world import Actor, Process, World

_LOOK_S: Final = 5.0
#: three times the longest timer: 300 s and a fifth between two writes of a reversal
_LIVENESS_S: Final = 3 * 360.0
_BUSY_S: Final = 40.0


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a seed."""

    seed: int
    violations: list[str]
    payments: int
    faults: dict[str, int]
    digest: str
    seconds: float
    trace: list[str]


class Seed:
    """Everything that a seed decides."""

    def __init__(self, number: int, *, tracing: bool = False, forced: Sequence[str] = ()) -> None:
        #: faults that this seed has whatever the dice say
        self.forced = forced
        self.world = World(number, tracing=tracing)
        self.tables = Tables(self.world.database_wall, lambda: self.world.now, self.world.log)
        self.stage = Stage(self.world, self.tables)
        queue_model.install(self.tables)
        payments_model.install(self.tables)
        link_model.install(self.tables)
        self.host = Host(self.world, self.tables.one["link"].answer_timeout_s)
        self.host.insists_at = _BUSY_S + 12.0
        self.network = Network(self.world, self.host)
        self.problems: list[str] = []
        self.framed: list[Frame] | None = None
        self.bells = Bells(self)
        self.stage.rung = self.bells.ring
        dice = self.world.random
        self.tables.start_sequence(payments_model.SEQUENCE, dice.choice([0, payments_model.HIGHEST_STAN - 20]))
        self.web = Worker(self, "web", lambda: None)
        self.forwarders = workers_of(self, "forward", dice.choice([1, 2, 3]))
        self.settlers = workers_of(self, "settle", dice.choice([1, 2, 3]))
        self.recoverer = workers_of(self, "recover", 1)[0]
        self.link_workers = [LinkWorker(self, "link-a"), LinkWorker(self, "link-b")]
        self.clients = [Client(self, number) for number in range(1, dice.choice([1, 2, 3]) + 1)]
        #: in some seeds many payments are of the same amount: nothing but STAN and field 7 tells them apart
        self.highest_amount = dice.choice([3, 9000])
        self.faults = Faults(self)

    def run(self) -> Result:
        """Live through it, heal, and say what does not hold."""
        with patch.object(Connection, "open", opener(self.network, self._epoch_of)):
            beat(self, self.recoverer)
            self._plan_payments()
            self.faults.plan(_BUSY_S)
            self.world.run_until(_BUSY_S)
            self.faults.heal()
            self._drain()
        refused = [f"the_database_refuses_nothing: {what}" for what in self.tables.problems]
        found = [*self.problems, *refused, *violations(self)]
        return Result(
            seed=self.world.seed,
            violations=found,
            payments=len(self.tables.payments),
            faults=self.world.faults,
            digest=self.world.digest,
            seconds=self.world.now,
            trace=self.world.lines,
        )

    def problem(self, what: str) -> None:
        """Something happened that nothing injected can excuse."""
        self.world.log(f"PROBLEM {what}")
        self.problems.append(f"no_worker_ends_by_itself: {what}")

    def later(self, worker: Worker, seconds: float, action: Callable[[], None]) -> None:
        """Let a process do something, as a thread of its own."""
        process = worker.process
        self.world.after(seconds, Actor(process.name, process), action)

    def cancel(self, payment_id: uuid.UUID) -> None:
        """A client thinks again."""
        cancelling(payment_id)

    def retry(self, payment_id: uuid.UUID) -> None:
        """Staff look at it."""
        retrying(payment_id)

    @property
    def is_drained(self) -> bool:
        """True when nothing is owed and nothing is unsettled."""
        return not self.tables.entries and not self.tables.inbound

    def _plan_payments(self) -> None:
        dice = self.world.random
        for _ in range(dice.randrange(6, 24)):
            client, order = dice.choice(self.clients), some_order(self, self.faults.ending())
            self.world.after(self.world.between(0.0, _BUSY_S - 5), None, lambda c=client, o=order: c.post(o))  # type: ignore[misc]

    def _drain(self) -> None:
        until = self.world.now + _LIVENESS_S
        self.world.run_until(self.world.now + _LOOK_S)
        while self.world.now < until and not self.is_drained:
            for entry in list(self.tables.entries.values()):
                if entry.state == "held":
                    self.later(self.web, 0.0, lambda i=entry.payment_id: retrying(i))  # type: ignore[misc]
            self.world.run_until(self.world.now + _LOOK_S)
        # What is on its way yet (a late answer) has a while to arrive.
        self.world.run_until(self.world.now + 4 * self.tables.one["link"].answer_timeout_s)
        while self.world.now < until and not self.is_drained:
            self.world.run_until(self.world.now + _LOOK_S)

    def _epoch_of(self, process: Process) -> int:
        return next(worker.epoch for worker in self.link_workers if worker.process is process)
