"""Who acts in a simulation: web processes, Celery workers, beat and link workers, each made of the product.

Owns their lives: start, work, death and restart. What they do at work is the product's own code.
"""

import asyncio
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import psycopg
from django.db import OperationalError

from processor import lease, links
from processor.holder import Holder
from processor.keys.pan_vault import vault_of
from processor.store import LinkStore
from queueing.doorbell import FORWARD, SETTLE, link_queue
from tests.simulation.loop import VirtualLoop
from tests.simulation.stage import _ENVIRONMENT
from tests.simulation.world import Actor, Process
from transactions import forwarding, recovery, settling

if TYPE_CHECKING:
    from tests.simulation.seed import Seed

_RESTART_S: Final = 1.0
_RECOVERY_S: Final = 10.0
_LOOK_S: Final = 0.5
_AWAY: Final = (OperationalError, psycopg.OperationalError)


class Worker:
    """A process that is rung: a Celery worker of one queue, or a web process."""

    def __init__(self, seed: "Seed", name: str, work: Callable[[], None]) -> None:
        self._seed = seed
        self._name = name
        self._work = work
        self._numbers = itertools.count(1)
        self._rung = False
        self.start()

    def start(self) -> None:
        """Start, or start again."""
        world = self._seed.world
        self.process = Process(f"{self._name}.{next(self._numbers)}", world.between(0.0, 1e6), world.now)
        self.actor = Actor(self.process.name, self.process)
        self._rung = False

    def kill(self) -> None:
        """End at once; a supervisor starts it again."""
        self.process.alive = False
        self._seed.world.after(_RESTART_S, None, self.start)

    def ring(self) -> None:
        """Answer a ring, once for many."""
        if not self._rung:
            self._rung = True
            self._seed.world.after(0.0, self.actor, self._answer)

    def _answer(self) -> None:
        self._rung = False
        try:
            self._work()
        except _AWAY as error:
            self._seed.world.log(f"gave up: {error}")
        except Exception as error:  # noqa: BLE001  (no worker may end by itself)
            self._seed.problem(f"worker {self._name} failed: {type(error).__name__}: {error}")


