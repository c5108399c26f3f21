"""The simulation's model of the queue, held against the real SQL: the same verbs on both leave the same rows.

One machine, two worlds: every rule runs a verb of `queueing.queue` (or of the link's holder) on PostgreSQL,
then on the model, and compares what both return and what both hold.
"""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.db import connection, transaction
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from processor import statements as link_sql
from queueing import database, queue
from queueing import statements as sql
from queueing.database import rows, run
from queueing.queue import DispatchedFrame, LowWater, Mark, ReversalBeside
from tests.integration.conftest import Hand
from tests.simulation import link_model, queue_model
from tests.simulation.tables import Row, Tables

_COLUMNS = """payment_id link kind attempt reverses lane priority state expires_at frame match_key mti frame_version
    epoch takes unsent_tries suspicions held_reason""".split()
_STATES = ["waiting", "blocked", "ready", "dispatched", "taken", "answered", "held"]
_ENQUEUE = f"WITH accepted AS (SELECT %(payment_id)s::uuid AS id), {sql.ENQUEUE} SELECT id FROM accepted"
_PAST = datetime(2020, 1, 1, tzinfo=UTC)

entries = st.integers(0, 7)


class _Cursor:
    def __init__(self, found: Any) -> None:
        self._found = found
        self.rowcount = len(found)

    def fetchall(self) -> Any:
        return self._found


#: nothing is too low, or what staff have not stopped is only what is owed to the host
LOWEST = st.sampled_from([0, 5, 10])


