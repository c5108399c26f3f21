"""Wall clocks jump, of our machines and of the database's: payments end as ever, nobody falls silent, and it shows."""

import re
import shutil
from collections.abc import Iterator
from itertools import cycle, islice
from pathlib import Path

import httpx
import pytest

from config import embedded
from tests.acceptance.conftest import PATIENCE_S, Ferry
from tests.acceptance.faults.conftest import running_on
from tests.faults.services import services
from tests.faults.stack import ProxiedFerry
from tests.faults.wall_clock import IS_THERE, WallClock
from tests.stack import free_ports, wait_until

pytestmark = pytest.mark.skipif(not IS_THERE, reason="libfaketime is not installed")

JUMPS = ("+3d", "-3d", "+1h", "-1h")
SECONDS = {"d": 86_400, "h": 3600}
DECLINED_FOR_NOW, NEVER_ANSWERED = 100_091, 100_068
PAYMENTS = [100] * 10 + [DECLINED_FOR_NOW, NEVER_ANSWERED]
#: not beat: libfaketime breaks the sleep that it waits with; tests/unit/test_beat.py has its clock
OURS = ("web", "worker", "link")
BRISK = {"RETRY_FIRST_SECONDS": "0.5"}
MONTH_S = 2_592_000
WAITING = "SELECT 1 FROM queueing_queueentry WHERE state = 'waiting'"


def seconds(jump: str) -> float:
    return float(jump[:-1]) * SECONDS[jump[-1]]


def figure(name: str, port: int) -> float:
    """One of a process's own figures; 0 before there is any."""
    found = re.search(rf"^{name} (\S+)$", httpx.get(f"http://127.0.0.1:{port}/metrics").text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def recovers(port: int) -> bool:
    """Say whether a worker has heard beat once, and done what it is for."""
    try:
        return figure("ferryman_recovery_runs_total", port) > 0
    except httpx.TransportError:
        return False


def skew(port: int) -> float:
    return figure("ferryman_clock_skew_seconds", port)


def nothing_fell_silent(ferry: Ferry, silences: int) -> None:
    """One holder all along, and no silence but those of the host."""
    assert ferry.sql("SELECT epoch FROM processor_lease")[0].epoch == 1
    assert len({line["session"] for line in ferry.journal()}) == 1
    silent = ferry.sql("SELECT data->>'reason' AS reason FROM transactions_event WHERE type = 'ReversalRequired'")
    assert [row.reason for row in silent] == ["host_timeout"] * silences
    assert all(ferry.processes[name].is_running for name in OURS)


@pytest.fixture
def clocks(ferry: Ferry) -> dict[str, WallClock]:
    """Everything running, each process on a machine whose wall clock can be set."""
    clocks = {name: WallClock(ferry.folder / f"{name}.clock") for name in OURS}
    ports = dict(zip(OURS, free_ports(len(OURS)), strict=True))
    ferry.sql("UPDATE processor_link SET answer_timeout_s = %s", PATIENCE_S)
    usual = ferry.settings | BRISK
    ferry.start("simulator")
    for name, clock in clocks.items():
        ferry.settings = usual | dict(clock.environment) | {"METRICS_PORT": str(ports[name])}
        ferry.start(name)
    ferry.settings = usual
    ferry.start("beat")
    ferry.settings = usual | {"METRICS_PORT": str(ports["worker"])}
    ferry.wait_until_up()
    # What is up is the page and the link; the worker and beat may still be loading.
    wait_until(lambda: recovers(ports["worker"]), 30, "the worker recovers")
    return clocks


def test_our_clocks_jump_each_another_way(ferry: Ferry, clocks: dict[str, WallClock]) -> None:
    port = int(ferry.settings["METRICS_PORT"])
    for number in range(len(JUMPS)):
        jumps = dict(zip(clocks, islice(cycle(JUMPS), number, None), strict=False))
        for name, clock in clocks.items():
            clock.set(jumps[name])
        runs = figure("ferryman_recovery_runs_total", port)
        ferry.post_all(PAYMENTS, expires_in=3600)
        ferry.wait_until_ended(25)
        wait_until(lambda runs=runs: figure("ferryman_recovery_runs_total", port) > runs, 10, "it recovers")  # type: ignore[misc]
        expected = {ferry.web_port: seconds(jumps["web"]), port: seconds(jumps["worker"])}
        for where, off in expected.items():
            wait_until(lambda where=where, off=off: abs(skew(where) - off) < 2, 10, f"{where} says it is {off} off")  # type: ignore[misc]

    assert ferry.statuses() == {"approved": 40, "declined": 4, "reversed": 4}
    nothing_fell_silent(ferry, silences=4)
    by_database = "created_at BETWEEN now() - interval '5 minutes' AND now()"
    lived = "expires_at - created_at = interval '1 hour'"
    assert ferry.sql(f"SELECT id FROM transactions_payment WHERE NOT ({by_database} AND {lived})") == []
    ferry.everything_holds()


def test_what_expires_does_so_by_the_database_whoever_is_early_or_late(
    ferry: Ferry, clocks: dict[str, WallClock]
) -> None:
    ferry.control("PUT", "/settings", {"refuse_sign_on": True})
    ferry.control("POST", "/drop")
    wait_until(lambda: ferry.sql("SELECT 1 FROM processor_linkstatus WHERE NOT up"), 10, "the link is down")
    for name, jump in (("web", "+3d"), ("worker", "-3d")):
        clocks[name].set(jump)
    brief = ferry.post_all([100] * 3, expires_in=3)
    patient = ferry.post_all([100] * 3, expires_in=3600)

    wait_until(lambda: ferry.statuses().get("expired") == len(brief), 30, "the brief ones expired")
    ferry.control("PUT", "/settings", {"refuse_sign_on": False})
    ferry.wait_until_ended(30)
    assert ferry.statuses() == {"expired": len(brief), "approved": len(patient)}
    ferry.everything_holds()


@pytest.fixture
def database_clock(tmp_path: Path) -> Iterator[WallClock]:
    state = embedded.place_at(tmp_path / "services").state  # where PostgreSQL's own user can read it
    shutil.rmtree(state, ignore_errors=True)
    state.mkdir(mode=0o711)
    yield WallClock(state / "clock")
    shutil.rmtree(state)


@pytest.fixture
def elsewhere(tmp_path: Path, database_clock: WallClock) -> Iterator[ProxiedFerry]:
    """Everything running, on a database whose wall clock can be set."""
    with (
        services(tmp_path / "services", environment=database_clock.environment) as running,
        running_on(running, tmp_path / "state", **BRISK) as ferry,
    ):
        yield ferry


def test_the_databases_clock_jumps(elsewhere: ProxiedFerry, database_clock: WallClock) -> None:
    ferry = elsewhere
    for jump in JUMPS:
        # Waits that were written before the clock was set back are not waited for until it is there again.
        ferry.post_all([DECLINED_FOR_NOW] * 3, expires_in=MONTH_S)
        wait_until(lambda: ferry.sql(WAITING), 10, "something waits for its time")
        database_clock.set(jump)
        ferry.post_all(PAYMENTS, expires_in=MONTH_S)
        ferry.wait_until_ended(25)
        off = seconds(jump)
        wait_until(lambda off=off: abs(skew(ferry.web_port) + off) < 2, 10, f"our clocks are {-off} off")  # type: ignore[misc]

    assert ferry.statuses() == {"approved": 40, "declined": 16, "reversed": 4}
    nothing_fell_silent(ferry, silences=4)
    ferry.everything_holds()
