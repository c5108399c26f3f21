"""Posts one webhook: to one address, once, for a bounded time, reading a bounded answer.

Owns the HTTP. The connection goes to the address that was resolved here and nowhere else; TLS asks for, and checks,
the host's name. No redirect is followed, no proxy is used, no cookie is kept.
"""

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import httpx
from django.conf import settings

from queueing import clock
from staff.masking import mask_text
from transactions.webhooks.addresses import Target, target_of
from transactions.webhooks.errors import AddressRefused
from transactions.webhooks.patience import asked_s
from transactions.webhooks.resolving import LOOKUPS, resolve

CONNECT_S: Final = 5.0
TOTAL_S: Final = 15.0
#: what an answer says is in its code: its body is only for people to read
_BODY_S: Final = 2.0
_MOST_READ: Final = 4096
_MOST_KEPT: Final = 200

_ERRORS: Final[Mapping[type[Exception], str]] = {
    TimeoutError: "timeout",
    httpx.ConnectTimeout: "connect_timeout",
    httpx.TimeoutException: "timeout",
    httpx.ConnectError: "cannot_connect",
    httpx.ProtocolError: "not_http",
    httpx.TransportError: "connection_lost",
    OSError: "unknown_host",
}


@dataclass(frozen=True, slots=True)
class Posted:
    """What came of one post: an answer's code and how it began, or what went wrong."""

    duration_s: float
    response_code: int | None = None
    answer: str = ""
    error: str = ""
    #: for how many seconds the receiver wants to be left alone
    asked_s: float = 0.0

    @property
    def is_accepted(self) -> bool:
        """True when the receiver says that it has it."""
        return self.response_code is not None and 200 <= self.response_code < 300


class Poster:
    """Posts many at once, each on a connection of its own."""

    def __init__(self) -> None:
        self._transport = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    async def close(self) -> None:
        """Let go of everything."""
        await self._transport.aclose()

    async def post(self, url: str, headers: Mapping[str, str], body: str) -> Posted:
        """Post once and say what came of it; never raises for what a receiver does."""
        began = time.monotonic()
        try:
            async with asyncio.timeout(TOTAL_S):
                response, answer = await self._post(url, headers, body)
        except AddressRefused as refused:
            return Posted(time.monotonic() - began, error=refused.code)
        except (httpx.TransportError, OSError) as error:
            return Posted(time.monotonic() - began, error=_named(error))
        asked = asked_s(response.status_code, response.headers.get("Retry-After", ""), clock.estimate())
        return Posted(time.monotonic() - began, response.status_code, answer, asked_s=asked)

    async def _post(self, url: str, headers: Mapping[str, str], body: str) -> tuple[httpx.Response, str]:
        allowed = settings.WEBHOOK_PRIVATE_ADDRESSES
        target = target_of(url, private_allowed=allowed)
        loop = asyncio.get_running_loop()
        address = await loop.run_in_executor(LOOKUPS, lambda: resolve(target, private_allowed=allowed))
        response = await self._transport.handle_async_request(_request(target, str(address), headers, body))
        try:
            return response, _masked(await _beginning(response))
        finally:
            await response.aclose()


def _request(target: Target, address: str, headers: Mapping[str, str], body: str) -> httpx.Request:
    """Pinned: the URL names the address; the Host header and the TLS server name name the host."""
    url = httpx.URL(scheme=target.scheme, host=address, port=target.port, raw_path=target.path.encode())
    fixed = {
        "Host": target.authority,
        "Content-Type": "application/json",
        "User-Agent": f"Ferryman/{settings.VERSION}",
        "Connection": "close",
    }
    patience = {"connect": CONNECT_S, "read": TOTAL_S, "write": TOTAL_S, "pool": TOTAL_S}
    extensions = {"sni_hostname": target.host, "timeout": patience}
    return httpx.Request("POST", url, headers={**fixed, **headers}, content=body.encode(), extensions=extensions)


async def _beginning(response: httpx.Response) -> bytes:
    """Return the answer's first bytes, as they came soon; the rest is not read."""
    read = bytearray()
    with suppress(TimeoutError, httpx.TransportError):
        async with asyncio.timeout(_BODY_S):
            async for chunk in response.aiter_raw():
                read += chunk
                if len(read) >= _MOST_READ:
                    break
    return bytes(read[:_MOST_READ])


def _masked(answer: bytes) -> str:
    """Return what may be kept of an answer: its first readable characters, nothing in them that looks like a card."""
    text = mask_text(answer.decode(errors="replace"))
    return "".join(char if char.isprintable() else " " for char in text)[:_MOST_KEPT]


def _named(error: Exception) -> str:
    return next(name for kind, name in _ERRORS.items() if isinstance(error, kind))
