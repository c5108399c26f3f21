"""A host that neither reads nor answers: accepted until the limit, refused beyond it, all of it right in the end."""

from tests.faults.stack import ProxiedFerry
from tests.faults.stuck import Stuck

_LIMIT = 300


def test_a_host_that_stops_reading_fills_the_backlog_and_not_our_memory(proxied: ProxiedFerry) -> None:
    proxied.settings["BACKLOG_LIMIT"] = str(_LIMIT)
    proxied.processes["web"].stop()
    proxied.start("web")
    proxied.wait_until_up()
    stuck = Stuck(proxied, rate=60, limit=_LIMIT)

    assert stuck.run(20) == []
    assert _LIMIT / 2 < sum(answer.status == 202 for answer in stuck.stuck) < 2 * _LIMIT
    assert all(int(answer.retry_after) > 0 for answer in stuck.refused)
