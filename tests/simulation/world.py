"""Virtual time: one seeded scheduler on which every process of the simulation takes its steps.

Owns the clock, the dice, the heap of steps and the trace; knows nothing of payments. A process may die or
stand still between any two of its steps, and inside one wherever it waits (`block`).
"""

import hashlib
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

NOON: Final = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
_DEEPEST: Final = 8
#: many times what a seed takes
_MOST_STEPS: Final = 400_000


class Died(BaseException):
    """The process was killed while it waited."""


class Endless(BaseException):
    """The seed goes in circles."""


@dataclass(slots=True, eq=False)
class Process:
    """What dies, stands still and has a wall clock of its own."""

    name: str
    boot_s: float = 0.0
    started: float = 0.0
    alive: bool = True
    paused_until: float = 0.0
    #: what the wall clock is wrong by
    wall_off_s: float = 0.0


@dataclass(slots=True, eq=False)
class Actor:
    """A thread of a process: one step at a time."""

    name: str
    process: Process
    blocked: bool = False
    deferred: "list[_Step]" = field(default_factory=list)


_Step = tuple[float, int, Actor | None, Callable[[], None]]


class World:
    """The scheduler of one seed."""

    def __init__(self, seed: int, *, tracing: bool = False) -> None:
        self.seed = seed
        self.random = random.Random(seed)
        self.now = 0.0
        self.current: Actor | None = None
        #: what the database server's wall clock is wrong by
        self.database_off_s = 0.0
        self.steps = 0
        self.faults: dict[str, int] = {}
        self.lines: list[str] = []
        self._tracing = tracing
        self._digest = hashlib.sha256()
        self._heap: list[_Step] = []
        self._order = itertools.count()
        self._depth = 0

    # Time

    def wall(self) -> datetime:
        """The wall clock that the acting process reads."""
        off = self.current.process.wall_off_s if self.current else 0.0
        return NOON + timedelta(seconds=self.now + off)

    def database_wall(self) -> datetime:
        """The database server's wall clock."""
        return NOON + timedelta(seconds=self.now + self.database_off_s)

    def boottime(self) -> float:
        """CLOCK_BOOTTIME of the acting process's machine."""
        return self.now + (self.current.process.boot_s if self.current else 0.0)

    def age(self) -> float:
        """Seconds that the acting process has lived."""
        return self.now - self.acting.started

    @property
    def acting(self) -> Process:
        """The process that takes this step."""
        if self.current is None:
            raise RuntimeError("the world itself has no process")
        return self.current.process

    # Chance

    def chance(self, probability: float) -> bool:
        """Roll the dice."""
        return probability > 0 and self.random.random() < probability

    def between(self, low: float, high: float) -> float:
        """A number between two."""
        return low + (high - low) * self.random.random()

    def fault(self, name: str) -> None:
        """Count a fault that was injected."""
        self.faults[name] = self.faults.get(name, 0) + 1
        self.log(f"fault: {name}")

    # Steps

    def at(self, when: float, actor: Actor | None, action: Callable[[], None]) -> None:
        """Do something at a time, as an actor; None is the world itself, which never dies."""
        heapq.heappush(self._heap, (max(when, self.now), next(self._order), actor, action))

    def after(self, seconds: float, actor: Actor | None, action: Callable[[], None]) -> None:
        """Do something after some seconds."""
        self.at(self.now + seconds, actor, action)

    def run_until(self, when: float) -> None:
        """Take every step that is due until then."""
        while self._heap and self._heap[0][0] <= when:
            self._take(heapq.heappop(self._heap))
        self.now = max(self.now, when)

    def block(self, seconds: float) -> None:
        """The acting thread waits; others go on meanwhile. Raises Died when it was killed."""
        actor = self.current
        if actor is None or self._depth >= _DEEPEST:
            return
        actor.blocked, self._depth = True, self._depth + 1
        self.run_until(self.now + seconds)
        while actor.process.alive and actor.process.paused_until > self.now:
            self.run_until(actor.process.paused_until)
        actor.blocked, self._depth = False, self._depth - 1
        self.current = actor
        for step in actor.deferred:
            heapq.heappush(self._heap, (max(step[0], self.now), step[1], step[2], step[3]))
        actor.deferred.clear()
        if not actor.process.alive:
            raise Died

    def _take(self, step: _Step) -> None:
        when, order, actor, action = step
        if actor is not None:
            if not actor.process.alive:
                return
            if actor.blocked:
                actor.deferred.append(step)
                return
            if actor.process.paused_until > max(self.now, when):
                heapq.heappush(self._heap, (actor.process.paused_until, order, actor, action))
                return
        self.now = max(self.now, when)
        self.steps += 1
        if self.steps > _MOST_STEPS:
            raise Endless
        before, self.current = self.current, actor
        try:
            action()
        except Died:
            self.log(f"{actor.name if actor else 'world'} was killed at work")
        finally:
            self.current = before

    # The trace

    def log(self, text: str) -> None:
        """Say what happens; the digest of all that was said tells whether two runs are the same."""
        who = self.current.name if self.current else "-"
        line = f"{self.now:10.4f} {who:<12} {text}"
        self._digest.update(line.encode())
        if self._tracing:
            self.lines.append(line)

    @property
    def digest(self) -> str:
        """Digest of the trace."""
        return self._digest.hexdigest()
