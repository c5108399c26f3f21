"""What the processor counts and times. Figures that must outlive a worker are read from the database instead."""

from functools import lru_cache
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

_SHORT: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

STAGE_SECONDS = Histogram("ferryman_stage_seconds", "Work of one batch by stage.", ["stage"], buckets=_SHORT)
HOST_SECONDS = Histogram("ferryman_host_seconds", "From write to answer.", ["link"], buckets=_SHORT)
MESSAGES = Counter("ferryman_messages", "Messages on the wire.", ["link", "direction", "mti", "result"])
BYTES = Counter("ferryman_bytes", "Bytes on the wire.", ["link", "direction"])
IN_FLIGHT = Gauge("ferryman_link_in_flight", "Messages waiting for their answer.", ["link"])
WINDOW = Gauge("ferryman_link_window", "Messages that may wait for their answer.", ["link"])
CONNECT_SECONDS = Histogram("ferryman_connect_seconds", "From connecting to up.", ["link"], buckets=_SHORT)
CONNECTS = Counter("ferryman_connects", "Sessions by how they came and went.", ["link", "result", "cause"])
ECHO_SECONDS = Histogram("ferryman_echo_seconds", "From echo to its answer.", ["link"], buckets=_SHORT)
FAILOVERS = Counter("ferryman_failovers", "Times another host of a link took over.", ["link"])
FAILOVER_SECONDS = Histogram(
    "ferryman_failover_seconds", "From losing one host to being up with another.", ["link"], buckets=_SHORT
)
HELD_BACK = Counter("ferryman_link_held_back", "Times a host was not read on until its words were filed.", ["link"])
UNMATCHED = Counter("ferryman_unmatched_answers", "Answers that no payment asked for.", ["link"])


def failed_over(link: str, took_s: float) -> None:
    """Another host of a link carries now."""
    FAILOVERS.labels(link).inc()
    FAILOVER_SECONDS.labels(link).observe(took_s)


@lru_cache(maxsize=256)
def messages(link: str, direction: str, mti: str, result: str) -> Counter:
    """Return the counter of such messages; finding it by its labels costs more than counting."""
    return MESSAGES.labels(link, direction, mti, result)
