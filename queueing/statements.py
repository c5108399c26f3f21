"""The SQL of the queue's verbs, named as they are; `queue.py` says what each does.

Every batch locks its entries in the order of their ids and changes them by a condition on their state. Entries that
are given are named by their ids wherever the table is read: the server keeps a plan for long, and one that it made for
an empty queue would read all of a full one.
ENQUEUE and ANSWER are fragments for other packages' statements, TAKE takes the holder's fence as one.
"""

from typing import Final

from queueing import lanes

REVERSAL_PRIORITY: Final = 10
"""Above every priority a client may ask for: what is owed to the host goes first."""

#: A smallint's most. What is owed is written again for months (M5), and one that is counted no further stops no other.
_COUNTED: Final = 32_767

#: Puts the payment of the CTE `accepted(id)` in the queue, in the same statement.
ENQUEUE: Final = f"""{lanes.JOIN_LANE}, entry AS (
    INSERT INTO queueing_queueentry
        (payment_id, link, kind, lane, priority, state, expires_at, pin, request_id, owed_since)
    SELECT accepted.id, %(link)s::text, %(kind)s::text, %(lane_key)s::text, %(priority)s::smallint,
        CASE WHEN lane.open > 1 THEN 'blocked' ELSE 'ready' END,
        %(send_before)s::timestamptz, %(pin)s::bytea, %(request_id)s::text, %(at)s::timestamptz
    FROM accepted LEFT JOIN lane ON true
)"""

#: Puts many payments in the queue in the order of `n`: those of the CTE
#: `owed(id, n, link, kind, lane_key, place, priority, send_before, pin, request_id)`, `place` being that in its lane.
ENQUEUE_MANY: Final = f"""{lanes.JOIN_LANES}, entry AS (
    INSERT INTO queueing_queueentry
        (payment_id, link, kind, lane, priority, state, expires_at, pin, request_id, owed_since)
    SELECT o.id, o.link, o.kind, o.lane_key, o.priority,
        CASE WHEN o.lane_key IS NULL OR (o.place = 1 AND lane.open = joining.entries) THEN 'ready' ELSE 'blocked' END,
        o.send_before, o.pin, o.request_id, %(at)s::timestamptz
    FROM owed o LEFT JOIN lane ON lane.lane = o.lane_key LEFT JOIN joining USING (lane_key)
    ORDER BY o.n
)"""

ENTRY: Final = """e.id, e.payment_id, e.link, e.kind, e.attempt, e.reverses, e.lane, e.state, e.expires_at,
    e.pin, e.frame, e.takes, e.unsent_tries, e.suspicions, e.epoch, e.taken_at, e.request_id"""

_READY: Final = f"""
SELECT {ENTRY}, coalesce(e.expires_at <= clock_timestamp(), false) AS is_expired FROM queueing_queueentry e
WHERE e.state = 'ready'"""

CLAIM: Final = f"""{_READY} AND e.link = %(link)s AND e.priority >= %(lowest)s AND e.id >= %(low)s
ORDER BY e.priority DESC, e.id LIMIT %(limit)s
FOR UPDATE SKIP LOCKED"""

CLAIM_ONE: Final = f"{_READY} AND e.id = %(id)s FOR UPDATE SKIP LOCKED"

#: Workers that start together mark the same entry, and a worker's threads die together: that is one mark. So only a
#: process that was started after the last mark makes another that counts.
SUSPECT: Final = """
WITH next AS MATERIALIZED (
    SELECT e.id, e.suspicions = 0 OR e.suspected_at IS NULL
        OR e.suspected_at NOT BETWEEN clock_timestamp() - %(age)s::interval AND clock_timestamp() AS counts
    FROM queueing_queueentry e WHERE e.state = 'ready' AND e.link = %(link)s AND e.priority >= %(lowest)s
    ORDER BY e.priority DESC, e.id LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE queueing_queueentry e SET suspicions = e.suspicions + n.counts::int,
    suspected_at = CASE WHEN n.counts THEN clock_timestamp() ELSE e.suspected_at END
FROM next n WHERE e.id = n.id RETURNING e.id, n.counts"""

BLAME: Final = "UPDATE queueing_queueentry SET suspected_at = NULL WHERE id = %(id)s AND state = 'ready'"

#: Not where another has the entry: that one may be about to die of it, and have made no mark because of this one.
TRUST: Final = """
UPDATE queueing_queueentry SET suspicions = suspicions - 1 WHERE id = ANY(ARRAY(
    SELECT id FROM queueing_queueentry WHERE id = %(id)s AND state = 'ready' AND suspicions > 0
    FOR UPDATE SKIP LOCKED))"""

AHEAD: Final = """
SELECT count(*) AS dispatched FROM (
    SELECT 1 FROM queueing_queueentry WHERE state = 'dispatched' AND link = %(link)s LIMIT %(limit)s
) AS ahead"""

