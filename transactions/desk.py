"""What the desk shows, as values: how the links stand, what waits, what happened, which processes live.

Figures are read once for all who look at them through this process, and kept for a moment: a hundred open desks ask
the database as often as one. Words are the page's.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from django.db.models import QuerySet
from django.db.models.functions import Now

from processor.standing import Standing, standings
from queueing import clock, heartbeat, queue
from queueing.database import rows
from queueing.models import EntryState
from staff import requests
from staff.models import Request
from transactions import minutes
from transactions.domain.values import FINAL, Status
from transactions.minutes import Figure
from transactions.webhook_models import WebhookEndpoint

T = TypeVar("T")

_FRESH_S: Final = 2.0
_SERIES_FRESH_S: Final = 5.0
_DAY_FRESH_S: Final = 60.0
_COUNTED_UP_TO: Final = 10_000
_HELD_SHOWN: Final = 20
#: the host has had its chance by then: somebody should ask the bank
_REVERSAL_IS_OLD_S: Final = 300
_SKEW_TOLD_S: Final = 2.0
#: after that its merchant wants no webhooks there
_UNHEARD_TOLD: Final = timedelta(days=7)

#: a link's holder is missed by the link's own state
_NEEDED: Final = ("worker", "beat")
MINUTE: Final = timedelta(minutes=1)
QUARTER: Final = timedelta(minutes=15)
_SHARES: Final = (0.5, 0.95, 0.99)
_OTHERWISE: Final = FINAL - {Status.APPROVED, Status.DECLINED}
_WAITS: Final = (EntryState.READY, EntryState.BLOCKED, EntryState.WAITING, EntryState.DISPATCHED)

_HELD: Final = """
SELECT q.payment_id, q.kind, q.link, q.held_reason AS reason, q.owed_since, p.operation, p.amount, p.currency
FROM queueing_queueentry q JOIN transactions_payment p ON p.id = q.payment_id
WHERE q.state = 'held' ORDER BY q.id LIMIT %(limit)s"""

_REVERSALS: Final = """
SELECT l.name AS link, (
        SELECT count(*) FROM (
            SELECT 1 FROM queueing_queueentry q WHERE q.kind = 'reversal' AND q.link = l.name LIMIT %(cap)s) AS counted
    ) AS open, o.payment_id AS oldest, o.owed_since, o.takes,
    coalesce(extract(epoch FROM clock_timestamp() - o.owed_since), 0)::float8 AS oldest_s
FROM processor_link l LEFT JOIN LATERAL (
    SELECT q.payment_id, q.owed_since, q.takes FROM queueing_queueentry q
    WHERE q.kind = 'reversal' AND q.link = l.name ORDER BY q.owed_since LIMIT 1) AS o ON true"""


@dataclass(frozen=True, slots=True)
class LinkFigures:
    """One link with what waits for it."""

    standing: Standing
    waiting: int
    on_the_wire: int
    #: how long the next payment has waited
    oldest_s: float
    reversals: int
    oldest_reversal: UUID | None
    oldest_reversal_since: datetime | None
    oldest_reversal_s: float

    @property
    def has_old_reversal(self) -> bool:
        """True when the bank should be asked about it."""
        return self.oldest_reversal_s > _REVERSAL_IS_OLD_S


@dataclass(frozen=True, slots=True)
class Figures:
    """The desk at one moment."""

    links: Sequence[LinkFigures]
    on_hold: int
    #: the oldest of them
    held: Sequence[Any]
    processes: Sequence[Any]
    #: what waits for a second person, the oldest of it
    requests: Sequence[Request]
    #: webhook endpoints that are told nothing any more, because they did not listen, since a few days
    unheard: Sequence[WebhookEndpoint]

    @property
    def skewed(self) -> list[Any]:
        """Processes on machines whose clock is wrong by so much that people should know."""
        return [one for one in self.processes if not one.is_silent and abs(one.skew_s or 0) >= _SKEW_TOLD_S]

    @property
    def missing_kinds(self) -> list[str]:
        """What must run for payments to move, and does not, here or anywhere."""
        alive = {one.kind for one in self.processes if not one.is_silent}
        return [kind for kind in _NEEDED if kind not in alive]


class Remembered(Generic[T]):
    """Something read at most every so many seconds; who comes while another reads gets what there was."""

    def __init__(self, read: Callable[[], T], fresh_s: float) -> None:
        self._read = read
        self._fresh_s = fresh_s
        self._lock = threading.Lock()
        self._known: tuple[float, T] | None = None

    def get(self) -> T:
        """Return it; raises what reading raises."""
        known = self._known
        if known and time.monotonic() - known[0] < self._fresh_s:
            return known[1]
        if not self._lock.acquire(blocking=known is None) and known:
            return known[1]
        try:
            if self._known is known or self._known is None:
                self._known = (time.monotonic(), self._read())
            return self._known[1]
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Read anew the next time."""
        self._known = None


