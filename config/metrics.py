"""Prometheus figures: what this process counted, and what the database knows whichever process is asked.

Gauges of the queue and the links are read when they are scraped, so that no worker's death takes them along.
"""

import os
import threading
import time
from collections.abc import Iterable, Iterator
from itertools import product
from typing import Any, Final
from wsgiref.simple_server import WSGIRequestHandler, make_server

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from processor import links
from processor.overview import overview
from queueing import clock, queue
from queueing.database import rows
from queueing.models import EntryState
from transactions.webhooks import deliveries

_FRESH_S: Final = 2.0
_ALIVE: Final = b'{"status": "alive"}'
_COUNTED_UP_TO: Final = 100_000

_LINKS: Final = """
SELECT s.link, s.epoch, s.breaker, extract(epoch FROM s.business_date)::float8 AS business_date
FROM processor_linkstatus s ORDER BY s.link"""

_BREAKER: Final = {"closed": 0, "half_open": 1, "open": 2}

_REVERSALS: Final = """
SELECT link, count(*) AS open, max(extract(epoch FROM clock_timestamp() - owed_since))::float8 AS oldest
FROM (SELECT link, owed_since FROM queueing_queueentry WHERE kind = 'reversal' LIMIT %(cap)s) AS owed GROUP BY link"""


_log = structlog.get_logger(__name__)


class PoolCollector(Collector):
    """Database connections of this process, where its threads share a pool."""

    def describe(self) -> Iterable[Metric]:
        """There is nothing before the first connection."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return how many are in use and idle, and how many requests wait for one."""
        pool = getattr(connection, "pool", None)
        if pool is None:
            return
        figures = pool.get_stats()
        size, idle = figures.get("pool_size", 0), figures.get("pool_available", 0)
        family = GaugeMetricFamily("ferryman_db_pool", "Connections of this process, by state.", labels=["state"])
        for state, value in (("used", size - idle), ("idle", idle), ("waiting", figures.get("requests_waiting", 0))):
            family.add_metric([state], value)
        yield family


REGISTRY.register(PoolCollector())


class DatabaseCollector(Collector):
    """Gauges from the database, read at most every two seconds."""

    def __init__(self) -> None:
        self._read_at = 0.0
        self._families: list[Metric] = []

    def describe(self) -> Iterable[Metric]:
        """Nothing is read before it is asked for."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Return the gauges; none while the database is away."""
        if time.monotonic() - self._read_at > _FRESH_S:
            try:
                self._families = list(_families())
                self._read_at = time.monotonic()
            except (DatabaseError, InterfaceError):
                self._families = []
        yield from self._families


def _families() -> Iterator[Metric]:
    clock.now()  # a server that nobody pays through says how its clock is, too
    names = links.names()
    build = GaugeMetricFamily("ferryman_build_info", "Which build this is.", labels=["version"])
    build.add_metric([settings.VERSION], 1)
    yield build
    depth = GaugeMetricFamily("ferryman_queue_depth", "Open entries, counted up to 100,000.", labels=["link", "state"])
    counted = {(row.link, row.state): row.entries for row in queue.depths(_COUNTED_UP_TO)}
    for link, state in product(names, EntryState.values):
        depth.add_metric([link, state], counted.get((link, state), 0))
    yield depth
    oldest = GaugeMetricFamily("ferryman_queue_oldest_seconds", "How long the next ready entry waits.", labels=["link"])
    for name, seconds in queue.oldest_ready(names).items():
        oldest.add_metric([name], seconds)
    yield oldest
    held = sum(entries for (_, state), entries in counted.items() if state == EntryState.HELD)
    yield GaugeMetricFamily("ferryman_on_hold", "Entries that wait for a person.", value=held)
    yield from _link_families(names)
    yield from _webhook_families()


def _webhook_families() -> Iterator[Metric]:
    found = deliveries.figures(_COUNTED_UP_TO)
    endpoints = GaugeMetricFamily(
        "ferryman_webhook_endpoints", "Endpoints; disabled are those that failed or are gone.", labels=["state"]
    )
    for state in ("enabled", "failing", "disabled"):
        endpoints.add_metric([state], getattr(found, state))
    yield endpoints
    yield GaugeMetricFamily("ferryman_webhook_pending", "Deliveries that wait, up to 100,000.", value=found.pending)
    yield GaugeMetricFamily("ferryman_webhook_oldest_seconds", "How old the oldest of them is.", value=found.oldest_s)
    yield GaugeMetricFamily(
        "ferryman_webhook_overdue_seconds", "How long one that would be taken is due.", value=found.overdue_s
    )


def _link_families(names: list[str]) -> Iterator[Metric]:
    up = GaugeMetricFamily("ferryman_link_up", "1 while signed on, echoed and held (F4).", labels=["link"])
    health = GaugeMetricFamily("ferryman_link_health", "0 to 100, of four layers.", labels=["link"])
    epoch = GaugeMetricFamily("ferryman_link_epoch", "How many holders there were.", labels=["link"])
    for name in names:
        seen = overview(name)
        up.add_metric([name], int(seen is not None and seen.live.up))
        health.add_metric([name], seen.health.score if seen else 0)
    about = "Midnight of the bank's business date, as Unix time in UTC."
    date = GaugeMetricFamily("ferryman_link_business_date_seconds", about, labels=["link"])
    breaker = GaugeMetricFamily("ferryman_breaker_state", "0 closed, 1 half open, 2 open.", labels=["link"])
    for row in rows(_LINKS):
        breaker.add_metric([row.link], _BREAKER[row.breaker])
        epoch.add_metric([row.link], row.epoch)
        date.add_metric([row.link], row.business_date)
    reversals = GaugeMetricFamily("ferryman_reversals_open", "Reversals the host has not accepted.", labels=["link"])
    age = GaugeMetricFamily("ferryman_reversals_oldest_seconds", "How long the oldest is owed.", labels=["link"])
    owed = {row.link: row for row in rows(_REVERSALS, {"cap": _COUNTED_UP_TO})}
    for name in names:
        reversals.add_metric([name], owed[name].open if name in owed else 0)
        age.add_metric([name], owed[name].oldest if name in owed else 0)
    yield from (up, health, epoch, date, breaker, reversals, age)


_from_database = CollectorRegistry()
_from_database.register(DatabaseCollector())


def exposition() -> bytes:
    """Return what this process counted, or all web processes where they share a folder."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def serve(port: int) -> None:
    """Answer /metrics and /health of this process on a port of its own, for a Prometheus that may be elsewhere."""
    if not port:
        return
    try:
        server = make_server("0.0.0.0", port, _answer, handler_class=_Silent)  # noqa: S104
    except OSError as error:
        _log.warning("metrics.not_served", port=port, error=error.strerror)
        return
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()


class _Silent(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """A scrape is not worth a line."""


def _answer(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    pages = {"/metrics": (CONTENT_TYPE_LATEST, exposition), "/health": ("application/json", lambda: _ALIVE)}
    kind, page = pages.get(environ["PATH_INFO"], ("text/plain", None))
    start_response("200 OK" if page else "404 Not Found", [("Content-Type", kind)])
    return [page() if page else b"There are /metrics and /health."]


def metrics(_: HttpRequest) -> HttpResponse:
    """What Prometheus scrapes of the web server: its own figures and the database's."""
    return HttpResponse(exposition() + generate_latest(_from_database), content_type=CONTENT_TYPE_LATEST)
