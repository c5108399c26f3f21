"""A host that only measures us: it approves every request of `bank-ascii87` after a fixed delay, and keeps no books.

Its answers are cut from the requests, so that it costs a few microseconds where the simulator costs hundreds.
Run as: python -m tests.bench.host PORT DELAY_MS
"""

import asyncio
import selectors
import sys
from typing import Final

from processor.codec.dialects import DIALECTS
from processor.codec.message import Message, decode, encode
from processor.link.framing import Ascii4

_DIALECT: Final = DIALECTS["bank-ascii87"]
_CARRIED: Final = (4, 7, 11, 12, 13, 37, 38, 39, 41, 42, 49)
_BITMAP: Final = b"%016X" % sum(1 << (64 - number) for number in _CARRIED)


def answer(body: bytes) -> bytes:
    """Return the approval of a purchase: fields 4 to 13 and 41 to 49 lie together in both."""
    amount = 22 + int(body[20:22]) + 6
    reference = amount + 38
    return b"0210" + _BITMAP + body[amount : reference + 12] + b"12345600" + body[reference + 12 : reference + 46]


def network_answer(body: bytes) -> bytes:
    """Return the 0810 of an 0800."""
    asked = decode(body, _DIALECT)
    return encode(Message("0810", {**asked.fields, 39: "00"}), _DIALECT)


class Host(asyncio.Protocol):
    """One connection."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._framing = Ascii4(8192)
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, received: bytes) -> None:
        """Answer everything that came in one read with one write."""
        frames = []
        for body in self._framing.feed(received):
            if body[1:2] == b"8":
                self._transport.write(self._framing.frame(network_answer(body)))
            else:
                frames.append(self._framing.frame(answer(body)))
        if frames and self._delay_s:
            self._loop.call_later(self._delay_s, self._transport.write, b"".join(frames))
        elif frames:
            self._transport.write(b"".join(frames))


async def main(port: int, delay_s: float) -> None:
    """Serve for ever."""
    server = await asyncio.get_running_loop().create_server(lambda: Host(delay_s), "127.0.0.1", port)
    await server.serve_forever()


def precise_loop() -> asyncio.AbstractEventLoop:
    """Return a loop that keeps time to the microsecond: epoll's rounds up to the next millisecond."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        runner.run(main(int(sys.argv[1]), float(sys.argv[2]) / 1000))
