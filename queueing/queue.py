"""The verbs of the queue. Nothing else changes an entry.

    enqueue -> ready | blocked          dispatch: ready -> dispatched     answer: taken -> answered
    wake:    waiting -> ready           take:     dispatched -> taken     close:  any   -> gone
    recall:  dispatched -> ready        untake:   taken -> dispatched     hold:   any   -> held
    owe:     answered -> ready, as the reversal of what was not answered
    wait:    answered | ready -> waiting      release: held | waiting -> ready

Every verb is one conditional UPDATE that locks its entries in the order of their ids and says which it
changed. Order is priority, then id; time is the database's. No entry knows what a payment is.
"""

import time
import uuid
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec
from django.conf import settings

from queueing import clock, lanes
from queueing import statements as sql
from queueing.database import rows, run

_LOW_WATER_S: Final = 0.5


@dataclass(slots=True)
class LowWater:
    """Below this id nothing was ready at the last look: spares the dead rows that an old snapshot keeps.

    Forgotten every half second, so that a row that became ready again or committed late is not passed over for longer
    (Q2); and on a short read, which says nothing of what is below: whoever gets one looks once more.
    """

    low: int = 0
    since: float = 0.0

    def current(self) -> int:
        """Return the id to begin at."""
        if time.monotonic() - self.since > _LOW_WATER_S:
            self.low, self.since = 0, time.monotonic()
        return self.low

    def saw(self, ids: Sequence[int], asked: int) -> None:
        """Remember what a claim returned."""
        self.low = min(ids) if ids and len(ids) >= asked else 0


class Mark(msgspec.Struct, frozen=True):
    """On an entry about to be encoded by a process that may not survive it; `counts` unless another's does for it."""

    entry_id: int
    counts: bool


class DispatchedFrame(msgspec.Struct, frozen=True):
    """What `dispatch` stores with an entry."""

    entry_id: int
    attempt: int
    sealed: bytes
    match_key: str
    mti: str


class ReversalBeside(msgspec.Struct, frozen=True):
    """A reversal owed beside a payment that has ended or goes on otherwise (M6)."""

    payment_id: uuid.UUID
    link: str
    reverses: int
    #: the reversal's own attempt when it was made before: then it is a repeat
    attempt: int | None
    takes: int
    request_id: str


def room_ahead(link: str, ahead: int) -> int:
    """Return how many more entries may be dispatched so that at most `ahead` wait to be taken."""
    return ahead - int(rows(sql.AHEAD, {"link": link, "limit": ahead})[0].dispatched)


def claim(link: str, limit: int, low_water: LowWater, lowest: int = 0) -> Sequence[Any]:
    """Lock and return the next ready entries of a link of at least a priority, in order; the transaction holds them."""
    wanted = {"link": link, "limit": limit, "low": low_water.current(), "lowest": lowest}
    found = rows(sql.CLAIM, wanted)
    if wanted["low"] and len(found) < limit:
        found = rows(sql.CLAIM, {**wanted, "low": 0})  # with what is locked already, by this transaction
    low_water.saw([entry.id for entry in found], limit)
    return found


def claim_one(entry_id: int) -> Sequence[Any]:
    """Lock and return one entry, if it is still ready and nobody else has it."""
    return rows(sql.CLAIM_ONE, {"id": entry_id})


def suspect_next(link: str, lowest: int = 0) -> Mark | None:
    """Mark the next ready entry of a link, whatever becomes of this process; marks by who lived together are one."""
    marked = rows(sql.SUSPECT, {"link": link, "lowest": lowest, "age": clock.process_age()})
    return Mark(marked[0].id, marked[0].counts) if marked else None


def blame(mark: Mark) -> None:
    """Let a mark stand: this entry is what went wrong, and the next mark counts however soon it comes."""
    run(sql.BLAME, {"id": mark.entry_id})


def trust(mark: Mark) -> None:
    """Take a mark back: this entry was not what went wrong."""
    if mark.counts:
        run(sql.TRUST, {"id": mark.entry_id})


def dispatch(frames: Sequence[DispatchedFrame], version: int) -> set[int]:
    """ready -> dispatched, with the sealed frame; returns the ids it changed."""
    parameters = {
        "version": version,
        "ids": [frame.entry_id for frame in frames],
        "attempts": [frame.attempt for frame in frames],
        "frames": [frame.sealed for frame in frames],
        "match_keys": [frame.match_key for frame in frames],
        "mtis": [frame.mti for frame in frames],
    }
    return {row.id for row in rows(sql.DISPATCH, parameters)} if frames else set()


def recall(moves: Sequence[tuple[int, datetime | None]]) -> set[int]:
    """dispatched -> ready, or waiting until a time; returns the ids it changed."""
    return _wait(moves, "dispatched")


def wait(moves: Sequence[tuple[int, datetime | None]]) -> set[int]:
    """answered -> waiting until a time; returns the ids it changed."""
    return _wait(moves, "answered")


def postpone(moves: Sequence[tuple[int, datetime | None]]) -> set[int]:
    """ready -> waiting until a time; returns the ids it changed."""
    return _wait(moves, "ready")


def wake(limit: int = 1000) -> set[str]:
    """waiting -> ready for what is due; returns the links concerned."""
    return {row.link for row in rows(sql.WAKE, {"limit": limit, "longest": _longest_wait()})}


