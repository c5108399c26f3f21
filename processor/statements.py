"""The SQL of the link's holder: taking, filing and saying how the link is. Run by `store.py` and `lease.py`."""

from typing import Final

from queueing import statements as queue

FENCE: Final = """fence AS (
    SELECT 1 FROM processor_lease
    WHERE link = %(link)s AND epoch = %(epoch)s::int AND NOT released FOR SHARE
)"""

TAKE: Final = queue.TAKE.format(fence=FENCE)

FILE: Final = f"""
WITH filing AS MATERIALIZED (
    SELECT f.*, %(epoch)s::int AS epoch
    FROM unnest(%(entry_ids)s::bigint[], %(payment_ids)s::uuid[], %(attempts)s::smallint[], %(kinds)s::text[],
        %(causes)s::text[], %(times)s::timestamptz[], %(elapsed)s::int[], %(bodies)s::bytea[],
        %(dialects)s::text[]) AS f(entry_id, payment_id, attempt, kind, cause, received_at, elapsed_us, body, dialect)
), {queue.ANSWER}
INSERT INTO processor_inboundframe
    (link, epoch, kind, entry_id, payment_id, attempt, cause, received_at, elapsed_us, body, dialect, failed)
SELECT %(link)s::text, f.epoch, CASE WHEN f.kind = 'answer' AND a.id IS NULL THEN 'stray' ELSE f.kind END,
    f.entry_id, f.payment_id, f.attempt, f.cause, f.received_at, f.elapsed_us, f.body, f.dialect, ''
FROM filing f LEFT JOIN answered a ON a.id = f.entry_id
WHERE f.kind <> 'silence' OR a.id IS NOT NULL"""

#: A new holder declares silence at once for all that was taken under older epochs, and for what it does not know.
FILE_ORPHANS: Final = """
WITH orphans AS MATERIALIZED (
    SELECT id FROM queueing_queueentry
    WHERE link = %(link)s AND state = 'taken' AND epoch <= %(epoch)s::int AND id <> ALL(%(known)s::bigint[])
    ORDER BY id FOR UPDATE
), answered AS (
    UPDATE queueing_queueentry e SET state = 'answered' WHERE e.id = ANY(ARRAY(SELECT id FROM orphans))
    RETURNING e.id, e.payment_id, e.attempt, e.epoch
)
INSERT INTO processor_inboundframe (link, epoch, kind, entry_id, payment_id, attempt, cause, received_at, dialect,
    failed)
SELECT %(link)s::text, epoch, 'silence', id, payment_id, attempt, 'taken_over', clock_timestamp(), '', ''
FROM answered"""

JOURNAL: Final = """
INSERT INTO processor_message (link, epoch, outward, mti, at, fields, remark)
SELECT %(link)s::text, %(epoch)s::int, m.outward, m.mti, m.at, m.fields, ''
FROM unnest(%(outward)s::bool[], %(mtis)s::text[], %(times)s::timestamptz[], %(fields)s::jsonb[])
    AS m(outward, mti, at, fields)"""

STATUS: Final = """
UPDATE processor_linkstatus
SET epoch = %(epoch)s, version = %(version)s, up = %(up)s, state = %(state)s, cause = %(cause)s,
    endpoint = %(endpoint)s, last_echo_at = %(last_echo_at)s, echo_ms = %(echo_ms)s, breaker = %(breaker)s,
    breaker_since = CASE WHEN breaker = %(breaker)s THEN breaker_since ELSE clock_timestamp() END,
    down_since = CASE WHEN %(up)s THEN NULL WHEN up THEN clock_timestamp()
        ELSE coalesce(down_since, clock_timestamp()) END,
    since = CASE WHEN up = %(up)s AND state = %(state)s THEN since ELSE clock_timestamp() END
WHERE link = %(link)s AND epoch <= %(epoch)s"""

BREAKER: Final = "SELECT breaker FROM processor_linkstatus WHERE link = %(link)s"

CUT_OVER: Final = """
UPDATE processor_linkstatus SET business_date = business_date + 1, last_cut_over = %(key)s
WHERE link = %(link)s AND last_cut_over <> %(key)s"""

DRAW_STANS: Final = "SELECT nextval('{sequence}')::int AS stan FROM generate_series(1, %(count)s)"

RENEW: Final = """
UPDATE processor_lease SET renewals = renewals + 1, renewed_at = clock_timestamp()
WHERE link = %(link)s AND epoch = %(epoch)s AND holder = %(holder)s AND NOT released
RETURNING (SELECT version FROM processor_link WHERE name = %(link)s) AS link_version"""

LOOK_AT_LEASE: Final = "SELECT epoch, renewals, released FROM processor_lease WHERE link = %(link)s"

#: The row's lock is what a take of the epoch before must wait for, or has waited for (F1).
GRANT: Final = """
UPDATE processor_lease
SET epoch = epoch + 1, renewals = 0, holder = %(holder)s, released = false, renewed_at = clock_timestamp()
WHERE link = %(link)s AND epoch = %(epoch)s AND renewals = %(renewals)s
RETURNING epoch"""

RELEASE: Final = """
UPDATE processor_lease SET released = true WHERE link = %(link)s AND epoch = %(epoch)s AND holder = %(holder)s"""
