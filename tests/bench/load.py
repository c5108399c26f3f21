"""A load generator that costs little: keep-alive connections of raw HTTP/1.1, one request after another on each.

Run as: python -m tests.bench.load URL KEY CONNECTIONS SECONDS RATE; RATE 0 is as fast as it goes. Prints JSON.
"""

import asyncio
import json
import os
import sys
import time
from typing import Final

_BODY: Final = (
    b'{"operation":"purchase","amount":1250000,"currency":"IDR","card":{"pan":"4111111111111111"},"expires_in":3600}'
)


class Client(asyncio.Protocol):
    """One connection; `post` returns the status of an answer."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._answered: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way out."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, received: bytes) -> None:
        """Read one answer: status line, Content-Length, body."""
        self._buffer += received
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self._buffer[:end]).lower()
        start = head.index(b"content-length:") + 15
        length = int(head[start : head.find(b"\r\n", start) if head.find(b"\r\n", start) > 0 else None])
        if len(self._buffer) >= end + 4 + length:
            del self._buffer[: end + 4 + length]
            assert self._answered is not None
            self._answered.set_result(int(head[9:12]))

    def connection_lost(self, error: Exception | None) -> None:
        """Nothing more comes."""
        if self._answered and not self._answered.done():
            self._answered.set_exception(error or ConnectionResetError())

    async def post(self, request: bytes) -> int:
        """Send a request and wait for its status."""
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answered


async def main(port: int, key: str, connections: int, seconds: float, rate: float) -> None:
    """Load a server and print what came of it."""
    loop = asyncio.get_running_loop()
    head = (
        f"POST /api/v1/payments HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(_BODY)}\r\nIdempotency-Key: {os.getpid()}-"
    ).encode()
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    began = time.perf_counter()
    turn = 0

    async def one() -> None:
        nonlocal turn
        _, client = await loop.create_connection(Client, "127.0.0.1", port)
        while True:
            turn += 1
            number = turn
            due = began + number / rate if rate else 0.0
            if (now := time.perf_counter()) < due:
                await asyncio.sleep(due - now)
            sent = max(due, time.perf_counter()) if rate else time.perf_counter()
            if sent - began > seconds:
                return
            status = await client.post(head + b"%d\r\n\r\n" % number + _BODY)
            latencies.append(time.perf_counter() - sent)
            statuses[status] = statuses.get(status, 0) + 1

    await asyncio.gather(*(one() for _ in range(connections)))
    latencies.sort()
    took = time.perf_counter() - began
    print(  # noqa: T201
        json.dumps(
            {
                "accepted": statuses.get(202, 0),
                "statuses": statuses,
                "seconds": took,
                "p50_ms": latencies[len(latencies) // 2] * 1000,
                "p99_ms": latencies[int(len(latencies) * 0.99)] * 1000,
            }
        )
    )


if __name__ == "__main__":
    _, port_, key_, connections_, seconds_, rate_ = sys.argv
    asyncio.run(main(int(port_), key_, int(connections_), float(seconds_), float(rate_)))
