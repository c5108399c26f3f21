"""A host that talks without end, to a database that files slowly: it is not heard any further, and nothing grows."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import psycopg
import pytest

from tests.faults.stack import ProxiedFerry
from tests.stack import wait_until

LATE_ANSWER = {
    "mti": "0210",
    "fields": {3: "000000", 4: "000000000100", 7: "1120120000", 11: "000001", 37: "H00000000001", 39: "00"},
}
ECHO = {"mti": "0800", "fields": {7: "1120120000", 11: "000001", 70: "301"}}
FLOOD_S = 4.5
GROWN_MB = 32


@contextmanager
def flooded(ferry: ProxiedFerry, message: dict[str, Any]) -> Iterator[None]:
    """The host says so without end, for the length of a block at least."""
    flooding = threading.Thread(target=ferry.proxy, args=("POST", "/flood", {**message, "seconds": FLOOD_S}))
    flooding.start()
    try:
        yield
    finally:
        flooding.join()


def frames_taken(ferry: ProxiedFerry) -> int:
    return int(ferry.proxy("GET", "/")["flooded"])


@pytest.mark.parametrize(("message", "table"), [(LATE_ANSWER, "inboundframe"), (ECHO, "message")])
def test_what_cannot_be_filed_is_not_read(proxied: ProxiedFerry, message: dict[str, Any], table: str) -> None:
    link = psutil.Process(proxied.processes["link"].pid)
    with proxied.client() as client:
        proxied.post(client, 100, wait=20)
        before = link.memory_info().rss
        with psycopg.connect(proxied.database_url) as slow:
            slow.execute(f"LOCK TABLE processor_{table} IN EXCLUSIVE MODE")
            with flooded(proxied, message):
                wait_until(lambda: frames_taken(proxied) > 2000, FLOOD_S / 4, "the host talks")
                wait_until(lambda: has_stopped(proxied), FLOOD_S / 2, "nobody listens any more")
                grown = link.memory_info().rss - before

        assert grown < GROWN_MB * 1_000_000
        # An answer may stand behind what the host had said already for longer than our patience.
        wait_until(lambda: proxied.post(client, 100, wait=20, expires_in=3600)["status"] == "approved", 20, "one pays")
    proxied.wait_until_ended(40)
    assert proxied.sql("SELECT epoch FROM processor_lease")[0].epoch == 1
    proxied.everything_holds()


def has_stopped(ferry: ProxiedFerry) -> bool:
    """True when the host gets rid of nothing in a third of a second."""
    taken = frames_taken(ferry)
    time.sleep(0.3)
    return frames_taken(ferry) == taken
