"""The SQL of the link's holder: taking, filing and saying how the link is. Run by `store.py` and `lease.py`."""

from typing import Final

from queueing import statements as queue

FENCE: Final = """fence AS (
    SELECT 1 FROM processor_lease
    WHERE link = %(link)s AND epoch = %(epoch)s::int AND NOT released FOR SHARE
)"""

TAKE: Final = queue.TAKE.format(fence=FENCE)

#: What came first has the lower id: an approval that was read before "not found" is judged before it (M7).
FILE: Final = f"""
WITH filing AS MATERIALIZED (
    SELECT f.*, %(epoch)s::int AS epoch
    FROM unnest(%(entry_ids)s::bigint[], %(payment_ids)s::uuid[], %(attempts)s::smallint[], %(kinds)s::text[],
        %(causes)s::text[], %(times)s::timestamptz[], %(elapsed)s::int[], %(bodies)s::bytea[],
        %(dialects)s::text[]) WITH ORDINALITY
        AS f(entry_id, payment_id, attempt, kind, cause, received_at, elapsed_us, body, dialect, place)
), {queue.ANSWER}
INSERT INTO processor_inboundframe
    (link, epoch, kind, entry_id, payment_id, attempt, cause, received_at, elapsed_us, body, dialect, failed)
SELECT %(link)s::text, f.epoch, CASE WHEN f.kind = 'answer' AND a.id IS NULL THEN 'stray' ELSE f.kind END,
    f.entry_id, f.payment_id, f.attempt, f.cause, f.received_at, f.elapsed_us, f.body, f.dialect, ''
FROM filing f LEFT JOIN answered a ON a.id = f.entry_id
WHERE f.kind <> 'silence' OR a.id IS NOT NULL
ORDER BY f.place"""

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
    health = %(health)s::jsonb,
    retry_at = %(retry_at)s, endpoint = %(endpoint)s, last_echo_at = %(last_echo_at)s, echo_ms = %(echo_ms)s,
    breaker = %(breaker)s,
    breaker_since = CASE WHEN breaker = %(breaker)s THEN breaker_since ELSE clock_timestamp() END,
    down_since = CASE WHEN %(up)s THEN NULL WHEN up THEN clock_timestamp()
        ELSE coalesce(down_since, clock_timestamp()) END,
    since = CASE WHEN up = %(up)s AND state = %(state)s THEN since ELSE clock_timestamp() END
WHERE link = %(link)s AND epoch <= %(epoch)s"""

BREAKER: Final = "SELECT breaker FROM processor_linkstatus WHERE link = %(link)s"

BUSINESS_DATE: Final = "SELECT business_date FROM processor_linkstatus WHERE link = %(link)s"

#: A notice that comes soon after an answer told its day is of that day, and moves the date no further.
CUT_OVER: Final = """
UPDATE processor_linkstatus
SET last_cut_over = %(key)s, business_date = business_date
    + CASE WHEN business_date_told_at > clock_timestamp() - interval '1 hour' THEN 0 ELSE 1 END
