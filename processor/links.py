"""The registry of links: reading a link's configuration, changing it, and how it is right now.

A change is one transaction that counts the version up; the holder sees the version with its next renewal.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection, transaction
from django.utils import timezone

from processor.checking import check
from processor.codec.dialects import DIALECTS, Dialect
from processor.link.breaker import BreakerPolicy, BreakerState
from processor.link.health import Layer
from processor.link.profile import Profile
from processor.link.wishes import Wanted
from processor.models import Endpoint, Lease, Link, LinkStatus
from processor.versions import Author, Outdated, document, keep
from queueing.database import rows
from queueing.statements import REVERSAL_PRIORITY

ALIVE_S: Final = 8
#: what is looked at beside a session: no host is told of it, and no message is made by it
_BESIDE_SESSION: Final = (
    *("version", "store_and_forward"),
    *("breaker_failures", "breaker_rate", "breaker_volume"),
    *("breaker_window_s", "breaker_open_s", "breaker_successes"),
    *("health_process_s", "health_network_s", "health_protocol_s", "health_resources_s"),
)


@dataclass(frozen=True)
class LinkConfig:
    """A link as configured, at one version."""

    id: int
    name: str
    version: int
    dialect_name: str
    framing: str
    terminal_id: str
    card_acceptor_id: str
    time_zone_name: str
    bank_uuid: str
    window: int
    answer_timeout_s: float
    echo_interval_s: float
    echo_timeout_s: float
    sign_on_timeout_s: float
    failback_s: float
    store_and_forward: bool
    breaker_failures: int
    breaker_rate: int
    breaker_volume: int
    breaker_window_s: float
    breaker_open_s: float
    breaker_successes: int
    health_process_s: float
    health_network_s: float
    health_protocol_s: float
    health_resources_s: float
    endpoints: tuple[tuple[str, int], ...]

    @cached_property
    def dialect(self) -> Dialect:
        """The dialect's data."""
        return DIALECTS[self.dialect_name]

    @cached_property
    def time_zone(self) -> ZoneInfo:
        """Where the terminals are."""
        return ZoneInfo(self.time_zone_name)

    @property
    def stan_sequence(self) -> str:
        """The link's own cycling sequence (M10)."""
        return f"processor_stan_{self.id}"

    def leaves_session(self, newer: "LinkConfig") -> bool:
        """True when a session begun with this one goes on with a newer one: they differ only in what lies beside it."""
        beside = {field: getattr(newer, field) for field in _BESIDE_SESSION}
        return newer.version > self.version and replace(self, **beside) == newer

    def health_interval_s(self, layer: Layer) -> float:
        """Return how long after one look at a layer the next one is due."""
        return float(getattr(self, f"health_{layer.value}_s"))

    def breaker_policy(self) -> BreakerPolicy:
        """Return when the link's breaker opens and closes."""
        return BreakerPolicy(
            failures=self.breaker_failures,
            rate=self.breaker_rate,
            volume=self.breaker_volume,
            window_s=self.breaker_window_s,
            open_s=self.breaker_open_s,
            successes=self.breaker_successes,
        )

    def profile(self) -> Profile:
        """Return what the link machine needs of it."""
        return Profile(
            dialect=self.dialect,
            framing=self.framing,
            terminal_id=self.terminal_id,
            card_acceptor_id=self.card_acceptor_id,
            time_zone=self.time_zone,
            window=self.window,
            answer_timeout_s=self.answer_timeout_s,
            echo_interval_s=self.echo_interval_s,
            echo_timeout_s=self.echo_timeout_s,
            sign_on_timeout_s=self.sign_on_timeout_s,
        )


@dataclass(frozen=True, slots=True)
class LiveLink:
    """How a link is now: up means signed on, the last echo answered, and its lease alive (F4)."""

    up: bool
    version: int
    business_date: date
    since: datetime | None
    state: str
    cause: str
    breaker: str
    #: seconds since it went down, 0 while it is up; None before it was ever held, negative after a clock was set back
    down_s: float | None
    #: seconds the breaker has been in its state
    breaker_s: float
    #: what staff want of it
    wanted: str = Wanted.OPEN.value

    @property
    def reverses(self) -> bool:
        """True when reversals go out now: up, and not spared by its breaker."""
        return self.up and self.breaker != BreakerState.OPEN.value

    @property
    def carries(self) -> bool:
        """True when payments go out now: reversals do, and staff have not stopped the rest."""
        return self.reverses and self.wanted == Wanted.OPEN.value

    @property
    def lowest(self) -> int:
        """The lowest priority that goes out: any, or only what is owed to the host."""
        return 0 if self.wanted == Wanted.OPEN.value else REVERSAL_PRIORITY