DISPATCH: Final = """
UPDATE queueing_queueentry e
SET state = 'dispatched', attempt = d.attempt, frame = d.frame, match_key = d.match_key, mti = d.mti,
    frame_version = %(version)s::int, not_before = NULL, suspicions = 0
FROM unnest(%(ids)s::bigint[], %(attempts)s::smallint[], %(frames)s::bytea[], %(match_keys)s::text[], %(mtis)s::text[])
    AS d(id, attempt, frame, match_key, mti)
WHERE e.id = ANY(%(ids)s::bigint[]) AND e.id = d.id AND e.state = 'ready'
RETURNING e.id"""

#: `{fence}` is a CTE named `fence` with a row only for the holder of the link, who keeps it locked (F1).
TAKE: Final = f"""
WITH {{fence}}, next AS MATERIALIZED (
    SELECT e.id FROM queueing_queueentry e
    WHERE e.state = 'dispatched' AND e.link = %(link)s AND e.frame_version = %(version)s AND e.id >= %(low)s
        AND e.priority >= %(lowest)s AND (e.expires_at IS NULL OR e.expires_at > clock_timestamp())
    ORDER BY e.priority DESC, e.id LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
UPDATE queueing_queueentry e
SET state = 'taken', epoch = %(epoch)s::int, takes = least(e.takes + 1, {_COUNTED}), taken_at = clock_timestamp()
WHERE e.id = ANY(ARRAY(SELECT next.id FROM next, fence))
RETURNING e.id, e.payment_id, e.attempt, e.priority, e.frame, e.match_key, e.mti, e.request_id,
    extract(epoch FROM e.expires_at - e.taken_at)::float8 AS expires_in_s"""

UNTAKE: Final = f"""
WITH given AS MATERIALIZED (
    SELECT id FROM queueing_queueentry
    WHERE id = ANY(%(ids)s::bigint[]) AND state = 'taken' AND epoch = %(epoch)s::int
    ORDER BY id FOR UPDATE
)
UPDATE queueing_queueentry e
SET state = 'dispatched', takes = e.takes - 1, taken_at = NULL,
    unsent_tries = least(e.unsent_tries + %(failed)s::int, {_COUNTED})
WHERE e.id = ANY(ARRAY(SELECT id FROM given))"""

#: Moves what the CTE `filing(entry_id, attempt, epoch, kind)` answers or silences; the first one decides. The state is
#: an expression, so that entries are found by their ids and not among all that was taken since the last vacuum.
ANSWER: Final = """
answered AS (
    UPDATE queueing_queueentry e SET state = 'answered'
    WHERE e.id = ANY(ARRAY(
        SELECT q.id FROM queueing_queueentry q JOIN filing f ON q.id = f.entry_id
        WHERE q.id = ANY(%(entry_ids)s::bigint[]) AND q.state || '' = 'taken' AND q.attempt = f.attempt
            AND (f.kind = 'answer' OR q.epoch = f.epoch)
        ORDER BY q.id FOR UPDATE OF q
    ))
    RETURNING e.id
)"""

LOCK: Final = f"""
WITH wanted AS MATERIALIZED (
    SELECT {ENTRY} FROM queueing_queueentry e
    WHERE {{condition}} ORDER BY e.id LIMIT %(limit)s FOR UPDATE {{skip}}
) SELECT * FROM wanted ORDER BY id"""

#: Looked at and not locked.
OWED: Final = f"SELECT {ENTRY} FROM queueing_queueentry e WHERE e.payment_id = %(payment_id)s ORDER BY e.id"

CLOSE: Final = """
WITH closing AS MATERIALIZED (
    SELECT id FROM queueing_queueentry
    WHERE id = ANY(%(ids)s::bigint[]) AND state = ANY(%(states)s::text[]) ORDER BY id FOR UPDATE
)
DELETE FROM queueing_queueentry e WHERE e.id = ANY(ARRAY(SELECT id FROM closing))
RETURNING e.id, e.lane, e.state <> 'blocked' AS was_head"""

OWE: Final = f"""
WITH owing AS MATERIALIZED (
    SELECT e.id, o.reverses FROM queueing_queueentry e
    JOIN unnest(%(ids)s::bigint[], %(reverses)s::smallint[]) AS o(id, reverses) USING (id)
    WHERE e.id = ANY(%(ids)s::bigint[]) AND e.state = %(state)s ORDER BY e.id FOR UPDATE OF e
)
UPDATE queueing_queueentry e
SET state = 'ready', kind = 'reversal', priority = {REVERSAL_PRIORITY}, reverses = o.reverses, attempt = NULL,
    expires_at = NULL, pin = NULL, frame = NULL, match_key = NULL, takes = 0, unsent_tries = 0, taken_at = NULL,
    held_reason = NULL,
    owed_since = clock_timestamp()
FROM owing o WHERE e.id = ANY(%(ids)s::bigint[]) AND e.id = o.id RETURNING e.id"""

