"""Finds what was dropped and rings for it, and ends what has expired unsent (M13).

Run by beat every few seconds and on start; twice at once does no harm. It never declares silence: only the
link's holder does.
"""

from collections.abc import Callable
from typing import Any, Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import InterfaceError, OperationalError, transaction

from processor import commands as link_commands
from processor import revealing
from queueing import clock, queue
from queueing.database import giving_way, rows
from queueing.doorbell import FORWARD, SETTLE, WEBHOOKS, link_queue, ring
from transactions import store
from transactions.domain import commands as c
from transactions.domain.errors import DomainError
from transactions.ending import conclude, count_ends
from transactions.metrics import RECOVERED, RECOVERY_RUNS
from transactions.missing import find_missing
from transactions.store import Change
from transactions.webhooks import forgetting
from transactions.webhooks.deliveries import IS_DUE, disable_failing, give_up

ACTOR: Final = "ferryman"

_UNFINISHED: Final = f"""
SELECT
    EXISTS (SELECT 1 FROM processor_inboundframe WHERE failed = '') AS unsettled,
    ARRAY(SELECT name FROM processor_link l WHERE EXISTS (
        SELECT 1 FROM queueing_queueentry WHERE state = 'ready' AND link = l.name)) AS ready,
    ARRAY(SELECT name FROM processor_link l WHERE EXISTS (
        SELECT 1 FROM queueing_queueentry WHERE state = 'dispatched' AND link = l.name)) AS dispatched,
    {IS_DUE} AS undelivered"""

_log = structlog.get_logger(__name__)


def recover() -> None:
    """Wake what is due, end what has expired, ring for what lies about; raises in the end what a step failed at."""
    in_turn(
        queue.wake,
        _expire,
        find_missing,
        link_commands.expire,
        link_commands.prune_history,
        revealing.forget,
        _ring_for_unfinished,
        _disable_failing,
        give_up,
        forgetting.forget,
    )
    RECOVERY_RUNS.inc()


def in_turn(*steps: Callable[[], Any]) -> None:
    """Take every step, whatever another fails at; raises an ExceptionGroup in the end.

    Where the database is away no step can be taken, and that is raised at once.
    """
    failed = []
    for step in steps:
        try:
            step()
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001  (raised in the end)
            failed.append(error)
    if failed:
        raise ExceptionGroup("recovery could not take every step", failed)


def _ring_for_unfinished() -> None:
    found = rows(_UNFINISHED)[0]
    if found.ready or found.dispatched:
        _ring(FORWARD, "ready")
    for link in found.dispatched:
        _ring(link_queue(link), "dispatched")
    if found.unsettled:
        _ring(SETTLE, "unsettled")
    if found.undelivered:
        _ring(WEBHOOKS, "undelivered")


def _disable_failing() -> None:
    for endpoint in disable_failing():
        _log.error("webhooks.endpoint_disabled", endpoint=str(endpoint.id))


def _expire() -> None:
    while expire_batch() == settings.BATCH:
        pass


@giving_way
@transaction.atomic
def expire_batch() -> int:
    """End payments whose time is over and that were not taken; returns how many it ended."""
    entries = queue.expired(settings.BATCH)
    at = clock.now()
    loaded = store.load({entry.payment_id for entry in entries})
    changes: dict[UUID, Change] = {}
    by_payment: dict[UUID, Any] = {}
    for entry in entries:
        command = c.Expire(max(at, entry.expires_at))
        try:
            changes[entry.payment_id] = Change.deciding(loaded[entry.payment_id], command, actor=ACTOR, at=at)
        except (DomainError, KeyError) as error:  # whatever is wrong with one, its siblings end and recovery goes on
            _log.error("payment.not_expired", payment=str(entry.payment_id), exc_info=error)
            continue
        by_payment[entry.payment_id] = entry
    won = store.append(changes.values())
    promoted = queue.close([by_payment[i].id for i in won], ["waiting", "blocked", "ready", "dispatched"])
    expired = [changes[i] for i in won]
    conclude(expired)
    transaction.on_commit(lambda: _said(expired, promoted))
    return len(won)


def _said(expired: list[Change], promoted: set[str]) -> None:
    count_ends(expired)
    if expired:
        RECOVERED.labels("expired", "ended").inc(len(expired))
        _log.info("payments.expired", payments=[str(change.after.id) for change in expired])
    if promoted:
        ring(FORWARD)


def _ring(queue_name: str, kind: str) -> None:
    RECOVERED.labels(kind, "rung").inc()
    ring(queue_name)