def read_figures() -> Figures:
    """Read the desk's figures."""
    standing = standings()
    entries = {(row.link, row.state): row.entries for row in queue.depths(_COUNTED_UP_TO)}
    oldest = queue.oldest_ready([one.link for one in standing])
    reversals = {row.link: row for row in rows(_REVERSALS, {"cap": _COUNTED_UP_TO})}
    return Figures(
        links=[_link(one, entries, oldest[one.link], reversals[one.link]) for one in standing],
        on_hold=sum(count for (_, state), count in entries.items() if state == EntryState.HELD),
        held=rows(_HELD, {"limit": _HELD_SHOWN}),
        processes=heartbeat.processes(),
        requests=list(requests.waiting()[:_HELD_SHOWN]),
        unheard=list(_unheard()[:_HELD_SHOWN]),
    )


def _unheard() -> "QuerySet[WebhookEndpoint]":
    reasons = (WebhookEndpoint.Disabled.FAILING, WebhookEndpoint.Disabled.GONE)
    lately = {"deleted_at__isnull": True, "disabled_at__gte": Now() - _UNHEARD_TOLD}
    found = WebhookEndpoint.objects.filter(disabled_reason__in=reasons, **lately)
    return found.select_related("merchant").order_by("disabled_at")


def _link(standing: Standing, entries: dict[tuple[str, str], int], oldest_s: float, reversals: Any) -> LinkFigures:
    return LinkFigures(
        standing=standing,
        waiting=sum(entries.get((standing.link, state), 0) for state in _WAITS),
        on_the_wire=entries.get((standing.link, EntryState.TAKEN), 0),
        oldest_s=oldest_s,
        reversals=reversals.open,
        oldest_reversal=reversals.oldest,
        oldest_reversal_since=reversals.owed_since,
        oldest_reversal_s=reversals.oldest_s,
    )


@dataclass(frozen=True, slots=True)
class Series:
    """What happened, step by step, up to now; the last step is not over yet."""

    moments: Sequence[datetime]
    accepted: Sequence[int]
    #: approved, declined, and what ended otherwise
    ends: Mapping[str, Sequence[int]]
    #: p50, p95 and p99 of the answer time, step by step
    percentiles: Sequence[Sequence[float | None]]
    of: Sequence[Figure]

    @property
    def approval_rate(self) -> float | None:
        """The approved among what the bank decided; None where it decided nothing."""
        approved, declined = sum(self.ends["approved"]), sum(self.ends["declined"])
        return approved / (approved + declined) if approved + declined else None

    def last_whole(self, what: str) -> int:
        """How many were accepted, or ended, in the last step that is over."""
        counted = [self.accepted] if what == minutes.ACCEPTED else list(self.ends.values())
        return sum(line[-2] for line in counted)

    def answered(self, link: str = "") -> tuple[float, float, float] | None:
        """p50, p95 and p99 of the answer time of one link or of all; None where nothing was answered."""
        answers = minutes.summed(one for one in self.of if link in ("", one.link))
        found = tuple(minutes.percentile(answers, share) for share in _SHARES)
        return None if None in found else found  # type: ignore[return-value]


def read_series(steps: int, step: timedelta, until: datetime) -> Series:
    """Read what happened in so many steps, of which the last is not over."""
    since = _start_of(until, step) - (steps - 1) * step
    found = minutes.figures(since, until, step)
    moments = [since + place * step for place in range(steps)]
    at_once = {at: [one for one in found if one.at == at] for at in moments}
    return Series(
        moments=moments,
        accepted=[_count(at_once[at], {minutes.ACCEPTED}) for at in moments],
        ends={
            "approved": [_count(at_once[at], {Status.APPROVED}) for at in moments],
            "declined": [_count(at_once[at], {Status.DECLINED}) for at in moments],
            "other": [_count(at_once[at], _OTHERWISE) for at in moments],
        },
        percentiles=[[minutes.percentile(minutes.summed(at_once[at]), share) for at in moments] for share in _SHARES],
        of=found,
    )


def _count(figures: Iterable[Figure], statuses: Collection[str]) -> int:
    return sum(one.payments for one in figures if one.status in statuses)


def _start_of(moment: datetime, step: timedelta) -> datetime:
    length = int(step.total_seconds())
    return datetime.fromtimestamp(int(moment.timestamp()) // length * length, UTC)


figures: Final = Remembered(read_figures, _FRESH_S)
last_hour: Final = Remembered(lambda: read_series(60, MINUTE, minutes.known_until(clock.now())), _SERIES_FRESH_S)
last_day: Final = Remembered(lambda: read_series(96, QUARTER, clock.now()), _DAY_FRESH_S)
