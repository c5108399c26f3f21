"""Ferryman with our proxy between its link worker and the host."""

import json
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.acceptance.conftest import Ferry
from tests.checks import violations
from tests.faults import journal
from tests.stack import PYTHON, Process, free_ports, wait_until


@dataclass(slots=True)
class ProxiedFerry(Ferry):
    """A ferry whose link knows the proxy's port, behind which the simulator is."""

    proxy_host: str = "127.0.0.1"
    proxy_port: int = 0
    proxy_control_port: int = 0
    #: role -> user and password
    logins: dict[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Not super(): a slotted dataclass is another class than the one that zero-argument super() knows.
        Ferry.__post_init__(self)
        (self.proxy_control_port,) = free_ports(1)
        self.proxy_port = self.proxy_port or free_ports(1)[0]

    def prepare(self) -> None:
        """Migrate and make the demonstration data, with a link to the proxy."""
        self.manage("migrate", "--verbosity", "0")
        demo = json.loads(self.manage("demo", "--simulator", f"{self.proxy_host}:{self.proxy_port}"))
        self.api_key = demo["api_key"]
        self.logins = {**demo["staff"], "admin": {"user": demo["admin_user"], "password": demo["admin_password"]}}

    def start(self, *names: str) -> None:
        """Start processes; `proxy` is one of them."""
        for name in names:
            if name == "proxy":
                self._start_proxy()
            else:
                Ferry.start(self, name)

    def _start_proxy(self) -> None:
        ports = ["--listen", f"{self.proxy_host}:{self.proxy_port}", "--control", str(self.proxy_control_port)]
        upstream = ["--upstream", f"127.0.0.1:{self.simulator_port}", "--journal", str(self._proxy_journal)]
        self.spawn("proxy", [PYTHON, "-m", "tests.faults.proxy", *ports, *upstream])
        wait_until(self._proxy_answers, 60, "the proxy answers")

    # The proxy

    def proxy(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the proxy's control API."""
        answer = httpx.request(method, f"http://127.0.0.1:{self.proxy_control_port}{path}", json=body or {}, timeout=10)
        answer.raise_for_status()
        return answer.json()

    def wire(self, **settings: Any) -> None:
        """Change how every connection is."""
        self.proxy("PUT", "/settings", settings)

    def rule(self, action: str, **picks: Any) -> None:
        """Do something to some frame to come."""
        self.proxy("POST", "/rules", {"action": action, **picks})

    def wire_journal(self) -> list[dict[str, Any]]:
        """Return what the proxy saw."""
        return journal.read(self._proxy_journal)

    @property
    def _proxy_journal(self) -> Path:
        return self.folder / "proxy.jsonl"

    def _proxy_answers(self) -> bool:
        try:
            self.proxy("GET", "/")
        except httpx.HTTPError:
            return False
        return True

    # What holds

    def violations(self) -> list[str]:
        """Return everything that does not hold: the books, the wire, the database's own checks."""
        found = violations(self.accounts())
        found += [f"F2: {late}" for late in journal.overtaken_bytes(self.wire_journal())]
        for command in ("verify", "rebuild"):
            try:
                self.manage(command)
            except AssertionError as error:
                found.append(f"manage.py {command}: {error}")
        return found

    # Our processes

    def holder(self) -> Process:
        """Return the link worker that holds the lease, or the first there is."""
        links = [process for name, process in self.processes.items() if name.startswith("link")]
        found = self.sql("SELECT holder FROM processor_lease WHERE link = 'bank' AND NOT released")
        pid = int(found[0].holder.rpartition(":")[2]) if found and found[0].holder else 0
        return next((process for process in links if process.pid == pid), links[0])

    @contextmanager
    def paused(self, process: Process) -> Iterator[None]:
        """SIGSTOP a process for the length of a block."""
        process.popen.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            process.popen.send_signal(signal.SIGCONT)

    def pause(self, process: Process, seconds: float) -> None:
        """SIGSTOP a process for some seconds."""
        with self.paused(process):
            time.sleep(seconds)
