"""Somebody who receives webhooks, well or badly: a real server on a real socket, of which a test asks what it saw."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from standardwebhooks import Webhook


@dataclass(slots=True)
class Received:
    """One request."""

    path: str
    headers: dict[str, str]
    body: bytes
    at: float = field(default_factory=time.monotonic)

    def verified(self, secret: str) -> Any:
        """Return what it says; raises WebhookVerificationError unless the secret signed it."""
        return Webhook(secret).verify(self.body, self.headers)


Manner = Callable[[BaseHTTPRequestHandler], None]


def answering(code: int, body: bytes = b"", **headers: str) -> Manner:
    """Answer at once."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        with suppress(OSError):
            handler.wfile.write(body)

    return answer


def asking_for_quiet(code: int, retry_after: str) -> Manner:
    """Refuse, and say for how long or until when."""
    headers = {"Retry-After": retry_after}
    return answering(code, b"", **headers)


def hanging(handler: BaseHTTPRequestHandler) -> None:
    """Say nothing until the other side goes."""
    handler.connection.settimeout(60)
    with suppress(OSError):
        handler.connection.recv(1)


def dripping(handler: BaseHTTPRequestHandler) -> None:
    """Answer a byte at a time, for ever."""
    with suppress(OSError):
        for byte in b"HTTP/1.1 200 OK\r\nX-Slow: " + b"a" * 10_000:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(0.02)


def dribbling(handler: BaseHTTPRequestHandler) -> None:
    """Answer 200 at once, and go on with its body a byte at a time, for ever."""
    with suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            handler.wfile.write(b"x")
            handler.wfile.flush()
            time.sleep(0.02)


def cut_off(handler: BaseHTTPRequestHandler) -> None:
    """Promise a body and go after its first words."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nthanks")


def flooding(handler: BaseHTTPRequestHandler) -> None:
    """Answer 200 with a body that never ends."""
    with suppress(OSError):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            handler.wfile.write(b"x" * 65_536)
            handler.server.flooded += 65_536  # type: ignore[attr-defined]


def babbling(handler: BaseHTTPRequestHandler) -> None:
    """Say something that is no HTTP."""
    handler.wfile.write(b"220 smtp ready\r\n")


class Receiver:
    """A receiver: `manner` is how it answers from now on, `hear` what is done with a request; it is kept without."""

    def __init__(self, manner: Manner, hear: Callable[[Received], object] | None = None) -> None:
        self.manner = manner
        self.received: list[Received] = []
        self._hear = hear or self.received.append
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                if len(body) < length:
                    return  # whoever was speaking is gone
                receiver._hear(Received(self.path, dict(self.headers), body))
                receiver.manner(self)

            def log_message(self, *_: Any) -> None:
                """Not worth a line."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.flooded = 0  # type: ignore[attr-defined]

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """What an endpoint's URL may be."""
        return f"http://127.0.0.1:{self.port}/hooks"

    @property
    def flooded(self) -> int:
        """How many bytes it has answered while it flooded."""
        return int(self._server.flooded)  # type: ignore[attr-defined]

    def wrap(self, context: Any) -> None:
        """Speak TLS from now on."""
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def serve(self) -> None:
        """Answer until stopped."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def receiving(manner: Manner | None = None) -> Iterator[Receiver]:
    """Yield a receiver that answers 204, or as told."""
    receiver = Receiver(manner or answering(204))
    receiver.serve()
    try:
        yield receiver
    finally:
        receiver.stop()


def resolving_to(*addresses: str) -> Callable[..., list[Any]]:
    """Return a `getaddrinfo` whose every call gives the next of these addresses, and the last for ever."""
    left = list(addresses)

    def look_up(_host: str, port: int, **_: Any) -> list[Any]:
        return [_found(left.pop(0) if len(left) > 1 else left[0], port)]

    return look_up


def resolving_to_all(*addresses: str) -> Callable[..., list[Any]]:
    """Return a `getaddrinfo` whose every call gives all of these addresses."""
    return lambda _host, port, **_: [_found(address, port) for address in addresses]


def _found(address: str, port: int) -> Any:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.SOCK_STREAM, 6, "", (address, port)
