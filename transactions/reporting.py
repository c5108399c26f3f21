"""What the reports read: sums of a business date or of a stretch of time, each by an index and bounded.

Owns the reports' SQL. What the figures mean is said in `transactions.reports`.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from django.db import OperationalError, transaction
from psycopg.errors import QueryCanceled

from queueing.database import rows, run
from transactions.finding import WRONG_CLOCK, first_id, made_at
from transactions.reports.bands import BOUNDS
from transactions.reports.period import Asked
from transactions.reports.settlement import Counted, Tally, tallies
from transactions.reports.shares import OF_AMOUNTS

#: so many payments a report reads at most, the newest of those asked for
MOST: Final = 500_000
#: so many of the slowest and most retried are shown
_FOREMOST: Final = 25
#: then it gives up: whoever looks is told to ask for less, and the database works for payments again
_PATIENCE: Final = "10s"

#: A business date lies together in the table: its index is a few pages, and costs a payment nothing.
_SETTLED: Final = """
SELECT p.currency, p.operation, p.original->>'operation' AS original, a.outcome, a.undoing,
    count(*)::bigint AS attempts, sum(p.amount)::bigint AS amount
FROM transactions_attempt a JOIN transactions_payment p ON p.id = a.payment_id
WHERE a.business_date = %(day)s AND a.kind <> 'reversal' AND (%(link)s = '' OR a.link = %(link)s)
GROUP BY 1, 2, 3, 4, 5"""

#: One core at most, for payments need the others; and a plan made for any period would be one for a short one.
_BOUNDED: Final = """
SELECT set_config('statement_timeout', %(patience)s, true) AS patience,
    set_config('plan_cache_mode', 'force_custom_plan', true) AS plans,
    set_config('max_parallel_workers_per_gather', '0', true) AS workers"""

#: What came just after the period, or carries a time of a wrong clock, does not push anything out of it.
_EDGE: Final = """
SELECT p.id FROM transactions_payment p WHERE p.id >= %(from)s AND p.id < %(to)s
ORDER BY p.id DESC OFFSET %(most)s LIMIT 1"""

#: Ids are in the order of acceptance: a period lies together in the table.
_ACCEPTED: Final = """p.id >= %(first)s AND p.id < %(end)s AND p.created_at >= %(since)s AND p.created_at < %(until)s
    AND (%(link)s = '' OR p.link = %(link)s) AND (%(operation)s = '' OR p.operation = %(operation)s)
    AND (%(currency)s = '' OR p.currency = %(currency)s)"""

_ENDS: Final = f"""
SELECT p.operation, p.biller, p.currency, width_bucket(p.amount, %(bounds)s::bigint[]) AS band, p.status,
    count(*)::bigint AS payments
FROM transactions_payment p WHERE {_ACCEPTED}
GROUP BY 1, 2, 3, 4, 5"""

_BANDS: Final = f"""
SELECT p.currency, width_bucket(p.amount, %(bounds)s::bigint[]) AS band,
    count(*)::bigint AS payments, sum(p.amount)::bigint AS amount
FROM transactions_payment p WHERE {_ACCEPTED} AND p.status = 'approved' AND p.amount > 0
GROUP BY 1, 2 ORDER BY 1, 2"""

_AMOUNTS: Final = f"""
SELECT p.currency, count(*)::bigint AS payments, sum(p.amount)::bigint AS amount,
    min(p.amount) AS lowest, max(p.amount) AS highest,
    percentile_disc(%(of_amounts)s::float8[]) WITHIN GROUP (ORDER BY p.amount) AS percentiles
FROM transactions_payment p WHERE {_ACCEPTED} AND p.status = 'approved' AND p.amount > 0
GROUP BY 1 ORDER BY 1"""

_QUARTERS: Final = f"""
SELECT date_bin('15 minutes', p.created_at, 'epoch') AS at, count(*)::bigint AS payments,
    count(p.ended_at)::bigint AS ended, count(*) FILTER (WHERE p.status = 'approved')::bigint AS approved
FROM transactions_payment p WHERE {_ACCEPTED}
GROUP BY 1"""

_CODES: Final = f"""
SELECT a.response_code AS code, a.outcome, count(*)::bigint AS attempts
FROM transactions_payment p JOIN transactions_attempt a ON a.payment_id = p.id
WHERE {_ACCEPTED} AND a.payment_id >= %(first)s AND a.payment_id < %(end)s AND a.kind <> 'reversal'
    AND a.outcome <> 'unsent'
