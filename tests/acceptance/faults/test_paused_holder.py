"""A holder that was stopped for longer than its lease hands no byte to the kernel afterwards (F2)."""

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
