"""How every link stands, in one question: for people who look, not for those who decide (they ask `links.live`)."""

from dataclasses import dataclass
from typing import Final

from processor.link.breaker import BreakerState
from processor.link.wishes import Wanted
from processor.links import ALIVE_S
from queueing.database import rows


@dataclass(frozen=True, slots=True)
class Standing:
    """One link as it stands; times are seconds ago, or from now for `retry_in_s`."""

    id: int
    link: str
    #: signed on, the last echo answered, and its lease alive (F4)
    up: bool
    #: somebody holds its lease
    is_held: bool
    state: str
    cause: str
    endpoint: str
    down_s: float | None
    echo_ago_s: float | None
    echo_ms: float | None
    retry_in_s: float | None
    breaker: str
    breaker_s: float
    #: what staff want of it
    wanted: str

    @property
    def carries(self) -> bool:
        """True when payments go out now."""
        return self.up and self.breaker != BreakerState.OPEN.value and self.wanted == Wanted.OPEN.value


_STANDINGS: Final = f"""
SELECT l.id, l.name AS link, coalesce(n.held AND s.up AND s.epoch = e.epoch, false) AS up,
    coalesce(n.held, false) AS is_held, s.state, s.cause, s.endpoint,
    extract(epoch FROM clock_timestamp() - CASE WHEN s.up THEN e.renewed_at ELSE s.down_since END)::float8 AS down_s,
    extract(epoch FROM clock_timestamp() - s.last_echo_at)::float8 AS echo_ago_s, s.echo_ms,
    CASE WHEN n.held THEN extract(epoch FROM s.retry_at - clock_timestamp())::float8 END AS retry_in_s,
    s.breaker, coalesce(extract(epoch FROM clock_timestamp() - s.breaker_since), 0)::float8 AS breaker_s, e.wanted
FROM processor_link l JOIN processor_linkstatus s ON s.link = l.name JOIN processor_lease e ON e.link = l.name,
    LATERAL (SELECT NOT e.released AND e.renewed_at > clock_timestamp() - interval '{ALIVE_S} seconds' AS held) AS n
ORDER BY l.id"""


def standings() -> list[Standing]:
    """Return every link as it stands, in the order in which they were made."""
    return [Standing(**row._asdict()) for row in rows(_STANDINGS)]
