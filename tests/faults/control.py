"""The proxy's control API: a few addresses of JSON on a port of its own, while it runs.

GET  /          connections, settings, rules
PUT  /settings  change some settings
POST /rules     add a rule
POST /reset     reset every connection
POST /flood     send a message to our side again and again: mti, fields, seconds
POST /heal      forget every setting and rule
"""

import asyncio
import inspect
import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, cast

from tests.faults.rules import Refused, Rule

if TYPE_CHECKING:
    from tests.faults.proxy import Proxy

_ANSWER_WITHIN_S: Final = 5


class Control(ThreadingHTTPServer):
    """Listens in threads of its own and does everything on the proxy's loop."""

    daemon_threads = True

    def __init__(self, proxy: "Proxy", loop: asyncio.AbstractEventLoop, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Request)
        self._loop = loop
        self.actions: Mapping[tuple[str, str], Callable[[Any], Any]] = {
            ("GET", "/"): lambda _: proxy.status(),
            ("PUT", "/settings"): proxy.change,
            ("POST", "/rules"): lambda asked: proxy.rules.append(Rule.made_from(asked)),
            ("POST", "/reset"): lambda _: {"reset": proxy.reset_all()},
            ("POST", "/flood"): proxy.flood,
            ("POST", "/heal"): lambda _: proxy.heal(),
        }

    def start(self) -> None:
        """Serve."""
        threading.Thread(target=self.serve_forever, name="control", daemon=True).start()

    def run(self, action: Callable[[Any], Any], asked: Any) -> Any:
        """Run an action on the proxy's loop and return what it returns."""

        async def act() -> Any:
            done = action(asked)
            return await done if inspect.isawaitable(done) else done

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(_ANSWER_WITHIN_S)


class _Request(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        control = cast("Control", self.server)
        action = control.actions.get((self.command, self.path))
        if action is None:
            self._send(404, {"error": "there is no such address"})
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            self._send(200, control.run(action, json.loads(body or b"{}")) or {})
        except Refused as error:
            self._send(400, {"error": str(error)})

    do_GET = do_PUT = do_POST = _answer  # noqa: N815

    def _send(self, status: int, content: Any) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Requests are not worth a line."""
