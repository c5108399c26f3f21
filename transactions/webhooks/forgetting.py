"""Forgets webhooks that came to their end long ago: deliveries with their tries, and messages that have no other.

Never one that is still to be delivered. What came of a replay stays with the replay.
"""

from typing import Final

import structlog
from django.conf import settings
from django.db import transaction

from queueing.database import rows, run

_BATCH: Final = 1000
_BATCHES: Final = 20

#: Returns the messages of what it deleted, a row each.
_FORGET: Final = """
WITH old AS MATERIALIZED (
    SELECT id FROM transactions_webhookdelivery
    WHERE ended_at < clock_timestamp() - %(days)s::float8 * interval '1 day' AND state IN ('delivered', 'exhausted')
    ORDER BY ended_at LIMIT %(limit)s::int FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM transactions_webhookdelivery WHERE id = ANY(ARRAY(SELECT id FROM old))
    RETURNING message_id, replay_id, state
), tries AS (
    DELETE FROM transactions_webhookattempt WHERE delivery_id = ANY(ARRAY(SELECT id FROM old))
), sums AS (
    SELECT replay_id, count(*) FILTER (WHERE state = 'delivered') AS delivered,
        count(*) FILTER (WHERE state = 'exhausted') AS exhausted
    FROM gone WHERE replay_id IS NOT NULL GROUP BY replay_id
), replays AS MATERIALIZED (
    SELECT id FROM transactions_webhookreplay WHERE id IN (SELECT replay_id FROM sums) ORDER BY id FOR UPDATE
), summed AS (
    UPDATE transactions_webhookreplay r SET forgotten_delivered = r.forgotten_delivered + s.delivered,
        forgotten_exhausted = r.forgotten_exhausted + s.exhausted
    FROM sums s JOIN replays ON replays.id = s.replay_id WHERE r.id = s.replay_id
)
SELECT message_id FROM gone"""

#: Locked before it is looked whether they have other deliveries: `replaying` locks what it adds one to.
_HOLD: Final = """
SELECT id FROM transactions_webhookmessage WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id FOR UPDATE SKIP LOCKED"""

_FORGET_MESSAGES: Final = """
DELETE FROM transactions_webhookmessage m WHERE m.id = ANY(%(ids)s::uuid[])
    AND NOT EXISTS (SELECT 1 FROM transactions_webhookdelivery d WHERE d.message_id = m.id)"""

_log = structlog.get_logger(__name__)


def forget() -> int:
    """Delete what ended more than WEBHOOK_DAYS ago, batch by batch, so many a run; returns how many deliveries."""
    forgotten = 0
    for _batch in range(_BATCHES):
        count = _forget_batch()
        forgotten += count
        if count < _BATCH:
            break
    if forgotten:
        _log.info("webhooks.forgotten", deliveries=forgotten)
    return forgotten


@transaction.atomic
def _forget_batch() -> int:
    gone = rows(_FORGET, {"days": settings.WEBHOOK_DAYS, "limit": _BATCH})
    if gone:
        held = [row.id for row in rows(_HOLD, {"ids": list({row.message_id for row in gone})})]
        run(_FORGET_MESSAGES, {"ids": held})
    return len(gone)
