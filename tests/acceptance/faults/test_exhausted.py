"""A process runs out of file descriptors, memory or CPU: clients are told or served, and it goes on unaided."""

import resource
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import psutil

from processor.lease import TTL_S
from tests.faults.load import Clients
from tests.faults.stack import ProxiedFerry
from tests.stack import wait_until

HURT_S = 4
OURS = ("web", "worker", "link")


def everybody(ferry: ProxiedFerry) -> Sequence[psutil.Process]:
    """Our processes, and those that they started to do their work."""
    parents = [psutil.Process(ferry.processes[name].pid) for name in OURS]
    return [process for parent in parents for process in (parent, *parent.children(recursive=True))]


@contextmanager
def limited(process: psutil.Process, what: int, to: int) -> Iterator[None]:
    """Let a process have no more of something, for the length of a block."""
    _, most = process.rlimit(what)
    process.rlimit(what, (to, most))
    try:
        yield
    finally:
        if process.is_running():
            process.rlimit(what, (most, most))


@contextmanager
def under_load(ferry: ProxiedFerry) -> Iterator[None]:
    """Clients pay before, during and after a block; then every 2xx has ended right."""
    clients = Clients(ferry, seed=8583, rate=30)
    clients.start()
    wait_until(lambda: ferry.approved() > 20, 30, "payments are approved")
    yield
    goal = ferry.approved() + 40

    def goes_on() -> bool:
        for name in OURS:
            if not ferry.processes[name].is_running:
                ferry.start(name)  # what ended is a supervisor's turn
        return ferry.approved() > goal

    wait_until(goes_on, 40, "payments are approved again")
    clients.stop(30)
    ferry.wait_for_late_answers()
    ferry.everything_holds()
    assert clients.check() == []
    assert not ferry.sql("SELECT 1 FROM transactions_event WHERE type = 'Held'")


def test_no_file_descriptor_is_free(proxied: ProxiedFerry) -> None:
    with under_load(proxied), ExitStack() as limits:
        for process in everybody(proxied):
            limits.enter_context(limited(process, resource.RLIMIT_NOFILE, process.num_fds()))
        proxied.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        time.sleep(HURT_S)


def test_no_memory_is_free(proxied: ProxiedFerry) -> None:
    with under_load(proxied), ExitStack() as limits:
        for process in everybody(proxied):
            limits.enter_context(limited(process, resource.RLIMIT_AS, process.memory_info().vms))
        time.sleep(HURT_S)


def test_the_cpu_is_somebody_elses(proxied: ProxiedFerry) -> None:
    with under_load(proxied):
        processes = everybody(proxied)
        until = time.monotonic() + HURT_S
        while time.monotonic() < until:
            for sent, seconds in ((signal.SIGSTOP, 0.3), (signal.SIGCONT, 0.1)):
                for process in processes:
                    process.send_signal(sent)
                time.sleep(seconds)

    assert HURT_S < TTL_S
    assert proxied.sql("SELECT epoch FROM processor_lease")[0].epoch == 1
