"""A proxy between the link worker and its host that knows ISO 8583, and does to the wire what networks and hosts do.

Runs as a process of its own: `python -m tests.faults.proxy --listen P --upstream HOST:PORT --control P2 --journal F`.
Owns sockets, frames and their journal; what is done to which frame is `rules`, how it is asked is `control`.
"""

import argparse
import asyncio
import itertools
import random
import signal
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from processor.codec.dialects import DIALECTS
from processor.codec.errors import CodecError, FramingError
from processor.codec.message import Message, decode, encode
from processor.link.framing import FRAMINGS
from tests.faults.control import Control
from tests.faults.journal import Journal
from tests.faults.rules import IN, OUT, Rule, Settings

_READ_SIZE: Final = 4096
_RESET: Final = struct.pack("ii", 1, 0)
_STOP_LOOKING_S: Final = 0.02
_TCP_CLOSE: Final = 7
_GARBAGE: Final = b"This is not ISO 8583."

_Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


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
        self._numbers = itertools.count(1)

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one connection to its end."""
        number = next(self._numbers)
        if self.settings.refuse:
            self.journal.note(number, "refused")
            _reset(writer)
            return
        self.journal.note(number, "connected")
        try:
            host = await asyncio.open_connection(*self.upstream)
        except OSError:
            self.journal.note(number, "no host")
            _reset(writer)
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

    def heal(self) -> None:
        """Forget every setting and rule."""
        self.settings = Settings()
        self.rules.clear()

    def status(self) -> dict[str, Any]:
        """Return how things are."""
        rules = [asdict(rule) for rule in self.rules]
        return {"connections": sorted(self.wires), "settings": asdict(self.settings), "rules": rules}


class Wire:
    """One connection: two directions between our side and the host's."""

    def __init__(self, number: int, proxy: Proxy, ours: _Streams, host: _Streams) -> None:
        self.number = number
        self.proxy = proxy
        self._writers = (ours[1], host[1])
        for writer in self._writers:
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._ways = (Way(self, OUT, ours, host[1]), Way(self, IN, host, ours[1]))

    async def carry(self) -> None:
        """Carry until either side ends; what is on its way then is lost with a reset, delivered otherwise."""
        tasks = [asyncio.create_task(action) for way in self._ways for action in (way.read(), way.deliver())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            errors = [error for task in done if (error := task.exception())]
            for error in errors:
                if not isinstance(error, OSError):
                    raise error
            self._end(orderly=not errors)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._end(orderly=False)

    def reset(self, why: str) -> None:
        """Reset both sides now."""
        self.proxy.journal.note(self.number, "reset", why=why)
        for writer in self._writers:
            _reset(writer)

    def _end(self, *, orderly: bool) -> None:
        for writer in self._writers:
            if orderly:
                writer.close()
            else:
                _reset(writer)


class Way:
    """One direction of a connection: frames in, what the rules make of them out, in order but for what is delayed."""

    def __init__(self, wire: Wire, direction: str, source: _Streams, target: asyncio.StreamWriter) -> None:
        self._wire = wire
        self._proxy = wire.proxy
        self._direction = direction
        self._reader = source[0]
        self._source: socket.socket = source[1].get_extra_info("socket")
        self._target = target
        self._framing = wire.proxy.framing(wire.proxy.dialect.max_body)
        self._is_framed = True
        #: the connection is about to be reset: nothing may follow half a frame
        self._is_cut = False
        #: (when, bytes), in order
        self._line: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def read(self) -> None:
        """Read until the source ends."""
        while True:
            await self._wait_until_reading()
            received = await self._reader.read(_READ_SIZE)
            if not received:
                await self._settle()
                return
            self._proxy.journal.bytes(self._wire.number, self._direction, len(received))
            await self._wait_until_reading()
            self._take(received)

    async def deliver(self) -> None:
        """Write what is due."""
        loop = asyncio.get_running_loop()
        while True:
            due, frame = await self._line.get()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            await self._write(frame)
            self._line.task_done()

    async def _settle(self) -> None:
        """What was read before an orderly end is delivered all the same."""
        with suppress(TimeoutError, OSError):
            async with asyncio.timeout(1):
                await self._line.join()
                await self._target.drain()

    async def _wait_until_reading(self) -> None:
        """Wait while nothing is read; when the source was reset meanwhile, what it had sent is lost with it."""
        paused = False
        while self._direction == OUT and not self._proxy.settings.reads:
            paused = True
            self._reader._transport.pause_reading()  # type: ignore[attr-defined]
            await asyncio.sleep(_STOP_LOOKING_S)
        if paused:
            if self._source.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == _TCP_CLOSE:
                raise ConnectionResetError
            self._reader._transport.resume_reading()  # type: ignore[attr-defined]

    def _take(self, received: bytes) -> None:
        if not self._is_framed:
            self._send(received)
            return
        try:
            for body in self._framing.feed(received):
                self._frame(body)
        except FramingError:
            self._proxy.journal.note(self._wire.number, "unframed", direction=self._direction)
            self._is_framed = False
            self._send(bytes(self._framing._buffer))

    def _frame(self, body: bytes) -> None:
        message = self._read_message(body)
        mti, stan = (message.mti, message.get(11) or "") if message else ("", "")
        picking = (rule for rule in self._proxy.rules if rule.picks(self._direction, mti, stan, self._proxy.dice))
        rule = next(picking, None)
        action = rule.action if rule else ""
        self._proxy.journal.frame(self._wire.number, self._direction, mti, stan, action)
        if rule is None:
            self._send(self._framing.frame(body))
        else:
            self._act(rule, body, message)

    def _act(self, rule: Rule, body: bytes, message: Message | None) -> None:
        frame = self._framing.frame(body)
        match rule.action:
            case "duplicate":
                self._send(frame + frame)
            case "garbage":
                self._send(self._framing.frame(_GARBAGE))
            case "mutate":
                self._send(self._framing.frame(self._mutated(message, rule.fields) if message else body))
            case "delay":
                asyncio.get_running_loop().call_later(rule.seconds, self._send, frame)
            case "cut":
                self._send_and_reset(frame[: len(frame) // 2])
            case "pass_and_reset":
                self._send_and_reset(frame)
            case "reset":
                self._wire.reset("rule")

    def _mutated(self, message: Message, changes: Mapping[str, str]) -> bytes:
        changed = {**message.fields, **{int(number): text for number, text in changes.items()}}
        return encode(
            Message(message.mti, {number: text for number, text in changed.items() if text}), self._proxy.dialect
        )

    def _read_message(self, body: bytes) -> Message | None:
        try:
            return decode(body, self._proxy.dialect)
        except CodecError:
            return None

    def _send(self, frame: bytes) -> None:
        settings = self._proxy.settings
        if settings.swallows(self._direction) or self._is_cut:
            return
        late_by = settings.latency_s + settings.jitter_s * self._proxy.dice.random()
        self._line.put_nowait((asyncio.get_running_loop().time() + late_by, frame))

    def _send_and_reset(self, frame: bytes) -> None:
        self._is_cut = True
        self._target.write(frame)
        asyncio.get_running_loop().call_later(0.01, self._wire.reset, "rule")

    async def _write(self, frame: bytes) -> None:
        settings = self._proxy.settings
        size = settings.slice_bytes or len(frame)
        for start in range(0, len(frame), size):
            if self._target.is_closing():
                raise ConnectionResetError
            piece = frame[start : start + size]
            self._target.write(piece)
            await self._target.drain()
            if settings.slice_bytes or settings.bytes_per_s:
                await asyncio.sleep(len(piece) / settings.bytes_per_s if settings.bytes_per_s else 0)


def _reset(writer: asyncio.StreamWriter) -> None:
    if not writer.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()


async def run(proxy: Proxy, port: int, control_port: int) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    serving = asyncio.current_task()
    assert serving is not None
    loop.add_signal_handler(signal.SIGTERM, serving.cancel)
    server = await asyncio.start_server(proxy.connected, "127.0.0.1", port, limit=_READ_SIZE)
    Control(proxy, loop, control_port).start()
    with suppress(asyncio.CancelledError):
        async with server:
            await server.serve_forever()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listen", type=int, required=True, metavar="PORT")
    parser.add_argument("--upstream", required=True, metavar="HOST:PORT")
    parser.add_argument("--control", type=int, required=True, metavar="PORT")
    parser.add_argument("--journal", type=Path, required=True, metavar="FILE")
    options = parser.parse_args()
    host, _, port = options.upstream.rpartition(":")
    proxy = Proxy((host, int(port)), Journal(options.journal))
    asyncio.run(run(proxy, options.listen, options.control))


if __name__ == "__main__":
    main()