GROUP BY 1, 2"""

_MS: Final = "round(1000 * extract(epoch FROM {}))::bigint"
#: All lengths of time in one pass, for reading half a million payments is what takes: how often each came, and the
#: foremost. What a payment lasted is counted at its first attempt.
_TIMED: Final = f"""
WITH timed AS MATERIALIZED (
    SELECT p.id, p.operation,
        CASE WHEN a.number IS NULL OR a.number = 1 THEN p.ended_at - p.created_at END AS lasted,
        CASE WHEN a.kind <> 'reversal' AND a.answered_at >= a.taken_at THEN a.answered_at - a.taken_at END AS took
    FROM transactions_payment p LEFT JOIN transactions_attempt a
        ON a.payment_id = p.id AND a.payment_id >= %(first)s AND a.payment_id < %(end)s
    WHERE {_ACCEPTED}
), times AS (
    SELECT 'lasted' AS what, operation, {_MS.format("lasted")} AS took_ms, count(*)::bigint AS times, NULL::uuid AS id
    FROM timed WHERE lasted IS NOT NULL GROUP BY 2, 3
    UNION ALL
    SELECT 'took', operation, {_MS.format("took")}, count(*)::bigint, NULL
    FROM timed WHERE took IS NOT NULL GROUP BY 2, 3
), foremost AS (
    (SELECT 'slowest' AS what, operation, {_MS.format("lasted")} AS took_ms, 1::bigint AS times, id
    FROM timed WHERE lasted IS NOT NULL ORDER BY lasted DESC, id LIMIT %(foremost)s)
    UNION ALL
    (SELECT 'slowest answer', operation, {_MS.format("took")}, 1, id
    FROM timed WHERE took IS NOT NULL ORDER BY took DESC, id LIMIT %(foremost)s)
)
SELECT * FROM times UNION ALL SELECT * FROM foremost"""

_NAMED: Final = """
SELECT p.id, p.operation, p.amount, p.currency, p.status, p.created_at, t.took_ms / 1000.0::float8 AS seconds
FROM unnest(%(ids)s::uuid[], %(took_ms)s::bigint[]) WITH ORDINALITY AS t (id, took_ms, place)
JOIN transactions_payment p ON p.id = t.id ORDER BY t.took_ms DESC, t.place"""

_RETRIED: Final = f"""
SELECT p.id, p.operation, p.amount, p.currency, p.status, p.created_at, tried.tries, tried.repeats
FROM (
    SELECT DISTINCT a.payment_id AS id FROM transactions_attempt a
    WHERE a.payment_id >= %(first)s AND a.payment_id < %(end)s
        AND (a.repeats > 0 OR (a.number > 1 AND a.kind <> 'reversal' AND a.outcome <> 'unsent'))
) AS found JOIN transactions_payment p ON p.id = found.id
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE a.kind <> 'reversal' AND a.outcome <> 'unsent')::bigint AS tries,
        sum(a.repeats)::bigint AS repeats
    FROM transactions_attempt a WHERE a.payment_id = p.id
) AS tried
WHERE {_ACCEPTED} AND (tried.tries > 1 OR tried.repeats > 0)
ORDER BY tried.tries + tried.repeats DESC, p.id LIMIT %(foremost)s"""


class TookTooLong(Exception):
    """The report was not read in time; a shorter period is."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was read for a report."""

    #: since when, where the period holds more payments than a report reads
    only_since: datetime | None
    #: the rows of each statement
    parts: Sequence[Sequence[Any]]


def settlement(day: date, link: str = "") -> list[Tally]:
    """Return what a business date came to, over one link or all."""
    return tallies(counted(day, link))


def counted(day: date, link: str = "") -> Sequence[Counted]:
    """Return how many attempts of a business date there are of each kind, as the settlement and its totals count."""
    found: Sequence[Counted] = rows(_SETTLED, {"day": day, "link": link})
    return found


def ends(asked: Asked) -> Found:
    """Read how many payments stand where (`success.Counted`); raises TookTooLong, as all of these do."""
    return _read(asked, _ENDS)


def values(asked: Asked) -> Found:
    """Read the amounts of what was approved: by currency and band, and each currency's percentiles."""
    return _read(asked, _BANDS, _AMOUNTS)


def quarters(asked: Asked) -> Found:
    """Read what was accepted in each quarter of an hour (`hours.Quarter`)."""
    return _read(asked, _QUARTERS)


def codes(asked: Asked) -> Found:
    """Read what the bank answered, by code and outcome; an attempt that was never sent has no answer."""
    return _read(asked, _CODES)


def times(asked: Asked) -> Found:
    """Read how long payments lasted and answers took, by operation; the slowest of both, and the most retried."""
    with _reading(asked) as (wanted, only_since):
        timed: dict[str, list[Any]] = {what: [] for what in ("lasted", "took", "slowest", "slowest answer")}
        for row in rows(_TIMED, wanted):
            timed[row.what].append(row)
        slowest, slowest_answers = (_named(timed[what]) for what in ("slowest", "slowest answer"))
        retried = rows(_RETRIED, wanted)
        return Found(only_since, [timed["lasted"], timed["took"], slowest, slowest_answers, retried])


def _named(foremost: Sequence[Any]) -> Sequence[Any]:
    """Return the payments of the foremost, each with its seconds."""
    return rows(_NAMED, {"ids": [row.id for row in foremost], "took_ms": [row.took_ms for row in foremost]})


def _read(asked: Asked, *statements: str) -> Found:
    with _reading(asked) as (wanted, only_since):
        return Found(only_since, [rows(statement, wanted) for statement in statements])


@contextmanager
def _reading(asked: Asked) -> Iterator[tuple[dict[str, Any], datetime | None]]:
    """Bound what is read, and yield what the statements want and since when there is too much; raises TookTooLong."""
    wanted = {
        "first": first_id(asked.since - WRONG_CLOCK),
        "end": first_id(asked.until + WRONG_CLOCK),
        "since": asked.since,
        "until": asked.until,
        "link": asked.link,
        "operation": asked.operation,
        "currency": asked.currency,
        "bounds": list(BOUNDS),
        "of_amounts": list(OF_AMOUNTS),
        "foremost": _FOREMOST,
    }
    try:
        with transaction.atomic():
            run(_BOUNDED, {"patience": _PATIENCE})
            edge = rows(_EDGE, {"from": first_id(asked.since), "to": first_id(asked.until), "most": MOST})
            if edge:
                wanted["first"] = UUID(int=edge[0].id.int + 1)
            yield wanted, made_at(edge[0].id) if edge else None
    except OperationalError as error:
        if isinstance(error.__cause__, QueryCanceled):
            raise TookTooLong from error
        raise
