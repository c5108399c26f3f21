"""`make run`: one command starts everything, says where it is, and leaves nothing behind."""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from staff.roles import ROLES
from tests.stack import BASE, PYTHON, free_ports, wait_until

KEYS = set("url api_key merchant admin_user admin_password staff simulator database_url broker_url terminal".split())


class Run:
    """One installation under a folder of its own, started and stopped as a person would."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (self.port,), (self.simulator_port,) = free_ports(1, 101, 102, 103), free_ports(1, 1)
        self.output = folder / "output"

    def start(self) -> None:
        """Type it, and wait for the last line it prints."""
        self.process = self.launch()
        wait_until(self.is_told, 60, "it says that it is carrying")

    def launch(self, **changes: str) -> "subprocess.Popen[bytes]":
        """Type it."""
        named = {name: value for name, value in os.environ.items() if name not in _OF_THE_TESTS}
        told = {"STATE_DIR": str(self.folder), "PORT": str(self.port), "SIMULATOR_PORT": str(self.simulator_port)}
        with self.output.open("wb") as output:
            return subprocess.Popen(
                [PYTHON, "-m", "config.run"], cwd=BASE, env=named | told | changes, stdout=output, stderr=output
            )

    def is_told(self) -> bool:
        """True when it printed what to paste; fails when it ended instead."""
        assert self.process.poll() is None, self.output.read_text()
        return "Content-Type: application/json" in self.output.read_text()

    def interrupt(self) -> float:
        """Ctrl-C; returns how long it took to end."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        return time.monotonic() - began

    @property
    def facts(self) -> dict[str, Any]:
        """What it wrote for programs."""
        written: dict[str, Any] = json.loads((self.folder / "run.json").read_text())
        return written

    def paste_curl(self) -> str:
        """Run the command it printed, in a shell."""
        found = re.search(r"^curl .*?^.*?-d '.*?'$", self.output.read_text(), re.MULTILINE | re.DOTALL)
        assert found, self.output.read_text()
        return subprocess.run(["bash", "-c", found[0]], capture_output=True, text=True, check=True).stdout

    def left_behind(self) -> list[str]:
        """Processes that know our folder."""
        return [line for line in map(_described, Path("/proc").glob("[0-9]*")) if str(self.folder) in line]


_OF_THE_TESTS = (
    "DATABASE_URL",
    "BROKER_URL",
    "SECRET_KEY",
    "MASTER_KEY",
    "ALLOWED_HOSTS",
    "SECURE_COOKIES",
    "LOG_LEVEL",
)


def _described(process: Path) -> str:
    try:
        return f"{process.name} {(process / 'cmdline').read_text()} {(process / 'environ').read_text()}"
    except OSError:
        return ""  # it ended meanwhile, or is not ours


@pytest.fixture
def run() -> Iterator[Run]:
    with tempfile.TemporaryDirectory(prefix="ferryman-run-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        run = Run(folder)
        yield run
        if run.process.poll() is None:
            run.process.kill()
            run.process.wait()


def test_from_nothing_to_a_payment_and_on_with_the_same_data(run: Run) -> None:
    run.start()
    answer = run.paste_curl()
    assert answer.startswith("HTTP/1.1 200"), answer
    assert '"status":"approved"' in answer
    assert run.facts.keys() >= KEYS
    assert set(run.facts["staff"]) == {role.name for role in ROLES}
    assert httpx.get(run.facts["terminal"]).headers["Location"] == "/admin/login/?next=/terminal/"
    payment_id = json.loads(answer.splitlines()[-1])["id"]

    took = run.interrupt()

    assert (run.process.returncode, took < 5) == (0, True)
    wait_until(lambda: not run.left_behind(), 1, f"nothing is left: {run.left_behind()}")

    run.start()
    facts = run.facts
    headers = {"Authorization": f"Bearer {facts['api_key']}"}
    assert httpx.get(f"{facts['url']}/api/v1/payments/{payment_id}", headers=headers).json()["status"] == "approved"

    second = Run(run.folder / "second")
    second.folder.mkdir()
    refused = second.launch(PORT=str(run.port))
    assert refused.wait(20) == 1
    assert (
        second.output.read_text() == f"make run: Port {run.port} is taken; stop what uses it, or set PORT to another.\n"
    )
    run.interrupt()
