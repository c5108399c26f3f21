"""What happened in each minute: payments accepted and ended, and how long the bank took. Sums for the desk's charts.

Computed from the events, off the payments' way: nothing is counted when a payment moves. An event's time is earlier
than its commit, so a minute is computed anew until nothing that could still belong to it is under way (Q2).
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from queueing.database import rows, run

#: upper bounds of the answer times that are told apart, in milliseconds; the last class is open
BOUNDS_MS: Final = (
    *(1, 2, 3, 5, 7, 10, 15, 20, 25, 30, 40, 50, 60, 80, 100, 125, 150, 200, 250, 300, 400, 500, 600, 800, 1000),
    *(1250, 1500, 2000, 2500, 3000, 4000, 5000, 7500, 10_000, 15_000, 20_000, 30_000, 60_000),
)
ACCEPTED: Final = "accepted"
_MINUTE: Final = timedelta(minutes=1)
_LOOKED_BACK: Final = timedelta(hours=25)
_KEPT: Final = timedelta(hours=26)
#: an event is written this much before its commit at most, unless its transaction is seen to be open for longer
_SETTLED_AFTER: Final = timedelta(seconds=30)
#: after a long absence it catches up by so much at once, for so long a run
_AT_ONCE: Final = timedelta(minutes=30)
_PATIENCE_S: Final = 5.0
#: above this many accepts and ends a minute it is computed once, when it is over: again and again would be felt
_BUSY: Final = 6000
#: what is older than that lags because nobody computes, and is shown as nothing
_LONGEST_LAG: Final = timedelta(minutes=3)

#: Two workers that compute at once would only repeat each other.
_ALONE: Final = "SELECT pg_try_advisory_xact_lock(%(key)s::bigint) AS alone, clock_timestamp() AS now"
_KEY: Final = 8583_0100

#: The first minute that may still change.
_OPEN_SINCE: Final = """
SELECT coalesce(
    (SELECT min(minute) FROM transactions_minute WHERE NOT closed),
    (SELECT max(minute) + interval '1 minute' FROM transactions_minute),
    (SELECT date_trunc('minute', min(at)) FROM transactions_event WHERE at >= %(earliest)s)) AS minute"""

#: How much happened in the fullest of the last minutes.
_LATELY: Final = """
SELECT coalesce(max(payments), 0) AS payments FROM (
    SELECT sum(payments) AS payments FROM transactions_minute
    WHERE minute >= coalesce((SELECT max(minute) FROM transactions_minute WHERE closed), '-infinity')
    GROUP BY minute) AS each"""

#: No event that is still to be committed is older: writers that are under way began before.
_OLDEST_WRITER: Final = """
SELECT least(clock_timestamp(), min(xact_start)) - %(settled)s::interval AS at FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'
    AND (backend_xid IS NOT NULL OR state = 'active') AND backend_type = 'client backend'"""

_CLEAR: Final = "DELETE FROM transactions_minute WHERE minute >= %(since)s OR minute < %(kept)s"

_TOLD_BY: Final = "('Accepted', 'Approved', 'Declined', 'Failed', 'Expired', 'Cancelled', 'Reversed', 'Resolved')"

_FORGET: Final = "DELETE FROM transactions_minute"

#: Every minute of the span has a row, so that one in which nothing happened is known to be empty.
_COMPUTE: Final = f"""
WITH happened AS MATERIALIZED (
    SELECT v.at, date_trunc('minute', v.at) AS minute, v.payment_id, v.type, (v.data->>'attempt')::smallint AS attempt
    FROM transactions_event v
    WHERE v.at >= %(since)s AND v.at < %(until)s AND v.type IN {_TOLD_BY}
), told AS (
    SELECT h.minute, p.link, CASE WHEN h.type = 'Accepted' THEN '{ACCEPTED}' ELSE p.status END AS status,
        CASE WHEN h.type <> 'Accepted' AND a.answered_at >= a.taken_at
            THEN 1000 * extract(epoch FROM a.answered_at - a.taken_at)::float8 END AS took_ms
    FROM happened h JOIN transactions_payment p ON p.id = h.payment_id
    LEFT JOIN transactions_attempt a ON a.payment_id = h.payment_id AND a.number = h.attempt
    WHERE h.type = 'Accepted' OR p.ended_at = h.at
), sorted AS (
    SELECT minute, link, status, width_bucket(took_ms, %(bounds)s::float8[]) AS class, count(*) AS payments
    FROM told GROUP BY 1, 2, 3, 4
), counted AS (
    SELECT minute, link, status, sum(payments)::int AS payments,
        coalesce(jsonb_object_agg(class, payments) FILTER (WHERE class IS NOT NULL), '{{}}') AS answers
    FROM sorted GROUP BY 1, 2, 3
    UNION ALL
    SELECT m, '', '', 0, '{{}}'
    FROM generate_series(%(since)s::timestamptz, %(until)s::timestamptz - interval '1 second', '1 minute') AS m
)
INSERT INTO transactions_minute (minute, link, status, payments, answers, closed)
SELECT minute, link, status, payments, answers, minute + interval '1 minute' <= %(settled)s FROM counted"""

_NEWEST: Final = "SELECT max(minute) AS minute FROM transactions_minute"

_READ: Final = """
SELECT date_bin(%(step)s::interval, minute, %(since)s) AS at, link, status, sum(payments)::int AS payments,
    jsonb_agg(answers) FILTER (WHERE answers <> '{}') AS answers
