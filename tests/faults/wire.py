"""One connection through the proxy: frames in, what the rules make of them out, in each direction.

Owns both sockets of it; which frame is picked and for what is `rules`.
"""

import asyncio
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from processor.codec.errors import CodecError, FramingError
from processor.codec.message import Message, decode, encode
from tests.faults.rules import IN, OUT, Rule

if TYPE_CHECKING:
    from tests.faults.proxy import Proxy

READ_SIZE: Final = 4096
_RESET: Final = struct.pack("ii", 1, 0)
_STOP_LOOKING_S: Final = 0.02
_TCP_CLOSE: Final = 7
_GARBAGE: Final = b"This is not ISO 8583."

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Wire:
    """One connection: two directions between our side and the host's."""

    def __init__(self, number: int, proxy: "Proxy", ours: Streams, host: Streams) -> None:
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
            reset(writer)

    async def flood(self, frame: bytes, seconds: float) -> None:
        """Send a frame to our side again and again, as fast as it is taken."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        self._writers[0].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, READ_SIZE)
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout_at(until):
                while loop.time() < until:
                    self._writers[0].write(frame * 100)
                    await self._writers[0].drain()
                    self.proxy.flooded += 100

    def _end(self, *, orderly: bool) -> None:
        for writer in self._writers:
            if orderly:
                writer.close()
            else:
                reset(writer)


class Way:
    """One direction of a connection: frames in, what the rules make of them out, in order but for what is delayed."""

    def __init__(self, wire: Wire, direction: str, source: Streams, target: asyncio.StreamWriter) -> None:
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
        #: (when, bytes, whether a reset follows), in order
        self._line: asyncio.Queue[tuple[float, bytes, bool]] = asyncio.Queue()

    async def read(self) -> None:
        """Read until the source ends."""
        while True:
            await self._wait_until_reading()
            received = await self._reader.read(READ_SIZE)
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
            due, frame, is_last = await self._line.get()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            await self._write(frame)
            if is_last:
                loop.call_later(0.01, self._wire.reset, "rule")
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

    def _send(self, frame: bytes, *, is_last: bool = False) -> None:
        settings = self._proxy.settings
        if settings.swallows(self._direction) or self._is_cut:
            return
        late_by = settings.latency_s + settings.jitter_s * self._proxy.dice.random()
        self._line.put_nowait((asyncio.get_running_loop().time() + late_by, frame, is_last))

    def _send_and_reset(self, frame: bytes) -> None:
        """The last of this connection, whatever other rules make of the frames behind it."""
        if self._proxy.settings.swallows(self._direction):
            self._wire.reset("rule")
        self._send(frame, is_last=True)
        self._is_cut = True

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


def reset(writer: asyncio.StreamWriter) -> None:
    """Abort a connection, so that its other end learns it at once."""
    if not writer.is_closing():
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        writer.transport.abort()
