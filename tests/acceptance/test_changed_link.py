"""A link's host, dialect and framing change while payments flow: none is lost, none is doubled."""

import json
import threading
import time
from pathlib import Path

from processor.codec.dialects import DIALECTS
from processor.link.framing import FRAMINGS
from tests.acceptance.conftest import Ferry
from tests.checks import Accounts, violations
from tests.stack import PYTHON, free_ports, wait_until


def start_second_simulator(ferry: Ferry, *options: str) -> tuple[int, Path]:
    port, control = free_ports(2)
    state = ferry.folder / f"simulator-{port}"
    command = [PYTHON, "manage.py", "simulator", "--port", str(port), "--control-port", str(control)]
    ferry.spawn(f"simulator-{port}", [*command, "--state", str(state), *options])
    log = ferry.processes[f"simulator-{port}"].log
    wait_until(lambda: "simulator ready" in log.read_text(), 20, "the second simulator is up")
    return port, state


def change(ferry: Ferry, *options: str) -> int:
    """Change the link; returns its new version."""
    ferry.manage("link", "bank", *options)
    return int(ferry.sql("SELECT version FROM processor_link")[0].version)


def is_up_with(ferry: Ferry, version: int) -> bool:
    return bool(ferry.sql("SELECT 1 FROM processor_linkstatus WHERE up AND version = %s", version))


def test_to_a_second_host_while_fifty_a_second_flow(running: Ferry) -> None:
    port, state = start_second_simulator(running)
    stop = threading.Event()
    posted: list[str] = []

    def flow() -> None:
        with running.client() as client:
            while not stop.wait(0.016):
                posted.append(running.post(client, 100, expires_in=3600)["id"])

    flowing = threading.Thread(target=flow)
    flowing.start()
    wait_until(lambda: len(posted) > 50, 20, "payments flow")
    version = change(running, "--endpoint", f"127.0.0.1:{port}")
    changed = time.monotonic()
    wait_until(lambda: is_up_with(running, version), 10, "it was taken over")
    took = time.monotonic() - changed
    before = len(posted)
    wait_until(lambda: len(posted) > before + 100, 20, "payments flow on")
    stop.set()
    flowing.join()

    running.wait_until_ended(30)
    assert took < 5
    assert running.statuses() == {"approved": len(posted)}
    both = [json.loads(line) for line in (state / "journal.jsonl").read_text().splitlines()]
    both = [{**line, "session": f"second {line['session']}"} for line in both]
    assert any(line.get("mti") == "0200" for line in both)
    accounts = running.accounts()
    joined = Accounts([*accounts.journal, *both], accounts.payments, accounts.attempts, accounts.dispatched)
    assert violations(joined) == []


def test_through_every_dialect_and_framing_without_a_restart(running: Ferry) -> None:
    framings = list(FRAMINGS)
    with running.client() as client:
        for number, dialect in enumerate(DIALECTS):
            framing = framings[number % len(framings)]
            port, _ = start_second_simulator(running, "--dialect", dialect, "--framing", framing)
            change(running, "--endpoint", f"127.0.0.1:{port}", "--dialect", dialect, "--framing", framing)
            approved = running.post(client, 100, wait=20, expires_in=3600)
            assert approved["status"] == "approved", (dialect, framing, approved)
            reversed_one = running.post(client, 100_073, wait=20, expires_in=3600)
            assert reversed_one["status"] == "reversed", (dialect, framing, reversed_one)
    assert "nothing is wrong" in running.manage("verify")


def test_a_change_the_host_does_not_understand_can_be_taken_back(running: Ferry) -> None:
    version = change(running, "--framing", "binary2-tpdu", "--echo-timeout", "1")
    tried = "SELECT 1 FROM processor_linkstatus WHERE version = %s AND NOT up AND cause <> ''"
    wait_until(lambda: running.sql(tried, version), 20, "it was tried and did not come up")

    change(running, "--framing", "ascii4")

    with running.client() as client:
        assert running.post(client, 100, wait=30, expires_in=3600)["status"] == "approved"
    running.everything_holds()
