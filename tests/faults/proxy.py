"""A proxy between the link worker and its host that knows ISO 8583, and does to the wire what networks and hosts do.

Runs as a process of its own: `python -m tests.faults.proxy --listen H:P --upstream H:P --control P --journal F`.
Owns what holds for all connections; one is `wire`, what is done to which frame `rules`, how it is asked `control`.
"""

import argparse
import asyncio
import itertools
import random
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from processor.codec.dialects import DIALECTS
from processor.codec.message import Message, encode
from processor.link.framing import FRAMINGS
from tests.faults.control import Control
from tests.faults.journal import Journal
from tests.faults.rules import Rule, Settings
from tests.faults.wire import READ_SIZE, Wire, reset


class Proxy:
    """Listens for one link and passes its connections on to one host."""

    def __init__(self, upstream: tuple[str, int], journal: Journal) -> None:
        self.upstream = upstream
        self.dialect = DIALECTS["bank-ascii87"]
        self.framing = FRAMINGS["ascii4"]
        self.journal = journal
        self.settings = Settings()
        self.rules: list[Rule] = []
        self.dice = random.Random(8583)
        self.wires: dict[int, Wire] = {}
        #: how many frames our side was flooded with
        self.flooded = 0
        self._numbers = itertools.count(1)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to its end."""
        number = next(self._numbers)
        if self.settings.refuse:
            self.journal.note(number, "refused")
            reset(writer)
            return
        self.journal.note(number, "connected", peer=writer.get_extra_info("peername")[0])
        try:
            host = await asyncio.open_connection(*self.upstream)
        except OSError:
            self.journal.note(number, "no host")
            reset(writer)
            return
        self.wires[number] = wire = Wire(number, self, (reader, writer), host)
        try:
            await wire.carry()
        finally:
            del self.wires[number]
            self.journal.note(number, "closed")

    def change(self, settings: Mapping[str, Any]) -> None:
        """Change some settings."""
        self.settings.change(settings)

    def reset_all(self) -> int:
        """Reset every connection, on both sides; returns how many."""
        for wire in list(self.wires.values()):
            wire.reset("asked")
        return len(self.wires)

    async def flood(self, asked: Mapping[str, Any]) -> None:
        """Send a message that nobody asked for, by every connection and for some seconds, as fast as it is taken."""
        fields = {int(number): text for number, text in asked["fields"].items()}
        frame = self.framing(self.dialect.max_body).frame(encode(Message(asked["mti"], fields), self.dialect))
        await asyncio.gather(*(wire.flood(frame, asked["seconds"]) for wire in self.wires.values()))

    def heal(self) -> None:
        """Forget every setting and rule."""
        self.settings = Settings()
        self.rules.clear()

    def status(self) -> dict[str, Any]:
        """Return how things are."""
        rules = [asdict(rule) for rule in self.rules]
        return {
            "connections": sorted(self.wires),
            "settings": asdict(self.settings),
            "rules": rules,
            "flooded": self.flooded,
        }


async def run(proxy: Proxy, address: str, port: int, control_port: int) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    serving = asyncio.current_task()
    assert serving is not None
    loop.add_signal_handler(signal.SIGTERM, serving.cancel)
    server = await asyncio.start_server(proxy.connected, address, port, limit=READ_SIZE)
    Control(proxy, loop, control_port).start()
    with suppress(asyncio.CancelledError):
        async with server:
            await server.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--upstream", required=True, metavar="HOST:PORT")
    parser.add_argument("--control", type=int, required=True, metavar="PORT")
    parser.add_argument("--journal", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    host, _, port = options.upstream.rpartition(":")
    address, _, own_port = options.listen.rpartition(":")
    proxy = Proxy((host, int(port)), Journal(options.journal))
    asyncio.run(run(proxy, address, int(own_port), options.control))


if __name__ == "__main__":
    main()
