"""The processes of one machine as supervisor's programs: what runs, with which environment, in which order.

Each is tied to supervisor, which is tied to `run`: nothing outlives the one that started it.
"""

import os
import shlex
import signal
import subprocess
import sys
import threading
import xmlrpc.client
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from supervisor.xmlrpc import SupervisorTransport

from config import embedded

BASE: Final = Path(__file__).resolve().parent.parent
PYTHON: Final = sys.executable
LINK: Final = "bank"
_MEASURED: Final = ("link", "worker", "beat")
_FERRYMAN: Final = (*_MEASURED, "web")
_OURS: Final = ("host", "ferryman")
_STOPPED_WITHIN_S: Final = 4.5

#: a program that dies is started again, for ever and at once
_KEPT: Final = {"autorestart": "true", "startsecs": "0", "startretries": "1000000", "redirect_stderr": "true"}


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens."""

    web: int
    simulator: int

    @property
    def control(self) -> int:
        """The simulator's control API: the port behind its own."""
        return self.simulator + 1

    def all(self) -> list[tuple[str, int]]:
        """Return every port, with the setting that moves it."""
        simulator = [("SIMULATOR_PORT", self.simulator), ("SIMULATOR_PORT", self.control)]
        return [("PORT", self.web), *simulator, *(("PORT", self.metrics(process)) for process in _MEASURED)]

    def metrics(self, process: str) -> int:
        """A worker's own /metrics and /health: a hundred above the page."""
        return self.web + 101 + _MEASURED.index(process)


class Supervisor:
    """Supervisor, running our programs and, where they are embedded, the services."""

    def __init__(self, state: Path, ports: Ports, services: embedded.Services | None) -> None:
        self._state = state
        self._control = (services.place.state if services else state) / "control.sock"
        (state / "log").mkdir(parents=True, exist_ok=True)
        (state / "metrics").mkdir(exist_ok=True)
        for left in (state / "metrics").iterdir():
            left.unlink()
        config = state / "supervisord.conf"
        config.write_text(self._config(ports, services))
        # Through a pipe of our own: the programs open their output by its name, which for a terminal or a file that
        # belongs to somebody else is refused.
        self._process = subprocess.Popen(
            [*_tether(), PYTHON, "-m", "supervisor.supervisord", "-c", str(config)],
            start_new_session=True,
            cwd=BASE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        threading.Thread(target=_pass_on, args=(self._process.stdout,), daemon=True).start()

    def start(self) -> None:
        """Start our programs; the services are started with supervisor itself."""
        transport = SupervisorTransport(None, None, f"unix://{self._control}")  # type: ignore[no-untyped-call]
        proxy: Any = xmlrpc.client.ServerProxy("http://localhost", transport=transport)
        for group in _OURS:
            proxy.supervisor.startProcessGroup(group, False)

    @property
    def is_running(self) -> bool:
        """True until it ends."""
        return self._process.poll() is None

    def wait(self) -> None:
        """Wait for its end."""
        self._process.wait()

    def stop(self) -> None:
        """Stop our programs, then the services; who does not go in time is killed."""
        if self.is_running:
            self._process.terminate()
        try:
            self._process.wait(_STOPPED_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _config(self, ports: Ports, services: embedded.Services | None) -> str:
        programs = _programs(self._state, ports)
        served = services.commands if services else {}
        sections = [
            _section("supervisord", **self._daemon()),
            _section("unix_http_server", file=str(self._control)),
            _section(
                "rpcinterface:supervisor",
                **{"supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"},
            ),
            *(self._program(name, command, ports) for name, command in programs.items()),
            *(self._service(name, command) for name, command in served.items()),
            # Stopped in the opposite order: the host outlives the link that signs off from it.
            _section("group:host", programs="simulator", priority="20"),
            _section("group:ferryman", programs=",".join(_FERRYMAN), priority="30"),
        ]
        if served:
            sections.append(_section("group:services", programs=",".join(served), priority="10"))
        return "\n".join(sections)

    def _daemon(self) -> dict[str, str]:
        log = self._state / "log"
        as_root = {"user": "root"} if os.geteuid() == 0 else {}
        return {
            "nodaemon": "true",
            "silent": "true",
            "logfile": str(log / "supervisord.log"),
            "pidfile": str(self._state / "supervisord.pid"),
            "childlogdir": str(log),
            **as_root,
        }

    def _program(self, name: str, command: Sequence[str], ports: Ports) -> str:
        return _section(
            f"program:{name}",
            **_KEPT,
            command=shlex.join([*_tether(), *command]),
            directory=str(BASE),
            environment=self._environment(name, ports),
            autostart="false",
            stopwaitsecs="4",
            stdout_logfile="/dev/fd/1",
            stdout_logfile_maxbytes="0",
        )

    def _environment(self, name: str, ports: Ports) -> str:
        values = {"PROCESS_NAME": name, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}
        if name in _MEASURED:
            values["METRICS_PORT"] = str(ports.metrics(name))
        if name == "web" and os.environ.get("WEB_WORKERS", "1") != "1":
            values["PROMETHEUS_MULTIPROC_DIR"] = str(self._state / "metrics")
        return ",".join(f'{key}="{value}"' for key, value in values.items())

    def _service(self, name: str, command: Sequence[str]) -> str:
        log = self._state / "log" / f"{name}.log"
        return _section(
            f"program:{name}", **_KEPT, command=shlex.join(command), stopsignal="INT", stdout_logfile=str(log)
        )


def _programs(state: Path, ports: Ports) -> Mapping[str, Sequence[str]]:
    celery = [PYTHON, "-m", "celery", "--quiet", "-A", "config"]
    worker = ["-P", "threads", "--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
    web = os.environ.get("WEB_WORKERS", "1"), os.environ.get("WEB_THREADS", "32")
    return {
        "simulator": [
            *(PYTHON, "manage.py", "simulator", "--port", str(ports.simulator)),
            *("--control-port", str(ports.control)),
        ],
        "link": [*celery, "worker", "-Q", f"link.{LINK}", "-c", "1", "-n", f"link-{LINK}@%%h", *worker],
        "worker": [
            *(*celery, "worker", "-Q", "forward,settle,webhooks,maintenance", "-c", "2", "-n", "worker@%%h"),
            *worker,
        ],
        "beat": [*celery, "beat", "--pidfile=", "--loglevel", "WARNING"],
        "web": [
            *(PYTHON, "-m", "granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", str(ports.web)),
            *("--workers", web[0], "--blocking-threads", web[1], "--respawn-failed-workers"),
            *("--workers-kill-timeout", "2s", "--log-level", "error", "config.wsgi:application"),
        ],
    }


def _pass_on(output: IO[bytes]) -> None:
    """Print what the programs say; when nobody reads it any more, they go on all the same."""
    while spoken := os.read(output.fileno(), 65536):
        with suppress(OSError):
            os.write(1, spoken)


def _tether() -> list[str]:
    tether = Path(embedded.__file__).with_name("tether.py")
    return [PYTHON, "-I", "-S", str(tether), str(int(signal.SIGTERM)), "-", "-"]


def _section(title: str, **values: str) -> str:
    return f"[{title}]\n" + "".join(f"{name} = {value}\n" for name, value in values.items())
