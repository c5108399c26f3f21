"""A holder that was stopped for longer than its lease hands no byte to the kernel afterwards (F2)."""

import signal

import psutil

from processor.lease import TTL_S
from tests.acceptance.test_killed_processes import start_standby
from tests.faults.journal import overtaken_bytes
from tests.faults.stack import ProxiedFerry
from tests.stack import wait_until


def test_a_suspended_holder_wakes_up_and_writes_nothing(proxied: ProxiedFerry) -> None:
    start_standby(proxied)
    proxied.control("PUT", "/settings", {"latency_s": 0.5})
    ids = proxied.post_all([100] * 150, expires_in=3600)
    old = proxied.holder()

    with proxied.paused(old):
        wait_until(lambda: proxied.holder().pid != old.pid, TTL_S + 4, "the standby took over")
        with proxied.client() as client:
            ids.append(proxied.post(client, 100, wait=20, expires_in=3600)["id"])
    wait_until(lambda: not old.is_running, 5, "the old holder ended")

    proxied.wait_until_ended(60)
    assert overtaken_bytes(proxied.wire_journal()) == []
    assert sum(proxied.statuses().values()) == len(ids)
    proxied.everything_holds()


def test_a_holder_stopped_between_taking_and_writing_never_writes(proxied: ProxiedFerry) -> None:
    proxied.processes["link"].kill()
    proxied.settings["FAILPOINTS"] = "taken_before_write:stop:3"
    proxied.start("link")
    del proxied.settings["FAILPOINTS"]
    wait_until(lambda: _has_the_lease(proxied, proxied.processes["link"].pid), 60, "it has the lease")
    proxied.wait_until_up()
    start_standby(proxied)
    old = proxied.processes["link"]
    wait_until(lambda: _stopped_after_a_payment(proxied, old.pid), 60, "the holder stopped")

    wait_until(lambda: proxied.holder().pid != old.pid, TTL_S + 4, "the standby took over")
    proxied.wait_until_up()
    old.popen.send_signal(signal.SIGCONT)
    wait_until(lambda: not old.is_running, 5, "the old holder ended")

    proxied.wait_until_ended(60)
    assert overtaken_bytes(proxied.wire_journal()) == []
    assert proxied.statuses()["reversed"] > 0
    proxied.everything_holds()


def _has_the_lease(ferry: ProxiedFerry, pid: int) -> bool:
    """The lease is this process's own, and no longer that of the one killed before it."""
    return bool(ferry.sql("SELECT 1 FROM processor_lease WHERE NOT released AND holder LIKE %s", f"%:{pid}"))


def _stopped_after_a_payment(ferry: ProxiedFerry, pid: int) -> bool:
    ferry.post_all([100], expires_in=3600)
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED
