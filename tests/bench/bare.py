"""The floor of a link: the same host and window, one connection, and no database, no keys and no books behind it."""

import asyncio
import time

from processor.codec.message import Message, encode
from processor.link.framing import Ascii4
from tests.builders import BANK, request_fields


class _Client(asyncio.Protocol):
    """Writes a window of requests, and the next for every answer."""

    def __init__(self, window: int, count: int, finished: "asyncio.Future[None]") -> None:
        self._framing = Ascii4(8192)
        self._request = self._framing.frame(encode(Message("0200", request_fields()), BANK))
        self._window, self._unsent, self._unanswered = window, count - window, count
        self._finished = finished

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._request * self._window)

    def data_received(self, received: bytes) -> None:
        answers = len(list(self._framing.feed(received)))
        self._unanswered -= answers
        now = min(answers, self._unsent)
        self._unsent -= now
        if now:
            self._transport.write(self._request * now)
        if not self._unanswered:
            self._finished.set_result(None)


def bare_rate(port: int, window: int, count: int) -> float:
    """Return how many requests a second the host answers through one window."""

    async def run() -> float:
        loop = asyncio.get_running_loop()
        finished: asyncio.Future[None] = loop.create_future()
        began = time.perf_counter()
        transport, _ = await loop.create_connection(lambda: _Client(window, count, finished), "127.0.0.1", port)
        await finished
        transport.close()
        return count / (time.perf_counter() - began)

    return asyncio.run(run())
