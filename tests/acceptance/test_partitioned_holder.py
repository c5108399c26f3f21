"""The holder is cut off from the database and not from the host: it falls silent before another begins (F1, F2)."""

import os
import signal
import threading
import time
from urllib.parse import unquote, urlsplit

from processor.lease import TTL_S
from tests.acceptance.conftest import Ferry
from tests.stack import PYTHON, free_ports, wait_until


def start_behind_a_relay(ferry: Ferry, name: str) -> None:
    """Start a link worker that reaches the database through a relay called `relay`."""
    (port,) = free_ports(1)
    parts = urlsplit(ferry.database_url)
    host = unquote(parts.hostname or "")
    number = parts.port or 5432
    upstream = f"{host}/.s.PGSQL.{number}" if host.startswith("/") else f"{host}:{number}"
    ferry.spawn("relay", [PYTHON, "-m", "tests.relay", str(port), upstream])
    wait_until(lambda: "relay ready" in ferry.processes["relay"].log.read_text(), 10, "the relay listens")
    user = f"{parts.username}:{parts.password}@" if parts.password else f"{parts.username}@"
    relayed = parts._replace(netloc=f"{user}127.0.0.1:{port}", query="").geturl()
    command = [PYTHON, "-m", "celery", "-A", "config", "worker", "-Q", "link.bank", "-c", "1", "-P", "threads"]
    options = ["--without-gossip", "--without-mingle", "--loglevel", "WARNING", "-n", f"{name}@%h"]
    ferry.spawn(name, [*command, *options], DATABASE_URL=relayed, DATABASE_DIRECT_URL=relayed)


def test_two_link_workers_and_the_holder_cut_off(ferry: Ferry) -> None:
    ferry.sql("UPDATE processor_link SET answer_timeout_s = 2")
    ferry.start("simulator", "web", "worker", "beat")
    start_behind_a_relay(ferry, "link")
    ferry.wait_until_up()
    ferry.start("link-standby")
    wait_until(lambda: "link.standby" in ferry.processes["link-standby"].log.read_text(), 20, "the standby waits")
    posted: list[str] = []
    told = threading.Event()

    def flow() -> None:
        with ferry.client() as client:
            while not told.wait(0.01):
                posted.append(ferry.post(client, 100, expires_in=3600)["id"])

    flowing = threading.Thread(target=flow)
    flowing.start()
    try:
        wait_until(lambda: ferry.approved() > 50, 30, "payments flow")
        os.killpg(ferry.processes["relay"].pid, signal.SIGSTOP)
        cut_off = time.monotonic()
        wait_until(lambda: not ferry.processes["link"].is_running, TTL_S, "the holder ended itself before its time")
        wait_until(lambda: ferry.sql("SELECT 1 FROM processor_lease WHERE epoch = 2"), TTL_S + 5, "the standby holds")
        took = time.monotonic() - cut_off
        before = ferry.approved()
        wait_until(lambda: ferry.approved() > before + 50, 30, "payments flow on")
    finally:
        told.set()
        flowing.join()
        os.killpg(ferry.processes["relay"].pid, signal.SIGCONT)

    ferry.wait_until_ended(60)
    assert took < TTL_S + 2
    assert sum(ferry.statuses().values()) == len(posted)
    assert sessions_in_order(ferry) == ["first", "second"]
    ferry.everything_holds()


def sessions_in_order(ferry: Ferry) -> list[str]:
    """Which session the host heard, in the order of its journal, repetitions left out."""
    heard: list[int] = []
    for line in ferry.journal():
        if line["what"] == "in" and (not heard or heard[-1] != line["session"]):
            heard.append(line["session"])
    names = dict(zip(sorted(set(heard)), ("first", "second", "third", "fourth"), strict=False))
    return [names[session] for session in heard]
