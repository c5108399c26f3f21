"""PostgreSQL and the broker as a chaos run has them: its own, durable, and to be killed one by one."""

import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil

from config import embedded
from tests.faults.namespace import Network


class Services:
    """Embedded services whose processes come and go; where they are stays."""

    def __init__(
        self, folder: Path, network: Network | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self._services = embedded.prepare(folder, durable=True)
        self._commands = dict(self._services.commands)
        if environment:
            self._tell(environment)
        if network:
            self._listen(network)
        self._log = (self._services.place.state / "services.log").open("ab")
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.Lock()
        # A tethered process ends with the thread that started it: this one stays.
        self._starter = ThreadPoolExecutor(1)

    @property
    def place(self) -> embedded.Place:
        """Where they answer."""
        return self._services.place

    def start(self, *names: str) -> None:
        """Start services, by name `postgres` or `valkey`."""
        for name in names:
            self._running[name] = self._starter.submit(self._start, name).result()

    def _start(self, name: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            self._commands[name], stdout=self._log, stderr=self._log, cwd="/", start_new_session=True
        )

    def _tell(self, environment: Mapping[str, str]) -> None:
        """PostgreSQL finds this in its environment, which its tether empties."""
        command = list(self._commands["postgres"])
        binary = next(number for number, part in enumerate(command) if part.endswith("/bin/postgres"))
        command[binary:binary] = ["/usr/bin/env", *(f"{name}={value}" for name, value in environment.items())]
        self._commands["postgres"] = command

    def _listen(self, network: Network) -> None:
        """PostgreSQL also listens on a network of its own; its socket in the file system is reached from anywhere."""
        with (self.place.state / "postgres" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {network.subnet} trust\n")
        listening = ["-c", f"listen_addresses={network.database}"]
        self._commands["postgres"] = [*network.at_database, *self._commands["postgres"], *listening]

    def restart(self, name: str, sent: signal.Signals) -> None:
        """End one with a signal, and start it again; SIGQUIT makes PostgreSQL recover as after a crash."""
        with self._lock:
            process = self._running[name]
            process.send_signal(sent)
            process.wait(30)
            self.start(name)
            embedded.wait_until_ready(self.place)

    def keep(self, name: str) -> None:
        """Start one again if it has ended: what a supervisor does."""
        with self._lock:
            if self._running[name].poll() is not None:
                self.start(name)

    @contextmanager
    def frozen(self, name: str) -> Iterator[None]:
        """Stop all processes of one where they are, for the length of a block."""
        with self._lock:
            parent = psutil.Process(self._running[name].pid)
            processes = [parent, *parent.children(recursive=True)]
            _signal(processes, signal.SIGSTOP)
            try:
                yield
            finally:
                _signal(processes, signal.SIGCONT)

    def stop(self) -> None:
        """End them."""
        for process in self._running.values():
            process.send_signal(signal.SIGINT)
        for process in self._running.values():
            process.wait(30)
        self._starter.shutdown()
        self._log.close()


@contextmanager
def services(
    folder: Path, network: Network | None = None, environment: Mapping[str, str] | None = None
) -> Iterator[Services]:
    """Run both for the length of a block; the environment is PostgreSQL's."""
    running = Services(folder, network, environment)
    running.start("postgres", "valkey")
    try:
        embedded.wait_until_ready(running.place)
        yield running
    finally:
        running.stop()


def _signal(processes: list[psutil.Process], sent: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(sent)
        except psutil.NoSuchProcess:
            continue
