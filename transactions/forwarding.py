"""Turns ready entries into dispatched messages, in batches, and takes back what may not be sent as it is.

One batch is one transaction: claimed, encoded and dispatched together, or not at all. It runs only for a
link that is up and at most two windows ahead of it, so that nothing is sealed early.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from processor import links
from processor.errors import ProcessorError
from processor.keys.store import keys_of
from processor.links import LinkConfig, LiveLink
from processor.metrics import STAGE_SECONDS
from queueing import queue
from queueing.database import rows
from queueing.doorbell import link_queue, ring
from queueing.queue import DispatchedFrame, LowWater
from transactions import store
from transactions.domain import commands as c
from transactions.domain import events as e
from transactions.domain.errors import DomainError
from transactions.domain.values import ReasonCode
from transactions.ending import count_ends, notify_ends
from transactions.preparing import Situation, needs_stan, prepare
from transactions.store import Change, Loaded

ACTOR: Final = "ferryman"
_WINDOWS_AHEAD: Final = 2

_DRAW_STANS: Final = """
WITH drawn AS MATERIALIZED (SELECT nextval('{sequence}')::int AS stan FROM generate_series(1, %(count)s::int))
SELECT d.stan FROM drawn d
WHERE NOT EXISTS (
    SELECT 1 FROM transactions_attempt a WHERE a.link = %(link)s AND a.stan = d.stan
        AND (a.outcome = 'open' OR a.undoing = 'open' OR a.transmitted_at = %(at)s::timestamptz))"""

_log = structlog.get_logger(__name__)
_low_waters: dict[str, LowWater] = {}


@dataclass(slots=True)
class _Plan:
    """What a batch is going to do, payment by payment."""

    changes: dict[UUID, Change] = field(default_factory=dict)
    frames: dict[UUID, DispatchedFrame] = field(default_factory=dict)
    expired: dict[UUID, int] = field(default_factory=dict)
    held: dict[UUID, tuple[int, str]] = field(default_factory=dict)


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
    if live.up and live.version == config.version:
        more = True
        while more:
            more = dispatch_batch(config, live)
            ring(link_queue(name))


@transaction.atomic
def recall_batch(config: LinkConfig, live: LiveLink) -> int:
    """Take back what a link that is down, or configured anew, will not send; returns how many it looked at."""
    entries = queue.dispatched(config.name, config.version if live.up else None, settings.BATCH)
    if not entries:
        return 0
    reason = ReasonCode.LINK_CHANGED if live.up else ReasonCode.LINK_UNAVAILABLE
    at = timezone.now()
    loaded = store.load({entry.payment_id for entry in entries})
    changes = {}
    by_payment = {entry.payment_id: entry for entry in _one_each(entries)}
    for payment_id, entry in by_payment.items():
        command = c.Recall(entry.attempt, reason, at, entry.unsent_tries, random.random())  # noqa: S311
        changes[payment_id] = Change.deciding(loaded[payment_id], command, actor=ACTOR, at=at)
    won = store.append(changes.values())
    failed = [i for i in won if changes[i].ended]
    queue.recall([(by_payment[i].id, _not_before(changes[i])) for i in won if i not in failed])
    queue.close([by_payment[i].id for i in failed], ["dispatched"])
    notify_ends(changes[i] for i in won)
    _log.info("payments.recalled", link=config.name, reason=reason.value, payments=[str(i) for i in won])
    return len(entries)


@transaction.atomic
def dispatch_batch(config: LinkConfig, live: LiveLink) -> bool:
    """Dispatch up to BATCH ready entries in one transaction; True when there may be more."""
    room = queue.room_ahead(config.name, _WINDOWS_AHEAD * config.window)
    limit = min(room, settings.BATCH)
    if limit <= 0:
        return False
    entries = queue.claim(config.name, limit, _low_waters.setdefault(config.name, LowWater()))
    if entries:
        with STAGE_SECONDS.labels("forward").time():
            _dispatch(list(_one_each(entries)), config, live)
    return len(entries) == limit


def _dispatch(entries: Sequence[Any], config: LinkConfig, live: LiveLink) -> None:
    at = timezone.now()
    second = at.replace(microsecond=0)
    loaded = store.load({entry.payment_id for entry in entries})
    stans = iter(_draw_stans(config, sum(needs_stan(entry) for entry in entries), second))
    situation = Situation(config, live, keys_of(config), second, lambda: next(stans))
    plan = _Plan()
    for entry in entries:
        _plan(entry, loaded[entry.payment_id], situation, at, plan)
    won = store.append(plan.changes.values())
    queue.dispatch([frame for i, frame in plan.frames.items() if i in won], config.version)
    queue.close([entry_id for i, entry_id in plan.expired.items() if i in won], ["ready"])
    queue.hold([move for i, move in plan.held.items() if i in won], "ready")
    notify_ends(plan.changes[i] for i in plan.expired if i in won)
    _say(entries, plan, won, config)


def _plan(entry: Any, loaded: Loaded, situation: Situation, at: datetime, plan: _Plan) -> None:
    """Decide what becomes of one entry; what cannot be encoded is held and stops no sibling."""
    payment_id = entry.payment_id
    try:
        if entry.is_expired:
            command: c.Command = c.Expire(max(at, entry.expires_at))
            plan.changes[payment_id] = Change.deciding(loaded, command, actor=ACTOR, at=at)
            plan.expired[payment_id] = entry.id
            return
        command, frame = prepare(entry, loaded, situation)
        plan.changes[payment_id] = Change.deciding(loaded, command, actor=ACTOR, at=at)
        plan.frames[payment_id] = frame
    except (ProcessorError, DomainError) as error:
        reason = ReasonCode.CANNOT_BE_ENCODED
        _log.error("payment.held", payment=str(payment_id), reason=reason.value, why=str(error))
        plan.changes[payment_id] = Change.deciding(loaded, c.Hold(reason, entry.reverses), actor=ACTOR, at=at)
        plan.held[payment_id] = (entry.id, f"{reason.value}: {_why(error)}")


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
