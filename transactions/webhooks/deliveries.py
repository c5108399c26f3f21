"""Deliveries in the database: claimed for a while, marked with what came of them, given up where nobody listens.

Owns the verbs and their SQL. A claim is a lease: what is not marked in time is due again, so that a worker may die
at any moment, and a receiver sees a message twice, with the same id, rather than never.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from django.db import transaction

from queueing.database import rows, run
from queueing.retry import WEBHOOK_TOTAL_S

#: Longer than a post may take, with room for a slow database.
_LEASE_S: Final = 60
#: How many posts to one endpoint are under way at once, in all workers; to one that fails only this many: a receiver
#: that hangs keeps nobody else's webhooks waiting.
_EACH: Final = 8
_EACH_FAILING: Final = 1
_SWEPT: Final = 1000
_GONE: Final = 410

#: An endpoint that is told, and did not ask (by Retry-After) to be left alone just now.
_LISTENS: Final = """e.disabled_at IS NULL AND e.deleted_at IS NULL
    AND (e.quiet_until IS NULL OR e.quiet_until <= clock_timestamp())"""

#: Asked once a statement, or no index could be entered by it: an endpoint that is down has hundreds of thousands that
#: wait for their time, and each claim would read them all.
_NOW: Final = "(SELECT clock_timestamp())"

#: By endpoint, a few of each, first ones first: claimed rows are sorted by how many their endpoint has before them.
_CLAIM: Final = f"""
WITH due AS MATERIALIZED (
    SELECT d.id FROM transactions_webhookendpoint e CROSS JOIN LATERAL (
        SELECT w.id, w.next_at FROM transactions_webhookdelivery w
        WHERE w.endpoint_id = e.id AND w.state IN ('pending', 'sending') AND w.next_at <= {_NOW}
        ORDER BY w.next_at
        LIMIT greatest(0, CASE WHEN e.failing_since IS NULL THEN {_EACH} ELSE {_EACH_FAILING} END - (
            SELECT count(*) FROM transactions_webhookdelivery s
            WHERE s.endpoint_id = e.id AND s.state = 'sending'
                AND s.next_at > {_NOW} AND s.next_at <= {_NOW} + make_interval(secs => {_LEASE_S})))
        FOR UPDATE SKIP LOCKED
    ) AS d
    WHERE {_LISTENS}
    ORDER BY row_number() OVER (PARTITION BY e.id ORDER BY d.next_at) LIMIT %(limit)s
)
UPDATE transactions_webhookdelivery w
SET state = 'sending', tries = w.tries + 1, next_at = clock_timestamp() + make_interval(secs => {_LEASE_S})
FROM due, transactions_webhookendpoint e, transactions_webhookmessage m
WHERE w.id = ANY(ARRAY(SELECT id FROM due)) AND w.id = due.id AND e.id = w.endpoint_id AND m.id = w.message_id
RETURNING w.id, w.tries, extract(epoch FROM clock_timestamp() - w.created_at)::float8 AS since_s, w.message_id, m.body,
    w.endpoint_id, e.url, e.secret, e.previous_secret, e.previous_until"""

#: A success is one whoever had the claim by then; anything else is said only by who has it.
_MARK: Final = """
WITH told AS (
    SELECT * FROM json_to_recordset(%(results)s::json) AS r(
        delivery_id bigint, tries int, state text, after_s float8, at timestamptz, duration_ms int,
        response_code int, error text, answer text)
), tried AS (
    INSERT INTO transactions_webhookattempt (delivery_id, number, at, duration_ms, response_code, error, answer)
    SELECT delivery_id, tries, at, duration_ms, response_code, error, answer FROM told
)
UPDATE transactions_webhookdelivery d
SET state = t.state, next_at = clock_timestamp() + make_interval(secs => t.after_s),
    ended_at = CASE WHEN t.state = 'pending' THEN NULL ELSE clock_timestamp() END
FROM told t
WHERE d.id = ANY(%(ids)s::bigint[]) AND d.id = t.delivery_id AND d.state = 'sending'
    AND (d.tries = t.tries OR t.state = 'delivered')"""

_RECOVERED: Final = """
UPDATE transactions_webhookendpoint SET failing_since = NULL
WHERE id = ANY(%(ids)s::uuid[]) AND failing_since IS NOT NULL"""

_FAILED: Final = """
UPDATE transactions_webhookendpoint SET failing_since = clock_timestamp()
WHERE id = ANY(%(ids)s::uuid[]) AND failing_since IS NULL"""

_LEAVE_ALONE: Final = """
UPDATE transactions_webhookendpoint
SET quiet_until = greatest(quiet_until, clock_timestamp() + make_interval(secs => %(quiet_s)s::float8))
WHERE id = %(id)s::uuid"""

_DISABLE: Final = """
UPDATE transactions_webhookendpoint SET disabled_at = clock_timestamp(), disabled_reason = %(reason)s::text
WHERE id = ANY(%(ids)s::uuid[]) AND disabled_at IS NULL AND deleted_at IS NULL
    AND (%(after_s)s::float8 = 0 OR failing_since <= clock_timestamp() - make_interval(secs => %(after_s)s::float8))
