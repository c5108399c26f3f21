"""The broker of a chaos run and how it is hurt: a Valkey of its own, or a virtual host in a RabbitMQ that stays up."""

import os
import random
import signal
import threading
import time
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import urlsplit, urlunsplit

import redis

from tests.faults.rabbit import VirtualHost
from tests.faults.services import Services
from tests.stack import PYTHON, free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.faults.stack import ProxiedFerry

_RELAY: Final = "relay"


class Broker(Protocol):
    """What may happen to a broker."""

    url: str

    def keep_running(self, ferry: "ProxiedFerry") -> None:
        """Start what is ours and does not run: called often, from one thread."""

    def wipe(self, dice: random.Random) -> None:
        """Lose every message."""

    def kill(self) -> None:
        """End, without a word, and come back."""

    def frozen(self) -> AbstractContextManager[None]:
        """Neither read nor answer for the length of a block."""


class Valkey:
    """The run's own."""

    def __init__(self, services: Services) -> None:
        self.url = services.place.broker_url
        self._services = services

    def keep_running(self, ferry: "ProxiedFerry") -> None:
        """The services do."""

    def wipe(self, dice: random.Random) -> None:
        """All of it at once."""
        with redis.Redis(unix_socket_path=str(self._services.place.sockets / "valkey.sock")) as broker:
            broker.flushall()

    def kill(self) -> None:
        """The process itself."""
        self._services.restart("valkey", signal.SIGKILL)

    def frozen(self) -> AbstractContextManager[None]:
        """The process itself."""
        return self._services.frozen("valkey")


class RabbitMQ:
    """A virtual host, reached through a relay that may be killed and frozen in the broker's place."""

    def __init__(self, own: VirtualHost) -> None:
        (self._port,) = free_ports(1)
        self._own = own
        self._relay_pid = 0
        self._lock = threading.Lock()
        parts = urlsplit(own.url)
        user, _, self._there = parts.netloc.rpartition("@")
        self.url = urlunsplit(parts._replace(netloc=f"{user}@127.0.0.1:{self._port}"))

    def keep_running(self, ferry: "ProxiedFerry") -> None:
        """Start the relay, whose process ends with the thread that started it."""
        relay = ferry.processes.get(_RELAY)
        if relay is None or not relay.is_running:
            command = [PYTHON, "-m", "tests.relay", str(self._port), self._there]
            self._relay_pid = ferry.spawn(_RELAY, command).pid

    def wipe(self, dice: random.Random) -> None:
        """In any of three ways."""
        with self._lock:
            dice.choice([self._own.purge, self._own.delete_queues, self._own.make_again])()

    def kill(self) -> None:
        """Every connection breaks, and none is to be had until the relay is started again."""
        os.killpg(self._relay_pid, signal.SIGKILL)
        time.sleep(0.5)

    @contextmanager
    def frozen(self) -> "Iterator[None]":
        """The relay swallows everything."""
        stopped = self._relay_pid
        os.killpg(stopped, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(stopped, signal.SIGCONT)
