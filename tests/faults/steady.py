"""Clients that pay at a steady rate, whatever is answered: an open loop on a thread of its own.

Every payment has its key and is posted until it is told, or once; every answer is remembered. Costs a fraction of what
`load` costs and does less: nobody cancels, nobody waits for an end.
"""

import asyncio
import json
import random
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from tests.acceptance.conftest import Ferry
from tests.faults.load import Told
from tests.stack import wait_until

_ANSWERED_WITHIN_S: Final = 15.0
_ACCEPTED: Final = frozenset({200, 202})


@dataclass(frozen=True, slots=True)
class Answer:
    """What one request was answered, and when (wall clock); status 0: the connection broke."""

    at: float
    status: int
    took_s: float = 0.0
    retry_after: str = ""
    code: str = ""


@dataclass
class Steady:
    """Posts at a rate until stopped; `told` and `answers` grow meanwhile."""

    ferry: Ferry
    rate: float
    make_body: Callable[[random.Random], Mapping[str, Any]]
    #: repeat with the same key after so long until told; None: a refused client goes away
    again_s: float | None = 0.5
    connections: int = 64
    seed: int = 8583
    told: list[Told] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._idle: asyncio.LifoQueue[_Connection] = asyncio.LifoQueue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        """Begin to post."""
        self._thread.start()
        self._paying = asyncio.run_coroutine_threadsafe(self._pay_for_ever(), self._loop)

    def stop(self, within_s: float) -> None:
        """Post nothing new; fails when one is not told its answer in time."""
        self._stopping.set()
        wait_until(self._paying.done, within_s, "every client was answered")
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._paying.result()

    def between(self, began: float, ended: float) -> list[Answer]:
        """What was answered in a span of time."""
        return [answer for answer in self.answers if began <= answer.at <= ended]

    async def _pay_for_ever(self) -> None:
        loop, dice = asyncio.get_running_loop(), random.Random(self.seed)
        for _ in range(self.connections):
            self._idle.put_nowait(_Connection(self.ferry.web_port, self.ferry.api_key))
        began, number = loop.time(), 0
        async with asyncio.TaskGroup() as tasks:
            while not self._stopping.is_set():
                number += 1
                await asyncio.sleep(max(0.0, began + number / self.rate - loop.time()))
                told = Told(str(uuid.UUID(int=dice.getrandbits(128))), self.make_body(dice))
                tasks.create_task(self._pay(told))
        while not self._idle.empty():
            await self._idle.get_nowait().end()

    async def _pay(self, told: Told) -> None:
        while True:
            answer = await self._post(told)
            self.answers.append(answer)
            if answer.status in _ACCEPTED:
                self.told.append(told)
                return
            if self.again_s is None:
                return
            await asyncio.sleep(self.again_s)

    async def _post(self, told: Told) -> Answer:
        connection = await self._idle.get()
        began = time.monotonic()
        try:
            async with asyncio.timeout(_ANSWERED_WITHIN_S):
                status, headers, content = await connection.post(told.key, told.body)
        except (OSError, asyncio.IncompleteReadError) as error:
            connection.close()
            return Answer(time.time(), 0, time.monotonic() - began, code=type(error).__name__)
        finally:
            self._idle.put_nowait(connection)
        if status in _ACCEPTED:
            told.payment_id = content["id"]
        took = time.monotonic() - began
        code = str(content.get("type", "")).rpartition(":")[2]
        return Answer(time.time(), status, took, headers.get("retry-after", ""), code)


class _Connection:
    """One keep-alive connection, opened when it is needed."""

    def __init__(self, port: int, api_key: str) -> None:
        self._port = port
        self._head = (
            f"POST /api/v1/payments HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {api_key}\r\n"
            "Content-Type: application/json\r\n"
        )
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def post(self, key: str, body: Mapping[str, Any]) -> tuple[int, Mapping[str, str], Any]:
        """Return status, headers and content."""
        if self._streams and self._streams[0].at_eof():
            self.close()  # the server closes what was idle for long
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        content = json.dumps(body)
        writer.write(f"{self._head}Idempotency-Key: {key}\r\nContent-Length: {len(content)}\r\n\r\n{content}".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in head[1:] if line)}
        answered = await reader.readexactly(int(headers.get("content-length", "0")))
        return int(head[0].split()[1]), headers, json.loads(answered or b"{}")

    async def end(self) -> None:
        """Close, and see it closed."""
        if self._streams:
            writer = self._streams[1]
            self.close()
            with suppress(OSError):
                await writer.wait_closed()

    def close(self) -> None:
        """Open another one next time."""
        if self._streams:
            self._streams[1].close()
        self._streams = None