WHERE link = %(link)s AND last_cut_over <> %(key)s"""

BUSINESS_DATE_TOLD: Final = """
UPDATE processor_linkstatus SET business_date = %(day)s::date, business_date_told_at = clock_timestamp()
WHERE link = %(link)s AND business_date < %(day)s::date"""

DRAW_STANS: Final = "SELECT nextval('{sequence}')::int AS stan FROM generate_series(1, %(count)s)"

RENEW: Final = """
UPDATE processor_lease SET renewals = renewals + 1, renewed_at = clock_timestamp()
WHERE link = %(link)s AND epoch = %(epoch)s AND holder = %(holder)s AND NOT released
RETURNING renewed_at AS at, (SELECT version FROM processor_link WHERE name = %(link)s) AS link_version,
    wanted, wanted_endpoint, wishes,
    EXISTS (SELECT 1 FROM processor_linkcommand WHERE link = %(link)s AND state = 'open') AS is_commanded"""

LOOK_AT_LEASE: Final = "SELECT epoch, renewals, released FROM processor_lease WHERE link = %(link)s"

#: The row's lock is what a take of the epoch before must wait for, or has waited for (F1).
GRANT: Final = """
UPDATE processor_lease
SET epoch = epoch + 1, renewals = 0, holder = %(holder)s, released = false, renewed_at = clock_timestamp()
WHERE link = %(link)s AND epoch = %(epoch)s AND renewals = %(renewals)s
RETURNING epoch, wanted, wanted_endpoint, wishes"""

RELEASE: Final = """
UPDATE processor_lease SET released = true WHERE link = %(link)s AND epoch = %(epoch)s AND holder = %(holder)s"""

#: What staff want from now on; only the holder that did it says so.
WISH: Final = """
UPDATE processor_lease SET wanted = %(wanted)s, wanted_endpoint = %(endpoint)s, wishes = wishes + 1
WHERE link = %(link)s AND epoch = %(epoch)s::int AND NOT released
RETURNING wishes"""

ASK_COMMAND: Final = """
INSERT INTO processor_linkcommand (link, verb, parameters, asked_by, reason, asked_at, expires_at, state)
SELECT %(link)s::text, %(verb)s::text, %(parameters)s::jsonb, %(asked_by)s::text, %(reason)s::text, now.at,
    now.at + make_interval(secs => %(patience_s)s::float8), 'open'
FROM (SELECT clock_timestamp() AS at) AS now
RETURNING id"""

#: One at a time, so whatever runs already was taken by a holder that died, or by a claim whose answer was lost: it is
#: never run again.
CLAIM_COMMAND: Final = f"""
WITH {FENCE}, abandoned AS (
    UPDATE processor_linkcommand SET state = 'failed', ended_at = clock_timestamp(), answer = %(abandoned)s::text
    WHERE link = %(link)s AND state = 'running' AND epoch <= %(epoch)s::int AND EXISTS (SELECT 1 FROM fence)
), next AS MATERIALIZED (
    SELECT id FROM processor_linkcommand
    WHERE link = %(link)s AND state = 'open' AND expires_at > clock_timestamp()
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE processor_linkcommand c
SET state = 'running', epoch = %(epoch)s::int, started_at = clock_timestamp(),
    holder = (SELECT holder FROM processor_lease WHERE link = %(link)s)
WHERE c.id = ANY(ARRAY(SELECT next.id FROM next, fence)) AND c.state = 'open'
RETURNING c.id, c.verb, c.parameters"""

FINISH_COMMAND: Final = """
UPDATE processor_linkcommand
SET state = %(state)s::text, answer = %(answer)s::text, detail = %(detail)s::jsonb, ended_at = clock_timestamp()
WHERE id = %(id)s::bigint AND epoch = %(epoch)s::int AND state = 'running'"""

EXPIRE_COMMANDS: Final = """
UPDATE processor_linkcommand SET state = 'expired', ended_at = clock_timestamp(), answer = %(answer)s::text
WHERE state = 'open' AND expires_at <= clock_timestamp()
RETURNING id"""

HISTORY: Final = """
INSERT INTO processor_linkevent (link, epoch, holder, at, state, endpoint, cause, after_ms)
SELECT %(link)s::text, %(epoch)s::int,
    coalesce((SELECT holder FROM processor_lease WHERE link = %(link)s::text AND epoch = %(epoch)s::int), ''),
    h.at, h.state, h.endpoint, h.cause, h.after_ms
FROM unnest(%(times)s::timestamptz[], %(states)s::text[], %(endpoints)s::text[], %(causes)s::text[],
    %(after_ms)s::bigint[]) AS h(at, state, endpoint, cause, after_ms)"""

FORGET_BODIES: Final = """
UPDATE processor_message SET sealed_body = NULL WHERE id = ANY(ARRAY(
    SELECT id FROM processor_message
    WHERE sealed_body IS NOT NULL AND at < clock_timestamp() - %(days)s::float8 * interval '1 day'
    ORDER BY at LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED))"""

PRUNE_HISTORY: Final = """
DELETE FROM processor_linkevent WHERE id IN (
    SELECT id FROM processor_linkevent WHERE at < clock_timestamp() - %(kept)s::interval ORDER BY at LIMIT 1000)"""
