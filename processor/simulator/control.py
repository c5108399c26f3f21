"""The simulator's control API: a few addresses of JSON on a port of its own, while it runs."""

import asyncio
import json
import threading
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, cast

from processor.simulator.server import Server

_MESSAGES: Final = {"echo": "echo", "cut-over": "cut_over", "sign-off": "sign_off"}
_ANSWER_WITHIN_S: Final = 5

HELP: Final = """Control API on --control-port:
  GET  /          sessions, business date, settings
  GET  /accounts  balances in minor units, of accounts that something happened to
  PUT  /settings  change some: {"latency_s": 0.02, "jitter_s": 0.01, "client_waits_s": 30,
                  "reversals": "" | "silent" | a response code, "refuse_sign_on": false, "mute": false,
                  "totals_off_by": 0 (count a debit more of so many minor units when asked for totals)}
  POST /send      {"message": "echo" | "cut-over" | "sign-off"}: the host starts one
  POST /drop      resets every connection
"""

Action = Callable[[Any], Any]


class Control(ThreadingHTTPServer):
    """Listens beside the simulator and does everything on its loop; raises OSError for a port that is taken."""

    daemon_threads = True

    def __init__(self, simulator: Server, loop: asyncio.AbstractEventLoop, host: str, port: int) -> None:
        super().__init__((host, port), _Request)
        self._simulator = simulator
        self._loop = loop
        self.actions: Mapping[tuple[str, str], Action] = {
            ("GET", "/"): lambda _: simulator.status(),
            ("GET", "/accounts"): lambda _: simulator.balances(),
            ("PUT", "/settings"): simulator.change,
            ("POST", "/send"): lambda asked: {"sent_to": simulator.start_message(_MESSAGES[asked["message"]])},
            ("POST", "/drop"): lambda _: {"dropped": simulator.drop_connections()},
        }

    def start(self) -> None:
        """Serve from a thread of its own."""
        threading.Thread(target=self.serve_forever, name="control", daemon=True).start()

    def run(self, action: Action, asked: Any) -> Any:
        """Run an action on the simulator's loop and return what it returns."""

        async def act() -> Any:
            return action(asked)

        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(_ANSWER_WITHIN_S)


class _Request(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        control = cast("Control", self.server)
        action = control.actions.get((self.command, self.path))
        if action is None:
            self._send(404, {"error": "there is no such address"})
            return
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            self._send(200, control.run(action, json.loads(body or b"{}")) or {})
        except (ValueError, KeyError, TypeError) as error:
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