def hold(moves: Sequence[tuple[int, str]], state: str) -> set[int]:
    """From `state` to held, each with its reason; returns the ids it changed."""
    if not moves:
        return set()
    parameters = {"ids": [entry for entry, _ in moves], "reasons": [reason for _, reason in moves], "state": state}
    return {row.id for row in rows(sql.HOLD, parameters)}


def release(entry_id: int) -> bool:
    """held or waiting -> ready; False when it was neither (M12)."""
    return bool(rows(sql.RELEASE, {"id": entry_id}))


def owe_reversals(moves: Sequence[tuple[int, int]], state: str = "answered") -> set[int]:
    """From `state` to ready as the reversal of an attempt, above all priorities; returns the ids it changed."""
    if not moves:
        return set()
    ids, reverses = [entry for entry, _ in moves], [attempt for _, attempt in moves]
    parameters = {"ids": ids, "reverses": reverses, "state": state}
    return {row.id for row in rows(sql.OWE, parameters)}


def owe_beside(reversals: Sequence[ReversalBeside]) -> None:
    """Enqueue reversals of attempts whose payment has no entry for them."""
    if reversals:
        parameters = {
            "payment_ids": [r.payment_id for r in reversals],
            "links": [r.link for r in reversals],
            "attempts": [r.attempt for r in reversals],
            "reverses": [r.reverses for r in reversals],
            "takes": [r.takes for r in reversals],
            "request_ids": [r.request_id for r in reversals],
        }
        run(sql.OWE_BESIDE, parameters)


def hold_beside(
    payment_id: uuid.UUID,
    link: str,
    kind: str,
    *,
    attempt: int | None,
    priority: int,
    reason: str,
    request_id: str,
    send_before: datetime | None,
) -> None:
    """Enqueue an entry for a payment that has none and should: held, for a person has to look first."""
    parameters = {"payment_id": payment_id, "link": link, "kind": kind, "attempt": attempt, "priority": priority}
    parameters |= {"reason": reason, "request_id": request_id, "send_before": send_before}
    run(sql.HOLD_BESIDE, parameters)


def close(ids: Collection[int], states: Collection[str]) -> set[str]:
    """Delete entries that owe nothing any more; returns the links where a lane moved on."""
    if not ids:
        return set()
    gone = rows(sql.CLOSE, {"ids": list(ids), "states": list(states)})
    return lanes.leave((row.lane, row.was_head) for row in gone if row.lane is not None)


def entries_of(payment_id: uuid.UUID) -> Sequence[Any]:
    """Lock and return what is owed for a payment."""
    statement = sql.LOCK.format(condition="e.payment_id = %(payment_id)s", skip="")
    return rows(statement, {"payment_id": payment_id, "limit": 100})


def owed(payment_id: uuid.UUID) -> Sequence[Any]:
    """Return what is owed for a payment, to look at: nothing is locked."""
    return rows(sql.OWED, {"payment_id": payment_id})


def expired(limit: int) -> Sequence[Any]:
    """Lock and return entries whose time is over and that were not taken (M13)."""
    condition = f"e.expires_at <= {sql.NOW} AND e.state IN ('waiting', 'blocked', 'ready', 'dispatched')"
    return rows(sql.LOCK.format(condition=condition, skip="SKIP LOCKED"), {"limit": limit})


def dispatched(link: str, version: int | None, lowest: int, limit: int) -> Sequence[Any]:
    """Lock and return dispatched entries, all of them or those of another version or below a priority."""
    condition = "e.state = 'dispatched' AND e.link = %(link)s"
    if version is not None:
        condition += " AND (e.frame_version <> %(version)s OR e.priority < %(lowest)s)"
    statement = sql.LOCK.format(condition=condition, skip="SKIP LOCKED")
    return rows(statement, {"link": link, "version": version, "lowest": lowest, "limit": limit})


def _wait(moves: Sequence[tuple[int, datetime | None]], state: str) -> set[int]:
    if not moves:
        return set()
    now = clock.estimate()
    parameters = {
        "ids": [entry for entry, _ in moves],
        "delays": [not_before and not_before - now for _, not_before in moves],
        "state": state,
        "longest": _longest_wait(),
    }
    return {row.id for row in rows(sql.WAIT, parameters)}


def _longest_wait() -> timedelta:
    """The longest pause that `retry` decides, with its jitter."""
    return timedelta(seconds=1.2 * max(settings.RETRY_LONGEST_SECONDS, settings.RETRY_REVERSAL_SECONDS))


def depths(cap: int) -> Sequence[Any]:
    """Return (link, state, entries), each state counted up to a cap."""
    return rows(sql.DEPTHS, {"cap": cap})


def waiting(link: str, cap: int) -> int:
    """Return how many entries wait for a link, each state counted up to a cap."""
    return int(rows(sql.WAITING, {"link": link, "cap": cap})[0].entries)


def oldest_ready(link_names: Sequence[str]) -> dict[str, float]:
    """Return for how many seconds the next ready entry of each link has waited; 0 where none does."""
    return {row.link: row.seconds or 0.0 for row in rows(sql.OLDEST, {"links": list(link_names)})}
