"""A virtual host of our own in a RabbitMQ that others use too: it may be wiped in every way without hurting them.

Needs `rabbitmqctl` and the right to use it. Never touches another virtual host, and never the broker itself.
"""

import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from kombu import Connection

from queueing.broker import queue_of
from tests.acceptance.conftest import QUEUES, purge

_WITHIN_S: Final = 60


class NoRabbit(Exception):
    """There is no RabbitMQ here in which we could make a virtual host."""


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """One virtual host, by name and by the URL of its broker."""

    name: str
    url: str

    def purge(self) -> None:
        """Take every message out of every queue."""
        purge(self.url)

    def delete_queues(self) -> None:
        """Delete every queue, while its consumers are there."""
        with Connection(self.url) as connection:
            for name in QUEUES:
                queue_of(name)(connection.default_channel).delete()

    def make(self) -> None:
        """Make it, empty, for the user of the URL."""
        _control("add_vhost", self.name)
        _control("set_permissions", "-p", self.name, urlsplit(self.url).username or "guest", ".*", ".*", ".*")

    def delete(self) -> None:
        """Delete it with all that is in it; whoever is connected is thrown out."""
        _control("delete_vhost", self.name)

    def make_again(self) -> None:
        """Delete it and make it again, empty."""
        self.delete()
        self.make()


@contextmanager
def virtual_host(broker_url: str) -> Iterator[VirtualHost]:
    """Make a virtual host beside the one of a URL for the length of a block; raises NoRabbit."""
    name = f"ferryman-{secrets.token_hex(4)}"
    made = VirtualHost(name, urlunsplit(urlsplit(broker_url)._replace(path=f"/{name}")))
    made.make()
    try:
        yield made
    finally:
        made.delete()


def _control(*command: str) -> None:
    try:
        done = subprocess.run(
            ["rabbitmqctl", "-q", *command], capture_output=True, text=True, check=False, timeout=_WITHIN_S
        )
    except FileNotFoundError:
        raise NoRabbit("rabbitmqctl is not installed here.") from None
    if done.returncode:
        raise NoRabbit(f"rabbitmqctl {' '.join(command)}: {done.stderr.strip()}")
