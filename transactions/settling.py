"""Turns filed answers and silences into events, in batches; what they mean is `judging`'s.

Nothing else ends a payment that was on the wire. One batch is one transaction; a frame that cannot be
worked on is set aside with its payment on hold, and stops no other.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

import structlog
from django.conf import settings
from django.db import OperationalError, transaction

from processor import links
from processor.keys.store import keys_of
from processor.links import LinkConfig
from processor.metrics import STAGE_SECONDS, UNMATCHED
from queueing import clock, queue
from queueing.database import gave_way, run
from queueing.doorbell import FORWARD, ring
from queueing.failpoints import reach
from queueing.policy import retry_policy
from queueing.retry import RetryPolicy
from transactions import journal, judging, store
from transactions.ending import conclude, count_ends
from transactions.filed import Filed, claim
from transactions.judging import Judgement, Moves
from transactions.store import Change
from transactions.strays import find_attempt

_DONE: Final = "DELETE FROM processor_inboundframe WHERE id = ANY(%(ids)s::bigint[])"
_SET_ASIDE: Final = "UPDATE processor_inboundframe SET failed = %(why)s::text WHERE id = ANY(%(ids)s::bigint[])"

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Batch:
    """What one transaction does."""

    at: datetime
    configs: dict[str, LinkConfig]
    retries: RetryPolicy
    judgements: list[Judgement] = field(default_factory=list)
    unmatched: list[Filed] = field(default_factory=list)

    @property
    def changes(self) -> list[Change]:
        return [judgement.change for judgement in self.judgements if judgement.events]


def settle() -> None:
    """Settle everything that was filed, batch by batch."""
    passed_over: list[int] = []
    while _settle_next(passed_over):
        pass


def _settle_next(passed_over: list[int]) -> bool:
    """Settle one batch; one that met whoever closes the next of a lane, and was the one to give way, is begun again."""
    try:
        return settle_batch(passed_over)
    except OperationalError as error:
        if not gave_way(error):
            raise
        _log.warning("settle.begun_again")
        return True


def settle_batch(passed_over: list[int]) -> bool:
    """Settle one batch; True when there may be more. Adds to `passed_over` what waits for another frame."""
    with transaction.atomic():
        frames = claim(settings.BATCH, passed_over)
        if not frames:
            return False
        with STAGE_SECONDS.labels("settle").time():
            batch = _settle(frames)
        reach("before_outcome")
    reach("outcome_committed")
    passed_over += [frame.id for judgement in batch.judgements for frame in judgement.postponed]
    _say(batch)
    return len(frames) == settings.BATCH


def _settle(frames: Sequence[Filed]) -> _Batch:
    batch = _Batch(clock.now(), _configs(frames), retry_policy())
    known = _by_payment(frames, batch)
    loaded = store.load(known.keys())
    for payment_id, about_it in known.items():
        _judge(loaded[payment_id], about_it, batch)
    won = store.append(batch.changes)
    settled = [judgement for judgement in batch.judgements if not judgement.events or judgement.state.id in won]
    done = [frame for judgement in settled for frame in judgement.done] + batch.unmatched
    remarks = {frame_id: remark for judgement in settled for frame_id, remark in judgement.remarks.items()}
    remarks |= {frame.id: frame.cause or "unmatched" for frame in batch.unmatched}
    journal.write(done, remarks, {name: config.dialect for name, config in batch.configs.items()})
    run(_DONE, {"ids": [frame.id for frame in done]})
    _move(settled)
    conclude(judgement.change for judgement in settled if judgement.events)
    return batch


def _configs(frames: Sequence[Filed]) -> dict[str, LinkConfig]:
    found = {name: links.remembered(name) for name in {frame.link for frame in frames}}
    return {name: config for name, config in found.items() if config}


def _by_payment(frames: Sequence[Filed], batch: _Batch) -> dict[UUID, list[Filed]]:
    """Return the frames by the payment each is about; what is about none is unmatched."""
    known: dict[UUID, list[Filed]] = {}
    for frame in frames:
        found = find_attempt(frame) if frame.payment_id is None else None
        about = frame.about(*found) if found else frame
        if about.payment_id is None:
            batch.unmatched.append(frame)
        else:
            known.setdefault(about.payment_id, []).append(about)
    return known


def _judge(before: store.Loaded, frames: list[Filed], batch: _Batch) -> None:
    try:
        keys = keys_of(batch.configs[frames[0].link])
        judgement = judging.judge(before, frames, keys.check_with, random.random(), batch.at, batch.retries)  # noqa: S311
    except MemoryError:
        raise  # nothing is wrong with this payment
    except Exception as error:  # noqa: BLE001  (whatever is wrong with one payment's frames, the others go on)
        why = type(error).__name__
        _log.error("payment.held", payment=str(before.state.id), reason="cannot_be_settled", exc_info=error)
        run(_SET_ASIDE, {"ids": [frame.id for frame in frames], "why": why})
        judgement = judging.hold(before, frames, batch.at)
    batch.judgements.append(judgement)


def _move(settled: Iterable[Judgement]) -> None:
    """Do what the judgements ask of the queue, one verb after another, and ring for what became ready."""
    moves = Moves()
    for judgement in settled:
        moves += judgement.moves
    promoted = queue.close(moves.close, ["answered"])
    owed = queue.owe_reversals(moves.owe)
    queue.owe_beside(moves.beside)
    queue.wait(moves.wait)
    queue.hold(moves.hold, "answered")
    if promoted or owed or moves.beside:
        transaction.on_commit(lambda: ring(FORWARD))
    for _, not_before in moves.wait:
        seconds = max(0.0, (not_before - clock.now()).total_seconds())
        transaction.on_commit(lambda seconds=seconds: ring(FORWARD, seconds))  # type: ignore[misc]


def _say(batch: _Batch) -> None:
    count_ends(batch.changes)
    for frame in batch.unmatched:
        UNMATCHED.labels(frame.link).inc()
        _log.warning("answer.unmatched", link=frame.link, cause=frame.cause or "unmatched")
    for judgement in batch.judgements:
        if judgement.events:
            _log.info(
                "payment.settled",
                payment=str(judgement.state.id),
                request=judgement.state.placement.request_id,
                status=judgement.state.status.value,
                events=[type(event).__name__ for event in judgement.events],
            )
