"""Turns ready entries into dispatched messages, in batches, and takes back what may not be sent as it is.

One batch is one transaction: claimed, encoded and dispatched together, or not at all. It runs only for a
link that is up and at most two windows ahead of it, so that nothing is sealed early.
"""

import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction

from processor import links
from processor.codec.errors import EncodeError
from processor.errors import ProcessorError
from processor.keys.store import keys_of
from processor.links import LinkConfig, LiveLink
from processor.metrics import STAGE_SECONDS
from queueing import clock, queue
from queueing.database import giving_way, rows
from queueing.doorbell import FORWARD, link_queue, ring
from queueing.failpoints import reach
from queueing.policy import retry_policy
from queueing.queue import DispatchedFrame, LowWater, Mark
from transactions import store
from transactions.domain import commands as c
from transactions.domain import events as e
from transactions.domain.decide import may_try_again
from transactions.domain.errors import DomainError
from transactions.domain.values import MessageKind, ReasonCode
from transactions.ending import conclude, count_ends
from transactions.journal import SENT
from transactions.preparing import Situation, needs_stan, prepare
from transactions.store import Change, Loaded

ACTOR: Final = "ferryman"
_WINDOWS_AHEAD: Final = 2
_UNTIL_UNDONE: Final = timedelta(seconds=2)
_MOST_SUSPICIONS: Final = 3

#: The lookup is a subquery of its own (OFFSET 0), one index probe for each STAN: as a join the planner would read
#: every attempt the link ever had.
_DRAW_STANS: Final = """
WITH drawn AS MATERIALIZED (SELECT nextval('{sequence}')::int AS stan FROM generate_series(1, %(count)s::int))
SELECT d.stan FROM drawn d LEFT JOIN LATERAL (
    SELECT true AS is_used FROM transactions_attempt a WHERE a.link = %(link)s AND a.stan = d.stan
        AND (a.outcome = 'open' OR a.undoing = 'open' OR a.transmitted_at = %(at)s::timestamptz)
    LIMIT 1 OFFSET 0
) AS used ON true
WHERE used.is_used IS NULL"""

_log = structlog.get_logger(__name__)
_low_waters: dict[str, LowWater] = {}


#: How many more entries of a link this process takes one by one: a batch from its start, or after an error.
_alone: Final[dict[str, int]] = {}
#: Marks to take back as soon as the database can be told.
_acquitted: Final[deque[Mark]] = deque()


@dataclass(slots=True)
class _Plan:
    """What a batch is going to do, payment by payment."""

    changes: dict[UUID, Change] = field(default_factory=dict)
    frames: dict[UUID, DispatchedFrame] = field(default_factory=dict)
    expired: dict[UUID, int] = field(default_factory=dict)
    held: dict[UUID, tuple[int, str]] = field(default_factory=dict)
    #: entries that wait for the reversal of an earlier attempt (M8)
    postponed: list[tuple[int, datetime | None]] = field(default_factory=list)


def forward() -> None:
    """Work on every link until nothing is ready or no more may be ahead."""
    queue.wake()
    for name in links.names():
        forward_link(name)


def forward_link(name: str) -> None:
    """Recall what may not be sent as it is, then dispatch what is ready."""
    config, live = links.read(name), links.live(name)
    if config is None or live is None:
        return
    while recall_batch(config, live) == settings.BATCH:
        pass
    if live.reverses and live.version == config.version:
        while _dispatch_some(config, live):
            reach("dispatched")
            ring(link_queue(name))
        ring(link_queue(name))


