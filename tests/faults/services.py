"""PostgreSQL and the broker as a chaos run has them: its own, durable, and to be killed one by one."""

import signal
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil

from config import embedded


class Services:
    """Embedded services whose processes come and go; where they are stays."""

    def __init__(self, folder: Path) -> None:
        self._services = embedded.prepare(folder, durable=True)
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
        command = self._services.commands[name]
        return subprocess.Popen(command, stdout=self._log, stderr=self._log, cwd="/", start_new_session=True)

    def restart(self, name: str, sent: signal.Signals) -> None:
        """End one with a signal, and start it again; SIGQUIT makes PostgreSQL recover as after a crash."""
        with self._lock:
            process = self._running[name]
            process.send_signal(sent)
            process.wait(30)
            self.start(name)
            embedded.wait_until_ready(self.place)

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
def services(folder: Path) -> Iterator[Services]:
    """Run both for the length of a block."""
    running = Services(folder)
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
