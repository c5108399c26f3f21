"""One seed: a stage, its actors, its faults, from the first payment to the last check."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from unittest.mock import patch

from processor.codec.dialects import DIALECTS
from processor.connection import Connection
from processor.link.breaker import BreakerState
from processor.link.framing import FRAMINGS
from tests.simulation import link_model, payments_model, queue_model
from tests.simulation.actors import Bells, LinkWorker, Worker, beat, workers_of
from tests.simulation.clerk import Clerk
from tests.simulation.clients import Client, cancelling, retrying, some_order
from tests.simulation.faults import Faults
from tests.simulation.host import Host
from tests.simulation.invariants import violations
from tests.simulation.network import Network, opener, reacher
from tests.simulation.staff import Staff
from tests.simulation.stage import Stage
from tests.simulation.tables import Tables
from tests.simulation.wire import Frame
from tests.simulation.world import Actor, Endless, Process, World

_LOOK_S: Final = 5.0
#: three times the longest timer: 300 s and a fifth between two writes of a reversal
_LIVENESS_S: Final = 3 * 360.0
_BUSY_S: Final = 40.0
#: within that the first host carries again
_FAILBACK_S: Final = 90.0


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
        dice = self.world.random
        self._choose_link()
        link = self.tables.one["link"]
        self.host = Host(self.world, DIALECTS[link.dialect_name], link.framing, link.answer_timeout_s)
        self.host.insists_at = _BUSY_S + 12.0
        self.network = Network(self.world, self.host)
        self.network.is_spared = self._is_spared
        self.problems: list[str] = []
        self.framed: list[Frame] | None = None
        self.bells = Bells(self)
        self.stage.rung = self.bells.ring
        self.tables.start_sequence(payments_model.SEQUENCE, dice.choice([0, payments_model.HIGHEST_STAN - 20]))
        self.web = Worker(self, "web", lambda: None)
        self.forwarders = workers_of(self, "forward", dice.choice([1, 2, 3]))
        self.settlers = workers_of(self, "settle", dice.choice([1, 2, 3]))
        self.recoverer = workers_of(self, "recover", 1)[0]
        self.link_workers = [LinkWorker(self, "link-a"), LinkWorker(self, "link-b")]
        self.clients = [Client(self, number) for number in range(1, dice.choice([1, 2, 3]) + 1)]
        #: in some seeds many payments are of the same amount: nothing but STAN and field 7 tells them apart
        self.highest_amount = dice.choice([3, 9000])
        self.staff = Staff(self)
        self.clerk = Clerk(self)
        self.faults = Faults(self)
        self.healed_at = _BUSY_S

    def run(self) -> Result:
        """Live through it, heal, and say what does not hold."""
        open_ = patch.object(Connection, "open", opener(self.network, self._epoch_of))
        with open_, patch.object(Connection, "reaches", reacher(self.network)):
            try:
                self._live()
                found = violations(self)
            except Endless:
                found = [f"it_comes_to_rest: given up after {self.world.steps} steps at {self.world.now:.1f} s"]
        refused = [f"the_database_refuses_nothing: {what}" for what in self.tables.problems]
        found = [*self.problems, *refused, *found]
        return Result(
            seed=self.world.seed,
            violations=found,
            payments=len(self.tables.payments),
            faults={**self.world.faults, **+self.tables.seen},
            digest=self.world.digest,
            seconds=self.world.now,
            trace=self.world.lines,
        )

    def _live(self) -> None:
        beat(self, self.recoverer)
        self.staff.look()
        self.clerk.look()
        self._plan_payments()
        self.faults.plan(_BUSY_S)
        self.world.run_until(_BUSY_S)
        self.faults.heal()
        self.clerk.acts = 0.0
        self.healed_at = self.world.now
        self._post_once_more()
        self._drain()
        if len(self.tables.one["link"].endpoints) > 1:
            self.world.run_until(self.healed_at + _FAILBACK_S)

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
        """True when nothing is owed, nothing is unsettled and every payment has ended."""
        tables = self.tables
        is_unanswered = any(command.state in ("open", "running") for command in tables.commands.values())
        is_as_usual = (tables.one["lease"].wanted, tables.one["lease"].wanted_endpoint) == ("open", "")
        is_owed = bool(tables.entries or tables.inbound or is_unanswered) or not is_as_usual
        return not is_owed and all(row.ended_at for row in tables.payments.values())

    def _choose_link(self) -> None:
        """Half of all seeds speak the usual dialect, the others any, in any framing; some have several hosts."""
        dice, link = self.world.random, self.tables.one["link"]
        hosts = [f"10.0.0.{number} 7000" for number in range(1, dice.choice([1, 1, 2, 3]) + 1)]
        link = self.tables.one["link"] = link.changed(endpoints=hosts, breaker_failures=dice.choice([2, 3, 5]))
        if dice.random() < 0.5:
            dialect, framing = dice.choice(sorted(DIALECTS)), dice.choice(sorted(FRAMINGS))
            self.tables.one["link"] = link.changed(dialect_name=dialect, framing=framing)

    def _plan_payments(self) -> None:
        dice = self.world.random
        for _ in range(dice.randrange(6, 24)):
            client, order = dice.choice(self.clients), some_order(self, self.faults.ending())
            self.world.after(self.world.between(0.0, _BUSY_S - 5), None, lambda c=client, o=order: c.post(o))  # type: ignore[misc]

    def _post_once_more(self) -> None:
        """One more payment of each client, for a healed host to answer."""
        for client in self.clients:
            order = some_order(self, "00")
            self.world.after(self.world.between(0.0, 30.0), None, lambda c=client, o=order: c.post(o))  # type: ignore[misc]

    def _drain(self) -> None:
        until = self.world.now + _LIVENESS_S
        self.world.run_until(self.world.now + _LOOK_S)
        self._come_to_rest(until)
        # What is on its way yet (a late answer) has a while to arrive.
        self.world.run_until(self.world.now + 4 * self.tables.one["link"].answer_timeout_s)
        self._come_to_rest(until)

    def _come_to_rest(self, until: float) -> None:
        while self.world.now < until and not self.is_drained:
            for entry in self.staff.held():
                self.staff.act(entry)
            self.staff.put_link_right()
            self.world.run_until(self.world.now + _LOOK_S)

    def _is_spared(self, process: Process) -> bool:
        holder = next((worker.holder for worker in self.link_workers if worker.process is process), None)
        return holder is not None and holder._breaker.state is BreakerState.OPEN

    def _epoch_of(self, process: Process) -> int:
        return next(worker.epoch for worker in self.link_workers if worker.process is process)
