"""The routing table, as it was at most CACHE_SECONDS ago: no round trip for a payment."""

import time
from typing import Final

from django.conf import settings

from processor import links
from processor.link.routes import Route, Way, choose
from queueing.database import rows

_ROUTES: Final = """
SELECT r.number, l.name AS link, f.name AS fallback, r.merchant_id, r.bin, r.biller
FROM processor_route r JOIN processor_link l ON l.id = r.link_id LEFT JOIN processor_link f ON f.id = r.fallback_id
WHERE r.enabled ORDER BY r.number"""

_remembered: dict[str, tuple[float, tuple[Route, ...]]] = {}


def way(merchant_id: int, pan: str | None, biller: str | None) -> Way | None:
    """Return where a payment goes that names no link; None where no rule fits."""
    return choose(_table(), merchant_id, pan, biller, _carries)


def forget() -> None:
    """Read the table again before the next payment of this process; other processes do so within CACHE_SECONDS."""
    _remembered.clear()


def _table() -> tuple[Route, ...]:
    now = time.monotonic()
    known = _remembered.get("")
    if known is None or now - known[0] > settings.CACHE_SECONDS:
        known = now, tuple(Route(**row._asdict()) for row in rows(_ROUTES))
        _remembered[""] = known
    return known[1]


def _carries(name: str) -> bool:
    live = links.remembered_live(name)
    return live is not None and live.carries