RETURNING id, url"""

#: Who failed for three days is told nothing any more, also where nothing is left to be tried that could fail once more.
#: What is due goes first: while nothing was sent here, a receiver may have mended, and its next answer decides.
_OVER: Final = f"""
SELECT e.id FROM transactions_webhookendpoint e
WHERE e.failing_since <= clock_timestamp() - make_interval(secs => %(after_s)s::float8)
    AND {_LISTENS}
    AND NOT EXISTS (
        SELECT 1 FROM transactions_webhookdelivery d WHERE d.endpoint_id = e.id
            AND (d.state = 'sending' OR (d.state = 'pending' AND d.next_at <= clock_timestamp())))"""

#: What waits for an endpoint that is told nothing any more is over, and seen to be.
_GIVE_UP: Final = """
UPDATE transactions_webhookdelivery SET state = 'exhausted', ended_at = clock_timestamp()
WHERE id IN (
    SELECT d.id FROM transactions_webhookendpoint e CROSS JOIN LATERAL (
        SELECT w.id FROM transactions_webhookdelivery w
        WHERE w.endpoint_id = e.id AND w.state IN ('pending', 'sending') LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    ) AS d
    WHERE e.disabled_at IS NOT NULL OR e.deleted_at IS NOT NULL LIMIT %(limit)s)"""

#: By the first of each endpoint: whether one is due, not how many are not.
IS_DUE: Final = f"""EXISTS (
    SELECT 1 FROM transactions_webhookendpoint e WHERE {_LISTENS} AND (
        SELECT d.next_at FROM transactions_webhookdelivery d
        WHERE d.endpoint_id = e.id AND d.state IN ('pending', 'sending') ORDER BY d.next_at LIMIT 1
    ) <= clock_timestamp())"""

#: Disabled counts what failed or is gone, not what somebody wanted so.
_FIGURES: Final = """
WITH live AS (SELECT * FROM transactions_webhookendpoint WHERE deleted_at IS NULL)
SELECT
    (SELECT count(*) FILTER (WHERE failing_since IS NULL AND disabled_at IS NULL) FROM live) AS enabled,
    (SELECT count(*) FILTER (WHERE failing_since IS NOT NULL AND disabled_at IS NULL) FROM live) AS failing,
    (SELECT count(*) FILTER (WHERE disabled_reason IN ('failing', 'gone')) FROM live) AS disabled,
    owed.pending, owed.oldest_s, owed.overdue_s
FROM (
    SELECT count(*) AS pending,
        coalesce(max(extract(epoch FROM clock_timestamp() - created_at)), 0)::float8 AS oldest_s,
        greatest(0, max(extract(epoch FROM clock_timestamp() - next_at)) FILTER (WHERE listens))::float8 AS overdue_s
    FROM (
        SELECT d.created_at, d.next_at, e.failing_since IS NULL AS listens
        FROM live e JOIN transactions_webhookdelivery d ON d.endpoint_id = e.id
        WHERE e.disabled_at IS NULL AND d.state IN ('pending', 'sending') LIMIT %(cap)s
    ) AS waiting
) AS owed"""


class Claimed(msgspec.Struct, frozen=True):
    """A delivery to make now, and everything needed for it."""

    id: int
    tries: int
    since_s: float
    message_id: UUID
    body: str
    endpoint_id: UUID
    url: str
    secret: bytes
    previous_secret: bytes | None
    previous_until: datetime | None


class Marked(msgspec.Struct, frozen=True):
    """What came of a delivery's try, as a row."""

    delivery_id: int
    tries: int
    state: str
    after_s: float
    quiet_s: float
    at: datetime
    duration_ms: int
    response_code: int | None
    error: str
    answer: str


@dataclass(frozen=True, slots=True)
class Result:
    """A marked try, and the endpoint it was made to."""

    endpoint_id: UUID
    marked: Marked

    @property
    def is_delivered(self) -> bool:
        """True when the receiver took it."""
        return self.marked.state == "delivered"


def claim(limit: int) -> list[Claimed]:
    """Claim what is due, a few of each endpoint; nobody else does for a minute."""
    return [Claimed(*row) for row in rows(_CLAIM, {"limit": limit})]


def mark(results: Sequence[Result]) -> list[Any]:
    """Write down what came of claims; returns the endpoints that are disabled by it."""
    took = {result.endpoint_id for result in results if result.is_delivered}
    gone = {result.endpoint_id for result in results if result.marked.response_code == _GONE}
    failed = {result.endpoint_id for result in results} - took
    with transaction.atomic():
        marked = [result.marked for result in results]
        told = msgspec.json.encode(marked).decode()
        run(_MARK, {"ids": [mark.delivery_id for mark in marked], "results": told})
        if took:
            run(_RECOVERED, {"ids": list(took)})
        if not failed | gone:
            return []
        run(_FAILED, {"ids": list(failed)})
        for endpoint, quiet_s in sorted(_asked_for(results).items()):
            run(_LEAVE_ALONE, {"id": endpoint, "quiet_s": quiet_s})
        return [*_disable(gone, "gone", 0.0), *_disable(failed, "failing", WEBHOOK_TOTAL_S)]


def disable_failing() -> Sequence[Any]:
    """Disable endpoints that failed for three days; returns them."""
    over = [row.id for row in rows(_OVER, {"after_s": WEBHOOK_TOTAL_S})]
    return _disable(over, "failing", WEBHOOK_TOTAL_S)


def give_up() -> int:
    """End what waits for endpoints that are disabled or deleted; returns how many deliveries."""
    return run(_GIVE_UP, {"limit": _SWEPT})


def figures(cap: int) -> Any:
    """Return how endpoints and deliveries stand, of deliveries that wait at most `cap` looked at."""
    return rows(_FIGURES, {"cap": cap})[0]


def _asked_for(results: Sequence[Result]) -> Mapping[UUID, float]:
    asked: dict[UUID, float] = {}
    for result in results:
        if result.marked.quiet_s:
            asked[result.endpoint_id] = max(result.marked.quiet_s, asked.get(result.endpoint_id, 0.0))
    return asked


def _disable(endpoints: Iterable[UUID], reason: str, after_s: float) -> Sequence[Any]:
    ids = list(endpoints)
    return rows(_DISABLE, {"ids": ids, "reason": reason, "after_s": after_s}) if ids else []