FROM transactions_minute WHERE minute >= %(since)s AND minute < %(until)s AND payments > 0
GROUP BY 1, 2, 3"""


@dataclass(frozen=True, slots=True)
class Figure:
    """What one link's payments with one status came to within one step of time."""

    at: datetime
    link: str
    #: `accepted`, or the status in which they ended
    status: str
    payments: int
    #: class of answer time -> payments
    answers: Mapping[int, int]


def roll_up() -> None:
    """Compute the minutes that may have changed, and forget those that nobody looks at any more."""
    stop_at = time.monotonic() + _PATIENCE_S
    while not _catch_up() and time.monotonic() < stop_at:
        pass


@transaction.atomic
def _catch_up() -> bool:
    """Compute the next minutes; True when there are no further ones, or another worker is at it."""
    asked = rows(_ALONE, {"key": _KEY})[0]
    if not asked.alone:
        return True
    earliest = _whole(asked.now - _LOOKED_BACK)
    open_since = rows(_OPEN_SINCE, {"earliest": earliest})[0].minute
    since = min(max(open_since or asked.now, earliest), _whole(asked.now))
    settled = rows(_OLDEST_WRITER, {"settled": _SETTLED_AFTER})[0].at
    last = _whole(settled) if rows(_LATELY)[0].payments > _BUSY else _whole(asked.now) + _MINUTE
    until = min(last, since + _AT_ONCE)
    run(_CLEAR, {"since": since, "kept": asked.now - _KEPT})
    if since < until:
        run(_COMPUTE, {"since": since, "until": until, "settled": settled, "bounds": list(map(float, BOUNDS_MS))})
    return bool(until >= last)


def begin_again() -> None:
    """Forget everything: the next run computes the last day anew."""
    run(_FORGET)


def known_until(now: datetime) -> datetime:
    """Return up to when charts are drawn: now, or where the last minute of a busy time ended."""
    newest = rows(_NEWEST)[0].minute
    return min(now, max(newest + _MINUTE, now - _LONGEST_LAG)) if newest else now


def figures(since: datetime, until: datetime, step: timedelta) -> list[Figure]:
    """Return what happened between two moments, by steps that begin with the first."""
    found = rows(_READ, {"since": since, "until": until, "step": step})
    return [Figure(row.at, row.link, row.status, row.payments, _summed(row.answers or ())) for row in found]


def percentile(answers: Mapping[int, int], share: float) -> float | None:
    """Return the answer time in milliseconds that so large a share stayed below; None where nothing was answered."""
    wanted = share * sum(answers.values())
    passed = 0
    for place in sorted(answers):
        if passed + answers[place] >= wanted:
            low, high = _bounds(place)
            return low + (high - low) * (wanted - passed) / answers[place]
        passed += answers[place]
    return None


def summed(figures: Iterable[Figure]) -> Counter[int]:
    """Return the answer times of several figures together."""
    total: Counter[int] = Counter()
    for figure in figures:
        total.update(figure.answers)
    return total


def _summed(answers: Iterable[Mapping[str, int]]) -> dict[int, int]:
    total: Counter[int] = Counter()
    for one in answers:
        total.update({int(place): count for place, count in one.items()})
    return dict(total)


def _bounds(place: int) -> tuple[float, float]:
    """Return the limits of a class; the last is as wide as its lower bound says."""
    low = BOUNDS_MS[place - 1] if place else 0
    return low, BOUNDS_MS[place] if place < len(BOUNDS_MS) else low


def _whole(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