class LinkWorker:
    """A candidate for the link's lease, and its holder while it has it."""

    def __init__(self, seed: "Seed", name: str) -> None:
        self._seed = seed
        self._name = name
        self._numbers = itertools.count(1)
        self.start()

    def start(self) -> None:
        """Start as a standby."""
        world = self._seed.world
        self.process = Process(f"{self._name}.{next(self._numbers)}", world.between(0.0, 1e6), world.now)
        self._loop_actor = Actor(self.process.name, self.process)
        self._lease_actor = Actor(f"{self.process.name}/lease", self.process)
        self._watch_actor = Actor(f"{self.process.name}/watch", self.process)
        self._candidate = lease.Candidate("bank", self.process.name)
        self._connection: Any = None
        self.keeper: lease.Keeper | None = None
        self.holder: Holder | None = None
        self.epoch = 0
        world.after(world.between(0.0, _LOOK_S), self._lease_actor, self._look)

    def kill(self, *, reset: bool = True) -> None:
        """End at once; without `reset` as when the machine lost its power, so that the host hears nothing."""
        if not self.process.alive:
            return
        self.process.alive = False
        for wire in self._seed.network.wires:
            if wire.process is self.process and not reset:
                wire.black = True
        self._seed.network.reset_of(self.process)
        self._seed.world.after(_RESTART_S, None, self.start)

    def stop(self) -> None:
        """Sign off, file, give the lease back, end."""
        if self.holder and self.process.alive:
            self.holder.stop()

    def ring(self) -> None:
        """Somebody rang the link's queue."""
        if self.holder and self.process.alive:
            self.holder.look()

    def _look(self) -> None:
        world = self._seed.world
        try:
            grant = self._candidate.look(lease.connect(""), world.boottime)
        except _AWAY:
            grant = None
        if grant:
            self._hold(grant)
        else:
            world.after(_LOOK_S, self._lease_actor, self._look)

    def _hold(self, grant: lease.Grant) -> None:
        world = self._seed.world
        world.log(f"holds epoch {grant.epoch}")
        self.epoch = grant.epoch
        store = LinkStore("", "bank", grant.epoch, vault_of(_ENVIRONMENT["MASTER_KEY"]))
        self.keeper = lease.Keeper("", grant, self._lost, self._heard)
        self.holder = Holder("bank", store, self.keeper, lambda: links.read("bank"), 3.0, grant.wish)
        world.after(0.0, self._loop_actor, self._run)
        world.after(0.1, self._lease_actor, self._renew)
        self._watch_later()

    def _run(self) -> None:
        assert self.holder
        loop = VirtualLoop(self._seed.world, self._loop_actor)
        loop._enter(lambda: self._begin(loop))

    def _begin(self, loop: VirtualLoop) -> None:
        assert self.holder
        task = loop.create_task(self.holder.run(lambda: None, self._crashed))
        task.add_done_callback(self._ended)

    def _renew(self) -> None:
        assert self.keeper
        self._connection, is_ours = self.keeper._renew(self._connection)
        if not is_ours:
            self._lost("another holder has the lease")
        elif not self.keeper._stopped.is_set():
            pause = lease.RENEW_EVERY_S if self._connection else 0.1
            self._seed.world.after(pause, self._lease_actor, self._renew)

    def _watch_later(self) -> None:
        assert self.keeper
        world = self._seed.world
        left = self.keeper.deadline - self.process.boot_s - world.now
        world.after(max(0.005, left), self._watch_actor, self._watch)

    def _watch(self) -> None:
        assert self.keeper
        if self.keeper._stopped.is_set():
            return
        if self._seed.world.boottime() >= self.keeper.deadline:
            self._lost("it could not be renewed in time")
        else:
            self._watch_later()

    def _heard(self, heard: lease.Heard) -> None:
        if self.holder:
            self.holder.heard(heard)

    def _lost(self, why: str) -> None:
        self._seed.world.log(f"lost the lease: {why}")
        self.kill()

    def _crashed(self, context: dict[str, Any]) -> None:
        self._seed.problem(f"the link worker crashed: {context.get('message')}: {context.get('exception')!r}")
        self.kill()

    def _ended(self, task: "asyncio.Task[None]") -> None:
        if error := task.exception():
            self._crashed({"message": "run", "exception": _first(error)})
            return
        self._seed.world.after(0.0, self._lease_actor, self._leave)

    def _leave(self) -> None:
        assert self.keeper
        self.keeper.release()
        self.kill()


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@dataclass(slots=True)
class Bells:
    """The broker: delivers rings, loses them, doubles them."""

    seed: "Seed"
    loses: float = 0.0
    doubles: float = 0.0
    slowest_s: float = 0.02

    def ring(self, queue: str, after_s: float) -> None:
        """Take a ring."""
        world = self.seed.world
        if world.chance(self.loses):
            world.fault("doorbell lost")
            return
        for _ in range(2 if world.chance(self.doubles) else 1):
            world.after(after_s + world.between(0.001, self.slowest_s), None, lambda: self._deliver(queue))

    def _deliver(self, queue: str) -> None:
        if queue == link_queue("bank"):
            for worker in self.seed.link_workers:
                worker.ring()
            return
        workers = {FORWARD: self.seed.forwarders, SETTLE: self.seed.settlers}[queue]
        self.seed.world.random.choice(workers).ring()


def workers_of(seed: "Seed", name: str, count: int) -> list[Worker]:
    """Return Celery workers of one queue."""
    work = {"forward": forwarding.forward, "settle": settling.settle, "recover": recovery.recover}[name]
    return [Worker(seed, f"{name}{number}", work) for number in range(1, count + 1)]


def beat(seed: "Seed", worker: Worker) -> None:
    """Run the recovery job every few seconds."""
    worker.ring()
    seed.world.after(_RECOVERY_S, None, lambda: beat(seed, worker))
