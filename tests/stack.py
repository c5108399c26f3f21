"""The whole of Ferryman as real processes, for tests and the bench: started, killed and asked by name.

Every process is tied to this one and writes its own log. Waiting is for a condition with a bound.
"""

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

import httpx
import psycopg
from psycopg.rows import namedtuple_row

from config import embedded

BASE: Final = Path(__file__).resolve().parent.parent
PYTHON: Final = sys.executable
_TETHER: Final = [PYTHON, "-I", "-S", str(BASE / "config" / "tether.py"), str(int(signal.SIGKILL)), "-", "-"]

T = TypeVar("T")


def wait_until(condition: Callable[[], T | None], within_s: float, what: str) -> T:
    """Return the first true value of a condition; fails with what was awaited."""
    deadline = time.monotonic() + within_s
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within_s:g} s: {what}")
        time.sleep(0.02)


#: handed out lately: whoever got one may not have bound it yet
_lately_given: deque[int] = deque(maxlen=1000)


def free_ports(count: int, *beside: int) -> list[int]:
    """Return ports that are free now, and those `beside` them too; none that an outgoing connection could be given."""
    found: list[int] = []
    while len(found) < count:
        port = random.randrange(15_000, 32_000)
        wanted = [port, *(port + distance for distance in beside)]
        if not any(each in _lately_given for each in wanted) and all(map(_is_free, wanted)):
            found.append(port)
            _lately_given.extend(wanted)
    return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@dataclass(slots=True)
class Process:
    """One running process and its log."""

    name: str
    popen: "subprocess.Popen[bytes]"
    log: Path

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.popen.pid

    def kill(self) -> None:
        """kill -9, and see it gone."""
        self.popen.kill()
        self.popen.wait()

    def stop(self, within_s: float = 10) -> None:
        """Ask it to end, and see it gone."""
        self.popen.terminate()
        self.popen.wait(within_s)

    @property
    def is_running(self) -> bool:
        """True while it has not ended."""
        return self.popen.poll() is None