@giving_way
@transaction.atomic
def recall_batch(config: LinkConfig, live: LiveLink) -> int:
    """Take back what a link that is down, or configured anew, will not send; returns how many it looked at."""
    entries = queue.dispatched(config.name, config.version if live.reverses else None, live.lowest, settings.BATCH)
    if not entries:
        return 0
    reason = ReasonCode.LINK_CHANGED if live.carries else ReasonCode.LINK_UNAVAILABLE
    at = clock.now()
    loaded = store.load({entry.payment_id for entry in entries})
    changes = {}
    by_payment = {entry.payment_id: entry for entry in _one_each(entries)}
    for payment_id, entry in by_payment.items():
        roll, accepted_at = random.random(), loaded[payment_id].accepted_at  # noqa: S311
        command = c.Recall(entry.attempt, reason, at, entry.unsent_tries, roll, retry_policy(), accepted_at)
        changes[payment_id] = Change.deciding(loaded[payment_id], command, actor=ACTOR, at=at)
    won = store.append(changes.values())
    failed = [i for i in won if changes[i].ended]
    queue.recall([(by_payment[i].id, _not_before(changes[i])) for i in won if i not in failed])
    queue.close([by_payment[i].id for i in failed], ["dispatched"])
    conclude(changes[i] for i in won)
    _log.info("payments.recalled", link=config.name, reason=reason.value, payments=[str(i) for i in won])
    return len(entries)


def _dispatch_some(config: LinkConfig, live: LiveLink) -> bool:
    """One by one after a start, later in batches; True when there may be more."""
    if _alone.setdefault(config.name, settings.BATCH) > 0:
        if _room_ahead(config) <= 0:
            return False
        _acquit()
        mark = queue.suspect_next(config.name, live.lowest)
        if mark is None:  # nothing is ready, or another has it: no reason to trust what comes next
            return False
        _alone[config.name] -= 1
        _dispatch_alone(config, live, mark)
        return True
    try:
        return dispatch_batch(config, live)
    except Exception:
        _alone[config.name] = settings.BATCH
        raise


def _dispatch_alone(config: LinkConfig, live: LiveLink, mark: Mark) -> None:
    """Dispatch an entry that is marked: if that ends this process, the mark stays, and the third is the last.

    It stays, too, when another worker or thread has the entry: that one may be about to die of it, and this mark may be
    the one that counts for both. Being dispatched takes every mark away.
    """
    try:
        dispatch_batch(config, live, mark.entry_id)
    except (OperationalError, InterfaceError, MemoryError):
        _acquitted.append(mark)
        raise
    except Exception as error:  # noqa: BLE001  (counted by its mark: its siblings go on, and in the end it is held)
        queue.blame(mark)
        _log.exception("forward.failed", link=config.name, entry=mark.entry_id, error=type(error).__name__)


def _acquit() -> None:
    """Take back the marks of what was not at fault when the database or the memory was gone; there again now."""
    while _acquitted:
        try:
            mark = _acquitted.popleft()
        except IndexError:  # another thread took it
            return
        try:
            queue.trust(mark)
        except Exception:
            _acquitted.append(mark)
            raise


def _room_ahead(config: LinkConfig) -> int:
    """Return how many more may be dispatched: at most two windows wait to be taken."""
    return queue.room_ahead(config.name, _WINDOWS_AHEAD * config.window)


@giving_way
@transaction.atomic
def dispatch_batch(config: LinkConfig, live: LiveLink, only: int | None = None) -> bool:
    """Dispatch the next ready entries, or one of them, in one transaction; True when there may be more."""
    limit = 1 if only else min(_room_ahead(config), settings.BATCH)
    if limit <= 0:
        return False
    if only:
        entries = queue.claim_one(only)
    else:
        entries = queue.claim(config.name, limit, _low_waters.setdefault(config.name, LowWater()), live.lowest)
    has_moved_on = False
    if entries:
        with STAGE_SECONDS.labels("forward").time():
            has_moved_on = _dispatch(list(_one_each(entries)), config, live)
    return has_moved_on or len(entries) == limit


