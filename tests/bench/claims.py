"""A claim of 100 at a backlog of a thousand and of a million: it has to cost the same."""

import statistics

from queueing.queue import LowWater
from tests.bench.figures import Figure
from tests.bench.seeding import claim_and_finish, come_to_rest, fill_up

_CLAIMS = 100


def claims() -> list[Figure]:
    """Measure both; the million stays where it is."""
    small = _median(1_000)
    large = _median(1_000_000)
    parts = {"1k": small, "1M": large}
    return [Figure("claim of 100, backlog 1M against 1k", large / small, "times", 1.3, 1.0, parts=parts)]


def _median(backlog: int) -> float:
    """Milliseconds of a claim while a backlog is kept as it is."""
    low_water = LowWater()
    fill_up(backlog)
    come_to_rest()
    took = []
    for _ in range(_CLAIMS):
        took.append(claim_and_finish(low_water))
        fill_up(100)
    return statistics.median(took[10:])