_CONFIG: Final = """
SELECT l.id, l.name, l.version, l.dialect AS dialect_name, l.framing, l.terminal_id, l.card_acceptor_id,
    l.time_zone AS time_zone_name, coalesce(l.bank_uuid::text, '') AS bank_uuid, l.window, l.answer_timeout_s,
    l.echo_interval_s, l.echo_timeout_s, l.sign_on_timeout_s, l.failback_s, l.store_and_forward, l.breaker_failures,
    l.breaker_rate, l.breaker_volume, l.breaker_window_s, l.breaker_open_s, l.breaker_successes,
    l.health_process_s, l.health_network_s, l.health_protocol_s, l.health_resources_s,
    (SELECT array_agg(e.host || ' ' || e.port ORDER BY e.position) FROM processor_endpoint e WHERE e.link_id = l.id)
        AS endpoints
FROM processor_link l WHERE l.name = %(name)s OR %(name)s = '' ORDER BY l.id LIMIT 1"""

_SHELL: Final = Author("command line")

_HELD: Final = f"""
SELECT NOT released AND renewed_at > clock_timestamp() - interval '{ALIVE_S} seconds' AS is_held
FROM processor_lease WHERE link = %(link)s"""

_NAMES: Final = "SELECT name FROM processor_link ORDER BY id"

_LIVE: Final = f"""
SELECT n.up, l.wanted, s.version, s.business_date, s.since, s.state, s.cause, s.breaker,
    CASE WHEN n.up THEN 0
        ELSE extract(epoch FROM clock_timestamp() - CASE WHEN s.up THEN l.renewed_at ELSE s.down_since END)
    END::float8 AS down_s,
    greatest(coalesce(extract(epoch FROM clock_timestamp() - s.breaker_since), 0), 0)::float8 AS breaker_s
FROM processor_linkstatus s JOIN processor_lease l USING (link), LATERAL (
    SELECT s.up AND s.epoch = l.epoch AND NOT l.released
        AND l.renewed_at > clock_timestamp() - interval '{ALIVE_S} seconds' AS up
) AS n
WHERE s.link = %(link)s"""

#: a door refuses by how the link was at most so long ago
_LIVE_FRESH_S: Final = 1.0

_remembered: dict[str, tuple[float, LinkConfig | None]] = {}
_remembered_live: dict[str, tuple[float, LiveLink | None]] = {}


def read(name: str = "") -> LinkConfig | None:
    """Return a link's configuration, the first link's for no name; None when there is none."""
    found = rows(_CONFIG, {"name": name})
    if not found:
        return None
    fields = found[0]._asdict()
    endpoints = tuple(
        (host, int(port)) for host, port in (text.rsplit(" ", 1) for text in fields.pop("endpoints") or ())
    )
    return LinkConfig(**fields, endpoints=endpoints)


def names() -> list[str]:
    """Return the names of all links."""
    return [row.name for row in rows(_NAMES)]


def remembered(name: str = "") -> LinkConfig | None:
    """Return a link's configuration as it was at most CACHE_SECONDS ago."""
    now = time.monotonic()
    known = _remembered.get(name)
    if known is None or now - known[0] > settings.CACHE_SECONDS:
        known = (now, read(name))
        if known[1] is not None or name == "":
            _remembered[name] = known
    return known[1]


def is_held(name: str) -> bool:
    """Say whether a worker holds a link."""
    found = rows(_HELD, {"link": name})
    return bool(found and found[0].is_held)


def live(name: str) -> LiveLink | None:
    """Return how a link is now."""
    found = rows(_LIVE, {"link": name})
    return LiveLink(**found[0]._asdict()) if found else None


def remembered_live(name: str) -> LiveLink | None:
    """Return how a link was at most a second ago."""
    now = time.monotonic()
    known = _remembered_live.get(name)
    if known is None or now - known[0] > _LIVE_FRESH_S:
        known = _remembered_live[name] = (now, live(name))
    return known[1]


@transaction.atomic
def configure(
    name: str,
    changes: Mapping[str, Any],
    endpoints: Sequence[tuple[str, int]] | None = None,
    author: Author = _SHELL,
    expected: int | None = None,
) -> Link:
    """Create a link or change it, count its version up and keep it; raises LinkRefused with sentences.

    Raises Outdated when a version is expected that is not the link's any more.
    """
    link = Link.objects.select_for_update().filter(name=name).first() or Link(name=name, version=0)
    if expected is not None and link.version != expected:
        raise Outdated
    is_new = link.pk is None
    before = {} if is_new else document(link)
    for field, value in changes.items():
        setattr(link, field, value)
    check(link, endpoints if endpoints is not None or not is_new else [])
    link.version += 1
    link.save()
    if endpoints is not None:
        link.endpoints.all().delete()
        Endpoint.objects.bulk_create(
            Endpoint(link=link, position=position, host=host, port=port)
            for position, (host, port) in enumerate(endpoints)
        )
    if is_new:
        _found(link)
    link.refresh_from_db()
    keep(link, before, document(link), author)
    _remembered.clear()
    _remembered_live.clear()
    return link


def _found(link: Link) -> None:
    """Make what belongs to a link for ever: its STANs, its lease and its status."""
    today = timezone.localdate(timezone=ZoneInfo(link.time_zone))
    Lease.objects.create(link=link.name)
    LinkStatus.objects.create(link=link.name, business_date=today)
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE SEQUENCE processor_stan_{link.pk} AS int MINVALUE 1 MAXVALUE 999999 CYCLE")