def _dispatch(entries: Sequence[Any], config: LinkConfig, live: LiveLink) -> bool:
    """Do what is planned with claimed entries; True when a lane moved on, so that its next is ready."""
    at = clock.now()
    second = at.replace(microsecond=0)
    loaded = store.load({entry.payment_id for entry in entries})
    stans = iter(_draw_stans(config, sum(needs_stan(entry) for entry in entries), second))
    situation = Situation(config, live, keys_of(config), second, lambda: next(stans))
    plan = _Plan()
    for entry in entries:
        _plan(entry, loaded[entry.payment_id], situation, at, plan)
    won = store.append(plan.changes.values())
    queue.dispatch([frame for i, frame in plan.frames.items() if i in won], config.version)
    moved_on = queue.close([entry_id for i, entry_id in plan.expired.items() if i in won], ["ready"])
    queue.hold([move for i, move in plan.held.items() if i in won], "ready")
    if queue.postpone(plan.postponed):
        ring(FORWARD, _UNTIL_UNDONE.total_seconds())
    conclude(plan.changes[i] for i in plan.expired if i in won)
    _say(entries, plan, won, config)
    return bool(moved_on)


def _plan(entry: Any, loaded: Loaded, situation: Situation, at: datetime, plan: _Plan) -> None:
    """Decide what becomes of one entry; what cannot be encoded is held and stops no sibling."""
    try:
        _plan_one(entry, loaded, situation, at, plan)
    except MemoryError:
        raise  # nothing is wrong with this entry
    except Exception as error:  # noqa: BLE001  (whatever is wrong with one entry, the others go on)
        reason = ReasonCode.CANNOT_BE_ENCODED
        _log.error("payment.held", payment=str(entry.payment_id), reason=reason.value, exc_info=error)
        hold = c.Hold(reason, entry.reverses)
        plan.changes[entry.payment_id] = Change.deciding(loaded, hold, actor=ACTOR, at=at)
        plan.held[entry.payment_id] = (entry.id, f"{reason.value}: {_why(error)}")


def _plan_one(entry: Any, loaded: Loaded, situation: Situation, at: datetime, plan: _Plan) -> None:
    if entry.suspicions > _MOST_SUSPICIONS:
        raise EncodeError(f"making its message ended {_MOST_SUSPICIONS} workers")
    if entry.is_expired:
        expire = c.Expire(max(at, entry.expires_at))
        plan.changes[entry.payment_id] = Change.deciding(loaded, expire, actor=ACTOR, at=at)
        plan.expired[entry.payment_id] = entry.id
    elif entry.kind == MessageKind.REQUEST and not may_try_again(loaded.state):
        plan.postponed.append((entry.id, at + _UNTIL_UNDONE))
    else:
        prepared = prepare(entry, loaded, situation)
        plan.changes[entry.payment_id] = Change.deciding(loaded, prepared.command, actor=ACTOR, at=at)
        plan.frames[entry.payment_id] = prepared.frame
        SENT.remember(prepared.frame.sealed, prepared.message)


def _why(error: Exception) -> str:
    """Our own errors carry no value of a field; of any other only the name is safe to keep."""
    return str(error) if isinstance(error, ProcessorError | DomainError) else type(error).__name__


def _draw_stans(config: LinkConfig, count: int, second: datetime) -> list[int]:
    """M10: from the link's sequence; none that is open, and none that had this second before."""
    statement = _DRAW_STANS.format(sequence=config.stan_sequence)
    stans: list[int] = []
    while len(stans) < count:
        parameters = {"count": count - len(stans), "link": config.name, "at": second}
        stans += [row.stan for row in rows(statement, parameters)]
    return stans


def _one_each(entries: Sequence[Any]) -> Iterator[Any]:
    """One entry of a payment in a batch: each builds on the version before it."""
    seen: set[UUID] = set()
    for entry in entries:
        if entry.payment_id not in seen:
            seen.add(entry.payment_id)
            yield entry


def _not_before(change: Change) -> datetime | None:
    return next((event.not_before for event in change.events if isinstance(event, e.Recalled)), None)


def _say(entries: Sequence[Any], plan: _Plan, won: set[UUID], config: LinkConfig) -> None:
    dispatched = [entry for entry in entries if entry.payment_id in won and entry.payment_id in plan.frames]
    if dispatched:
        _log.info(
            "payments.dispatched",
            link=config.name,
            payments=[str(entry.payment_id) for entry in dispatched],
            requests=[entry.request_id for entry in dispatched],
        )
    count_ends(plan.changes[i] for i in plan.expired if i in won)