class QueueMachine(RuleBasedStateMachine):
    """Both worlds side by side; an entry is known by its place in the order of enqueueing."""

    def __init__(self) -> None:
        super().__init__()
        self.model = Tables(lambda: datetime.now(UTC), lambda: 0.0, lambda _: None)
        queue_model.install(self.model)
        link_model.install(self.model)
        self.model.statements[_ENQUEUE] = _enqueue
        #: ids in PostgreSQL and in the model
        self.ids: list[tuple[int, int]] = []
        self.epoch = 0

    @initialize()
    def empty(self) -> None:
        run("DELETE FROM queueing_queueentry")
        run("DELETE FROM queueing_lane")
        run("DELETE FROM processor_inboundframe")
        run("UPDATE processor_lease SET epoch = 0, released = true, renewals = 0")
        self.grant()

    # Verbs

    @rule(
        lane=st.sampled_from([None, "a", "b"]),
        priority=st.sampled_from([0, 5, 9]),
        over=st.sampled_from([None, True, False]),
        kind=st.sampled_from(["request", "advice"]),
    )
    def enqueue(self, lane: str | None, priority: int, over: bool | None, kind: str) -> None:  # noqa: FBT001
        send_before = {None: None, True: _PAST, False: datetime(2100, 1, 1, tzinfo=UTC)}[over]
        parameters = {
            "payment_id": uuid.uuid4(),
            "link": "bank",
            "kind": kind,
            "lane_key": lane,
            "priority": priority,
            "send_before": send_before,
            "pin": None,
            "request_id": "",
            "at": datetime.now(UTC),
        }
        self.both(lambda _: len(rows(_ENQUEUE, parameters)))
        self.learn()

    @rule(limit=st.integers(1, 4), version=st.integers(1, 2), lowest=LOWEST)
    def claim_and_dispatch(self, limit: int, version: int, lowest: int) -> None:
        def work(real: bool) -> Any:  # noqa: FBT001
            claimed = queue.claim("bank", limit, LowWater(), lowest)
            frames = [DispatchedFrame(e.id, (e.attempt or 0) + 1, b"frame", "key", "0200") for e in claimed]
            changed = queue.dispatch(frames, version)
            assert len(changed) == len(claimed)
            return [(self.place(e.id, real), e.kind, e.is_expired) for e in claimed]

        self.both(work)

    @rule(limit=st.integers(1, 4), version=st.integers(1, 2), epoch=st.integers(0, 1), lowest=LOWEST)
    def take(self, limit: int, version: int, epoch: int, lowest: int) -> None:
        parameters = {"link": "bank", "limit": limit, "version": version, "low": 0, "epoch": self.epoch - epoch}
        parameters["lowest"] = lowest
        names = ("attempt", "priority", "mti")

        def work(real: bool) -> Any:  # noqa: FBT001
            found = rows(link_sql.TAKE, parameters)
            return sorted((self.place(row.id, real), *(getattr(row, name) for name in names)) for row in found)

        self.both(work)

    @rule(places=st.lists(entries, max_size=3), failed=st.booleans(), epoch=st.integers(0, 1))
    def untake(self, places: list[int], failed: bool, epoch: int) -> None:  # noqa: FBT001
        self.both(
            lambda real: run(
                sql.UNTAKE, {"ids": self.at(places, real), "failed": int(failed), "epoch": self.epoch - epoch}
            )
        )

    @rule(
        filings=st.lists(
            st.tuples(entries, st.sampled_from(["answer", "silence"]), st.integers(1, 3)), min_size=1, max_size=3
        ),
        epoch=st.integers(0, 1),
    )
    def file(self, filings: list[tuple[int, str, int]], epoch: int) -> None:
        def work(real: bool) -> Any:  # noqa: FBT001
            known = [(place, kind, attempt) for place, kind, attempt in filings if place < len(self.ids)]
            count = len(known)
            parameters = {
                "link": "bank",
                "epoch": self.epoch - epoch,
                "entry_ids": [self.ids[place][not real] for place, _, _ in known],
                "payment_ids": [uuid.UUID(int=place) for place, _, _ in known],
                "attempts": [attempt for _, _, attempt in known],
                "kinds": [kind for _, kind, _ in known],
                "causes": [""] * count,
                "times": [_PAST] * count,
                "elapsed": [None] * count,
                "bodies": [None] * count,
                "dialects": [""] * count,
            }
            run(link_sql.FILE, parameters)

        self.both(work)

    @rule(known=st.lists(entries, max_size=3), epoch=st.integers(0, 1))
    def file_orphans(self, known: list[int], epoch: int) -> None:
        fence = {"link": "bank", "epoch": self.epoch - epoch}
        self.both(lambda real: run(link_sql.FILE_ORPHANS, {**fence, "known": self.at(known, real)}))

    @rule()
    def grant(self) -> None:
        lease = {"link": "bank", "holder": "h", "epoch": self.epoch, "renewals": 0}
        self.both(lambda _: [row.epoch for row in rows(link_sql.GRANT, lease)])
        self.epoch += 1

    @rule(places=st.lists(entries, max_size=3, unique=True), states=st.sets(st.sampled_from(_STATES), min_size=1))
    def close(self, places: list[int], states: set[str]) -> None:
        self.both(lambda real: queue.close(self.at(places, real), sorted(states)))

    @rule(places=st.lists(entries, max_size=3, unique=True), later=st.sampled_from([None, "past", "future", "far"]))
    def move_on(self, places: list[int], later: str | None) -> None:
        now = datetime.now(UTC)
        times = {"past": _PAST, "future": now + timedelta(minutes=1), "far": now + timedelta(days=9)}
        not_before = times[later] if later else None
        for verb in (queue.recall, queue.wait, queue.postpone):
            self.both_move(verb, [(place, not_before) for place in places])

    @rule(places=st.lists(entries, max_size=3, unique=True), state=st.sampled_from(_STATES))
    def hold(self, places: list[int], state: str) -> None:
        self.both_move(lambda moves: queue.hold(moves, state), [(place, "why") for place in places])

    @rule(places=st.lists(entries, max_size=3, unique=True))
    def owe_reversals(self, places: list[int]) -> None:
        self.both_move(queue.owe_reversals, [(place, 1) for place in places])

    @rule(attempt=st.sampled_from([None, 2]))
    def owe_beside(self, attempt: int | None) -> None:
        beside = ReversalBeside(uuid.uuid4(), "bank", 1, attempt, 3 if attempt else 0, "")
        self.both(lambda _: queue.owe_beside([beside]))
        self.learn()

    @rule()
    def wake(self) -> None:
        self.both(lambda _: queue.wake())

    @rule(place=entries)
    def release(self, place: int) -> None:
        self.both(lambda real: [queue.release(entry) for entry in self.at([place], real)])

    @rule(lowest=LOWEST)
    def suspect_then_trust(self, lowest: int) -> None:
        def work(real: bool) -> Any:  # noqa: FBT001
            mark = queue.suspect_next("bank", lowest)
            alone = queue.claim_one(mark.entry_id) if mark else []
            return [self.place(entry.id, real) for entry in alone], mark and mark.counts

        self.both(work)

    @rule(place=entries)
    def blame(self, place: int) -> None:
        def work(real: bool) -> None:  # noqa: FBT001
            for entry in self.at([place], real):
                queue.blame(Mark(entry, counts=True))

        self.both(work)

    @rule(place=entries)
    def trust(self, place: int) -> None:
        def work(real: bool) -> None:  # noqa: FBT001
            for entry in self.at([place], real):
                queue.trust(Mark(entry, counts=True))

        self.both(work)

    @rule(version=st.sampled_from([None, 1, 2]), lowest=LOWEST, limit=st.integers(1, 3))
    def look(self, version: int | None, lowest: int, limit: int) -> None:
        self.both(lambda real: [self.place(e.id, real) for e in queue.dispatched("bank", version, lowest, limit)])
        self.both(lambda real: sorted(self.place(e.id, real) for e in queue.expired(100)))
        self.both(lambda _: queue.room_ahead("bank", limit))

    # Both worlds

    @invariant()
    def both_hold_the_same(self) -> None:
        real = {row.id: row for row in rows("SELECT * FROM queueing_queueentry")}
        for ours, theirs in self.ids:
            assert (ours in real) == (theirs in self.model.entries)
            if ours in real:
                assert _shown(real[ours]) == _shown(self.model.entries[theirs])
        lanes = {row.lane: row.open for row in rows("SELECT * FROM queueing_lane")}
        assert lanes == self.model.lanes
        filed = rows("SELECT kind, payment_id, attempt, epoch, cause FROM processor_inboundframe ORDER BY id")
        assert sorted(map(_filed, filed)) == sorted(map(_filed, self.model.inbound.values()))

    def both(self, work: Callable[[bool], Any]) -> None:
        with transaction.atomic():
            first = work(True)
        with self.modelled():
            second = work(False)
        assert first == second

    def both_move(self, verb: Callable[[Any], Any], moves: list[tuple[int, Any]]) -> None:
        def work(real: bool) -> Any:  # noqa: FBT001
            known = [(self.ids[place][not real], what) for place, what in moves if place < len(self.ids)]
            return {self.place(entry, real) for entry in verb(known)}

        self.both(work)

    @contextmanager
    def modelled(self) -> Iterator[None]:
        def answer(statement: str, parameters: Any = None) -> _Cursor:
            return _Cursor(self.model.run(statement, parameters))

        with patch.object(database, "_run", answer):
            yield

    def learn(self) -> None:
        newest = rows("SELECT max(id) AS id FROM queueing_queueentry")[0].id
        self.ids.append((newest, max(self.model.entries)))

    def at(self, places: list[int], real: bool) -> list[int]:  # noqa: FBT001
        return [self.ids[place][not real] for place in places if place < len(self.ids)]

    def place(self, entry_id: int, real: bool) -> int:  # noqa: FBT001
        return next(place for place, ids in enumerate(self.ids) if ids[not real] == entry_id)


def _enqueue(tables: Tables, parameters: Any) -> list[Row]:
    queue_model.enqueue(tables, parameters["payment_id"], parameters)
    return [Row(id=parameters["payment_id"])]


def _shown(row: Any) -> dict[str, Any]:
    shown = {name: getattr(row, name) for name in _COLUMNS}
    shown["frame"] = shown["frame"] and bytes(shown["frame"])
    return shown | {name: getattr(row, name) is None for name in ("taken_at", "not_before")}


def _filed(row: Any) -> str:
    return f"{row.kind} {row.attempt} {row.epoch} {row.cause}"


@pytest.mark.timeout(120)
def test_the_model_is_the_queue(hand: Hand) -> None:
    run_state_machine_as_test(QueueMachine, settings=settings(max_examples=20, stateful_step_count=25))
    assert connection.connection is not None
