"""`make run`: everything on one machine, under supervisor, until Ctrl-C.

Owns the order of starting (services, migrations, demonstration data, our processes) and what is printed
at the end.
"""

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from config import embedded
from config.supervision import BASE, PYTHON, Ports, Supervisor

STATE: Final = Path(os.environ.get("STATE_DIR", BASE / "var"))
_STARTED_WITHIN_S: Final = 60.0


class RunError(Exception):
    """The installation cannot be started; the message says why and what to do."""


def main() -> None:
    """Run until told to stop; ends with one sentence when it cannot."""
    for asked in (signal.SIGINT, signal.SIGTERM):  # also where a shell started us with SIGINT ignored
        signal.signal(asked, _interrupt)
    try:
        with _alone():
            run(_ports())
    except (RunError, embedded.EmbeddedError) as error:
        sys.exit(f"make run: {error}")
    except KeyboardInterrupt:
        return


@contextmanager
def _alone() -> Iterator[None]:
    """Keep a second run away from this one's state; raises RunError."""
    STATE.mkdir(parents=True, exist_ok=True)
    with (STATE / "run.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunError(f"another run uses {STATE}; stop it first, or set STATE_DIR to another folder.") from None
        yield


def run(ports: Ports) -> None:
    """Start everything, say where it is, and wait."""
    os.environ.setdefault("TERMINAL_PAGE", "1")
    is_embedded = not (os.environ.get("DATABASE_URL") or os.environ.get("BROKER_URL"))
    services = embedded.prepare(STATE / "services") if is_embedded else None
    supervisor = Supervisor(STATE, ports, services)
    try:
        if services:
            _say("starting PostgreSQL and Valkey")
            embedded.wait_until_ready(services.place)
        _say("preparing the database")
        demo = json.loads(_manage("prepare", "--simulator", f"127.0.0.1:{ports.simulator}"))
        _say("starting the processes")
        supervisor.start()
        _wait_until_carrying(ports, supervisor)
        _announce(ports, demo)
        supervisor.wait()
        raise RunError(f"the supervisor ended; see {STATE / 'log'}.")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        supervisor.stop()


def _ports() -> Ports:
    """Read PORT and SIMULATOR_PORT and see that all they stand for are free; raises RunError."""
    ports = Ports(_port("PORT", 8000), _port("SIMULATOR_PORT", 22222))
    for name, port in ports.all():
        if not _is_free(port):
            raise RunError(f"Port {port} is taken; stop what uses it, or set {name} to another.")
    return ports


def _port(name: str, default: int) -> int:
    text = os.environ.get(name, str(default))
    if not text.isdecimal() or not 0 < int(text) < 65000:
        raise RunError(f"{name} must be a port number from 1 to 64999.")
    return int(text)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _manage(*arguments: str) -> str:
    """Run one of our commands; its words are shown only when it fails."""
    environment = {**os.environ, "LOG_LEVEL": "WARNING"}
    command = [PYTHON, "manage.py", *arguments]
    done = subprocess.run(command, cwd=BASE, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or ["it said nothing"]
        raise RunError(f"`manage.py {arguments[0]}` failed: {last[0]}")
    return done.stdout


def _wait_until_carrying(ports: Ports, supervisor: Supervisor) -> None:
    """Wait until the page answers and the link is up; after a minute say what is missing."""
    deadline = time.monotonic() + _STARTED_WITHIN_S
    state: Any = "the page does not answer"
    while time.monotonic() < deadline:
        if not supervisor.is_running:
            raise RunError(f"the supervisor did not start; see {STATE / 'log' / 'supervisord.log'}.")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{ports.web}/health/ready", timeout=2) as answer:
                state = json.load(answer)
                if state["status"] == "ready":
                    return
        except (urllib.error.URLError, OSError, ValueError):
            pass  # it is coming up
        time.sleep(0.1)
    raise RunError(f"not everything came up within {_STARTED_WITHIN_S:.0f} s: {state}.")


def _announce(ports: Ports, demo: Mapping[str, Any]) -> None:
    """Print where everything is, and write the same for programs."""
    url = f"http://127.0.0.1:{ports.web}"
    control = f"http://127.0.0.1:{ports.control}"
    facts = {"url": url, **demo, "simulator": f"127.0.0.1:{ports.simulator}", "simulator_control": control}
    facts["terminal"] = f"{url}/terminal/"
    target = STATE / "run.json"
    target.touch(mode=0o600)
    target.write_text(json.dumps(facts, indent=2) + "\n")
    lines = {
        "page": f"{url}/admin/",
        "login": f"{demo['admin_user']} / {demo['admin_password']}",
        **{role: f"{login['user']} / {login['password']}" for role, login in demo["staff"].items()},
        "terminal": facts["terminal"],
        "API docs": f"{url}/api/docs/",
        "API key": demo["api_key"],
        "simulator": f"127.0.0.1:{ports.simulator}, control {control}",
        "metrics": ", ".join([f"{url}/metrics", *(str(ports.metrics(name)) for name in ("link", "worker", "beat"))]),
    }
    table = "\n".join(f"  {name:16} {value}" for name, value in lines.items())
    print(f"\nFerryman is carrying. Ctrl-C stops it.\n\n{table}\n", flush=True)  # noqa: T201
    print(f"Post a payment:\n\n{_curl(url, demo['api_key'])}\n", flush=True)  # noqa: T201


def _curl(url: str, key: str) -> str:
    body = {"operation": "purchase", "amount": 1250000, "currency": "IDR", "card": {"pan": "4111111111111111"}}
    return (
        f"curl -i {url}/api/v1/payments \\\n"
        f"  -H 'Authorization: Bearer {key}' \\\n"
        "  -H \"Idempotency-Key: $(date +%s%N)\" -H 'Prefer: wait=30' \\\n"
        f"  -H 'Content-Type: application/json' -d '{json.dumps(body)}'"
    )


def _say(what: str) -> None:
    print(f"make run: {what}", flush=True)  # noqa: T201


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
