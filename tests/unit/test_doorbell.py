"""The doorbell: at once when it is quiet, rarely when it is not, and never in anybody's way."""

import threading
import time

import pytest
from kombu.exceptions import OperationalError

from queueing.doorbell import Doorbell, _Bell
from tests.stack import wait_until


class Broker:
    """Counts rings; can be away, or have many waiting."""

    def __init__(self) -> None:
        self.rings: list[tuple[str, str, float]] = []
        self.is_away = False
        self.waiting = 0

    def publish(self, task: str, queue: str) -> None:
        if self.is_away:
            raise OperationalError
        self.rings.append((task, queue, time.monotonic()))

    def bell(self) -> Doorbell:
        return Doorbell(self.publish, lambda _: self.waiting)


@pytest.fixture
def broker() -> Broker:
    return Broker()


def test_the_first_ring_goes_out_at_once(broker: Broker) -> None:
    began = time.monotonic()

    broker.bell().ring("forward")

    wait_until(lambda: broker.rings, 2, "a ring")
    assert broker.rings[0][:2] == ("transactions.tasks.forward", "forward")
    assert broker.rings[0][2] - began < 0.5


def test_a_links_queue_has_its_own_task(broker: Broker) -> None:
    broker.bell().ring("link.bank")

    assert wait_until(lambda: broker.rings, 2, "a ring")[0][0] == "processor.tasks.look"


def test_many_rings_become_few_and_the_last_is_never_lost(broker: Broker) -> None:
    bell = broker.bell()
    began = time.monotonic()
    while time.monotonic() - began < 0.5:
        bell.ring("forward")
    last = time.monotonic()

    wait_until(lambda: broker.rings[-1][2] >= last, 2, "a ring after the last call")
    assert len(broker.rings) < 30


def test_queues_do_not_wait_for_each_other(broker: Broker) -> None:
    bell = broker.bell()
    for queue in ("forward", "settle", "link.bank"):
        bell.ring(queue)

    wait_until(lambda: len(broker.rings) == 3, 2, "three rings")


def test_a_ring_for_later_comes_later_and_all_of_them_come(broker: Broker) -> None:
    bell = broker.bell()
    began = time.monotonic()
    bell.ring("forward", after_s=0.6)
    bell.ring("forward", after_s=0.2)

    wait_until(lambda: len(broker.rings) == 2, 3, "both rings")
    assert [round(at - began, 1) >= due for (_, _, at), due in zip(broker.rings, (0.2, 0.6), strict=True)] == [True] * 2


def test_a_broker_that_is_away_is_nobodys_problem(broker: Broker) -> None:
    bell = broker.bell()
    broker.is_away = True
    bell.ring("forward")
    assert not broker.rings

    broker.is_away = False
    bell.ring("forward")
    wait_until(lambda: broker.rings, 3, "a ring once the broker is back")


def test_ringing_returns_at_once_while_the_broker_hangs() -> None:
    hanging = threading.Event()

    def hang(task: str, queue: str) -> None:
        hanging.wait(5)

    bell = Doorbell(hang, lambda queue: 0)
    bell.ring("forward")
    began = time.monotonic()

    for _ in range(1000):
        bell.ring("forward")

    assert time.monotonic() - began < 1
    hanging.set()


def test_a_queue_that_nobody_reads_does_not_grow_for_ever(broker: Broker) -> None:
    broker.waiting = 1000
    bell = broker.bell()
    for _ in range(63):
        bell._publish("forward", bell._bells.setdefault("forward", _Bell()))

    assert bell._publish("forward", bell._bells["forward"]) == "enough"
    assert bell._publish("forward", bell._bells["forward"]) == "enough"
    broker.waiting = 0
    assert bell._publish("forward", bell._bells["forward"]) == "rung"
