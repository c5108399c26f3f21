"""Rings Celery workers: "look again", never more. Every ring may be lost; recovery rings for it.

One background thread a process publishes, so that nobody waits for the broker: the first ring goes out
at once, then at most one a queue every interval, longer while rings keep coming. A lower package names
a higher one's task by its string, here.
"""

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import structlog
from amqp.exceptions import AMQPError
from kombu.exceptions import KombuError
from prometheus_client import Counter

from queueing import broker
from queueing.failpoints import reach

_SHORTEST_S: Final = 0.02
_LONGEST_S: Final = 0.08
#: so many calls in one interval make the next one longer: a message costs more than a row
_BUSY: Final = 8
_AFTER_FAILURE_S: Final = 1.0
#: every so many rings the broker is asked how many wait: a queue nobody reads must not grow for ever
_LOOK_EVERY: Final = 64
_ENOUGH: Final = 100

FORWARD: Final = "forward"
SETTLE: Final = "settle"
WEBHOOKS: Final = "webhooks"
MAINTENANCE: Final = "maintenance"

_TASKS: Final = {
    FORWARD: "transactions.tasks.forward",
    SETTLE: "transactions.tasks.settle",
    MAINTENANCE: "transactions.tasks.work_on_jobs",
    WEBHOOKS: "transactions.tasks.deliver",
}
_LINK_TASK: Final = "processor.tasks.look"

_log = structlog.get_logger(__name__)
_rung = Counter("ferryman_rings_total", "Doorbell rings by queue and result.", ["queue", "result"])


def link_queue(link: str) -> str:
    """Return the queue that only the holder of the link's lease consumes."""
    return f"link.{link}"


@dataclass(slots=True)
class _Bell:
    quiet_until: float = 0.0
    interval: float = _SHORTEST_S
    calls: int = 0
    rung: int = 0


@dataclass(slots=True)
class Doorbell:
    """Rings queues by `publish(task, queue)`, unless `waiting(queue)` rings wait already."""

    publish: Callable[[str, str], None]
    waiting: Callable[[str], int]
    _bells: dict[str, _Bell] = field(default_factory=dict)
    #: queue -> when to ring it, in tenths of a second where it is for later
    _wanted: dict[str, set[float]] = field(default_factory=dict)
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _thread: threading.Thread | None = None

    def ring(self, queue: str, after_s: float = 0.0) -> None:
        """Ring soon, or after some seconds; returns at once and never raises."""
        due = math.ceil((time.monotonic() + after_s) * 10) / 10 if after_s else 0.0
        with self._changed:
            self._bells.setdefault(queue, _Bell()).calls += 1
            times = self._wanted.setdefault(queue, set())
            if due in times:
                return
            times.add(due)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="doorbell", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (ready := self._take_ready()):
                    self._changed.wait(self._pause())
            for queue in ready:
                self._ring_now(queue, self._bells[queue])

    def _take_ready(self) -> list[str]:
        """Return the queues to ring now, and forget the times that this ring serves."""
        now = time.monotonic()
        ready = [queue for queue in self._wanted if self._due(queue) <= now]
        for queue in ready:
            later = {due for due in self._wanted.pop(queue) if due > now}
            if later:
                self._wanted[queue] = later
        return ready

    def _due(self, queue: str) -> float:
        return max(min(self._wanted[queue]), self._bells[queue].quiet_until)

    def _pause(self) -> float | None:
        if not self._wanted:
            return None
        return max(0.0, min(map(self._due, self._wanted)) - time.monotonic())

    def _ring_now(self, queue: str, bell: _Bell) -> None:
        bell.interval = min(bell.interval * 2, _LONGEST_S) if bell.calls >= _BUSY else _SHORTEST_S
        bell.calls = 0
        bell.quiet_until = time.monotonic() + bell.interval
        try:
            result = self._publish(queue, bell)
        except (KombuError, AMQPError, OSError) as error:
            bell.quiet_until = time.monotonic() + _AFTER_FAILURE_S
            result = "failed"
            _log.warning("doorbell.failed", queue=queue, error=type(error).__name__)
        _rung.labels(queue, result).inc()

    def _publish(self, queue: str, bell: _Bell) -> str:
        bell.rung += 1
        if bell.rung % _LOOK_EVERY == 0 and self.waiting(queue) > _ENOUGH:
            bell.rung -= 1
            return "enough"
        reach("before_a_ring")
        self.publish(_TASKS.get(queue, _LINK_TASK), queue)
        reach("after_a_ring")
        return "rung"


_doorbell = Doorbell(broker.publish, broker.waiting)


def ring(queue: str, after_s: float = 0.0) -> None:
    """Ring a queue of this process's broker; returns at once and never raises."""
    _doorbell.ring(queue, after_s)