@dataclass(slots=True)
class Stack:
    """Ferryman against one database and one broker, with a simulator; nothing runs until it is started."""

    folder: Path
    database_url: str
    broker_url: str
    settings: dict[str, str] = field(default_factory=dict)
    simulator_options: list[str] = field(default_factory=list)
    processes: dict[str, Process] = field(default_factory=dict)
    web_port: int = 0
    simulator_port: int = 0
    control_port: int = 0
    api_key: str = ""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.web_port, self.simulator_port, self.control_port = free_ports(3)

    # Processes

    def start(self, *names: str) -> None:
        """Start processes: web, worker, beat, simulator, link, or link-2 and so on for standbys."""
        for name in names:
            self.spawn(name, self.command(name))

    def command(self, name: str) -> Sequence[str]:
        """Return what a process of this name is started with."""
        return _commands(self, name)[name.split("-", maxsplit=1)[0]]

    def spawn(self, name: str, command: Sequence[str], **environment: str) -> Process:
        """Start any command as a process of this stack."""
        log = self.folder / f"{name}.log"
        with log.open("ab") as output:
            popen = subprocess.Popen(
                [*_TETHER, *command],
                cwd=BASE,
                env=self.environment | {"PROCESS_NAME": name} | environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.processes[name] = process = Process(name, popen, log)
        return process

    def stop(self) -> None:
        """End everything."""
        running = [process for process in self.processes.values() if process.is_running]
        for process in running:
            process.popen.terminate()
        for process in running:
            try:
                process.popen.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()

    def manage(self, *arguments: str, fails: bool = False) -> str:
        """Run one of our commands to its end and return what it printed."""
        done = subprocess.run(
            [PYTHON, "manage.py", *arguments],
            cwd=BASE,
            env=self.environment | {"LOG_LEVEL": "WARNING"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert bool(done.returncode) == fails, done.stdout + done.stderr
        return done.stderr if fails else done.stdout

    @property
    def environment(self) -> dict[str, str]:
        """What every process is told."""
        return {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "DATABASE_URL": self.database_url,
            "BROKER_URL": self.broker_url,
            "STATE_DIR": str(self.folder),
            "SECRET_KEY": "for tests only",
            "MASTER_KEY": "0f" * 32,
            "ALLOWED_HOSTS": "127.0.0.1",
            "SECURE_COOKIES": "0",
            "PYTHONUNBUFFERED": "1",
            **self.settings,
        }

    # Setting up

    def prepare(self) -> None:
        """Migrate and make the demonstration data."""
        self.manage("migrate", "--verbosity", "0")
        demo = json.loads(self.manage("demo", "--simulator", f"127.0.0.1:{self.simulator_port}"))
        self.api_key = demo["api_key"]

    def wait_until_up(self, within_s: float = 30) -> None:
        """Wait until the page answers and the link is up."""
        wait_until(lambda: self._readiness() == "ready", within_s, "everything is up")

    def _readiness(self) -> str:
        try:
            return str(httpx.get(f"{self.url}/health/ready", timeout=5).json()["status"])
        except (httpx.HTTPError, ValueError):
            return ""

    # Asking

    @property
    def url(self) -> str:
        """Where the web server is."""
        return f"http://127.0.0.1:{self.web_port}"

    def client(self, **headers: str) -> httpx.Client:
        """Return an API client with the demonstration key."""
        return httpx.Client(
            base_url=f"{self.url}/api/v1",
            headers={"Authorization": f"Bearer {self.api_key}", **headers},
            timeout=90,
        )

    def sql(self, statement: str, *parameters: Any) -> list[Any]:
        """Ask the database."""
        with psycopg.connect(self.database_url, autocommit=True, row_factory=namedtuple_row) as connection:
            cursor = connection.execute(statement, parameters)
            return cursor.fetchall() if cursor.description else []

    def control(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask the simulator's control API."""
        answer = httpx.request(method, f"http://127.0.0.1:{self.control_port}{path}", json=body or {})
        answer.raise_for_status()
        return answer.json()

    def control_when_up(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        """Ask the simulator's control API as soon as it answers."""

        def ask() -> bool:
            try:
                self.control(method, path, body)
            except httpx.HTTPError:
                return False
            return True

        wait_until(ask, 60, "the simulator answers")

    def journal(self) -> list[dict[str, Any]]:
        """Return what the simulator saw and sent."""
        lines = (self.folder / "simulator" / "journal.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


def _commands(stack: Stack, name: str) -> Mapping[str, Sequence[str]]:
    celery = [PYTHON, "-m", "celery", "-A", "config"]
    quiet = ["-P", "threads", "--without-gossip", "--without-mingle", "--loglevel", "WARNING", "-n", f"{name}@%h"]
    return {
        "web": [
            *(PYTHON, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(stack.web_port)),
            *(
                "--workers",
                stack.settings.get("WEB_WORKERS", "1"),
                "--blocking-threads",
                stack.settings.get("WEB_THREADS", "32"),
                "--log-level",
                "warning",
            ),
            *("--workers-kill-timeout", "2s", "config.wsgi:application"),
        ],
        "worker": [*celery, "worker", "-Q", "forward,settle,webhooks,maintenance", "-c", "2", *quiet],
        "link": [*celery, "worker", "-Q", "link.bank", "-c", "1", *quiet],
        "beat": [*celery, "beat", "--pidfile=", "--loglevel", "WARNING"],
        "simulator": [
            *(PYTHON, "manage.py", "simulator", "--port", str(stack.simulator_port)),
            *("--control-port", str(stack.control_port), "--state", str(stack.folder / "simulator")),
            *stack.simulator_options,
        ],
    }


@contextmanager
def fresh_database(server_url: str, copied_from: str = "template1") -> Iterator[str]:
    """Make a database beside the one of a URL, empty or a copy, and drop it in the end."""
    name = f"ferryman_{secrets.token_hex(4)}"
    parts = urlsplit(server_url)
    url = urlunsplit(parts._replace(path=f"/{name}"))
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {copied_from.rpartition('/')[2]}")
    try:
        yield url
    finally:
        with psycopg.connect(server_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


@contextmanager
def services(folder: Path, *, durable: bool) -> Iterator[tuple[str, str]]:
    """Yield a database server's and a broker's URL: those of the environment, or embedded ones."""
    if os.environ.get("DATABASE_URL") and os.environ.get("BROKER_URL"):
        yield os.environ["DATABASE_URL"], os.environ["BROKER_URL"]
    else:
        with embedded.running(folder, durable=durable) as place:
            yield place.database_url, place.broker_url