OWE_BESIDE: Final = f"""
INSERT INTO queueing_queueentry
    (payment_id, link, kind, attempt, reverses, priority, state, takes, request_id, owed_since)
SELECT o.payment_id, o.link, 'reversal', o.attempt, o.reverses, {REVERSAL_PRIORITY}, 'ready',
    least(o.takes, {_COUNTED}), o.request_id, clock_timestamp()
FROM unnest(%(payment_ids)s::uuid[], %(links)s::text[], %(attempts)s::smallint[], %(reverses)s::smallint[],
    %(takes)s::int[], %(request_ids)s::text[]) AS o(payment_id, link, attempt, reverses, takes, request_id)"""

HOLD_BESIDE: Final = """
INSERT INTO queueing_queueentry
    (payment_id, link, kind, attempt, priority, state, held_reason, request_id, owed_since, expires_at)
VALUES (%(payment_id)s::uuid, %(link)s::text, %(kind)s::text, %(attempt)s::smallint, %(priority)s::smallint, 'held',
    %(reason)s::text, %(request_id)s::text, clock_timestamp(), %(send_before)s::timestamptz)"""

#: How long, not until when: the clock may be set meanwhile. No wait is longer than the longest pause.
WAIT: Final = """
WITH later AS MATERIALIZED (
    SELECT e.id, w.delay FROM queueing_queueentry e
    JOIN unnest(%(ids)s::bigint[], %(delays)s::interval[]) AS w(id, delay) USING (id)
    WHERE e.id = ANY(%(ids)s::bigint[]) AND e.state = %(state)s ORDER BY e.id FOR UPDATE OF e
)
UPDATE queueing_queueentry e
SET state = CASE WHEN l.delay IS NULL THEN 'ready' ELSE 'waiting' END,
    not_before = clock_timestamp() + CASE WHEN l.delay IS NOT NULL THEN least(l.delay, %(longest)s::interval) END,
    frame = NULL, match_key = NULL, taken_at = NULL, suspicions = 0
FROM later l WHERE e.id = ANY(%(ids)s::bigint[]) AND e.id = l.id RETURNING e.id"""

#: Asked once a statement, or no index could be entered by it: each look would read all that wait for their time.
NOW: Final = "(SELECT clock_timestamp())"

#: What is due later than anything ever waits was told so before this clock was set back: it is due now.
WAKE: Final = f"""
WITH due AS MATERIALIZED (
    SELECT id FROM queueing_queueentry WHERE state = 'waiting' AND not_before <= {NOW}
    ORDER BY not_before LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), misdated AS MATERIALIZED (
    SELECT id FROM queueing_queueentry WHERE state = 'waiting' AND not_before > {NOW} + %(longest)s::interval
    ORDER BY not_before LIMIT %(limit)s FOR UPDATE SKIP LOCKED
)
UPDATE queueing_queueentry e SET state = 'ready', not_before = NULL
WHERE e.id = ANY(ARRAY(SELECT id FROM due UNION ALL SELECT id FROM misdated)) RETURNING e.link"""

HOLD: Final = """
WITH held AS MATERIALIZED (
    SELECT e.id, h.reason FROM queueing_queueentry e
    JOIN unnest(%(ids)s::bigint[], %(reasons)s::text[]) AS h(id, reason) USING (id)
    WHERE e.id = ANY(%(ids)s::bigint[]) AND e.state = %(state)s ORDER BY e.id FOR UPDATE OF e
)
UPDATE queueing_queueentry e SET state = 'held', held_reason = h.reason, frame = NULL, match_key = NULL
FROM held h WHERE e.id = ANY(%(ids)s::bigint[]) AND e.id = h.id RETURNING e.id"""

RELEASE: Final = """
UPDATE queueing_queueentry SET state = 'ready', not_before = NULL, held_reason = NULL, unsent_tries = 0, suspicions = 0
WHERE id = %(id)s AND state IN ('held', 'waiting') RETURNING id"""

#: Counted up to a cap in each state: an operator's figure, not a balance.
DEPTHS: Final = " UNION ALL ".join(
    f"SELECT link, '{state}' AS state, count(*) AS entries FROM ("
    f"SELECT link FROM queueing_queueentry WHERE state = '{state}' LIMIT %(cap)s) AS counted GROUP BY link"
    for state in ("ready", "blocked", "waiting", "dispatched", "taken", "answered", "held")
)

#: What waits for one link, each state up to the cap.
WAITING: Final = (
    "SELECT ("
    + ") + (".join(
        "SELECT count(*) FROM (SELECT 1 FROM queueing_queueentry "
        f"WHERE state = '{state}' AND link = %(link)s LIMIT %(cap)s) AS counted"
        for state in ("ready", "blocked", "waiting")
    )
    + ") AS entries"
)

OLDEST: Final = """
SELECT l.link, extract(epoch FROM clock_timestamp() - (
    SELECT owed_since FROM queueing_queueentry e WHERE e.link = l.link AND e.state = 'ready'
    ORDER BY e.priority DESC, e.id LIMIT 1))::float8 AS seconds
FROM unnest(%(links)s::text[]) AS l(link)"""
