"""Files what the link's session reports: answers, silences, strays, network messages, the link's state.

Owns the order and the batching: money first. What could not be written stays in line until it can.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from itertools import islice, takewhile
from typing import Any, Final

import structlog

from processor import metrics
from processor.codec.dialects import Dialect
from processor.link import events as ev
from processor.link.history import HistoryStep
from processor.store import Filing, LinkReport, LinkStore, NetworkRecord, Taken, insist
from queueing import clock
from queueing.doorbell import FORWARD, SETTLE, ring
from queueing.failpoints import reach

_AT_ONCE: Final = 500
#: with so much in line the host is not heard any further, until half of it is filed
_FULL: Final = 2000

_log = structlog.get_logger(__name__)


class Filer:
    """Keeps filings in memory for as long as one statement takes."""

    def __init__(self, link: str, store: LinkStore) -> None:
        self._link = link
        self._store = store
        self._host_seconds = metrics.HOST_SECONDS.labels(link)
        self._filings: deque[Filing] = deque()
        self._journal: deque[tuple[NetworkRecord, Dialect]] = deque()
        self._days: deque[ev.CutOver | ev.BusinessDateTold] = deque()
        self._said = LinkReport(state="held")
        #: what became of the link, oldest first: that it is held is the first step
        self._history: deque[HistoryStep] = deque([HistoryStep(clock.estimate(), "held")])
        self._stepped_at: float | None = None
        self._to_say: LinkReport | None = None
        self._wanted = asyncio.Event()
        self._last_round = False
        self._has_room: Callable[[], None] | None = None
        #: bodies that were no message
        self.unreadable = 0

    def answered(self, event: ev.Answered, taken: Taken, dialect: Dialect) -> None:
        """The host answered a payment's message."""
        reach("read_before_filing")
        self._host_seconds.observe(event.elapsed_s)
        metrics.messages(self._link, "in", _answer_to(taken.mti), "answered").inc()
        self._file(Filing("answer", clock.estimate(), taken, "", event.elapsed_s, event.body, dialect.name))

    def unanswered(self, event: ev.Unanswered, taken: Taken) -> None:
        """No answer to a payment's message will count: silence."""
        metrics.messages(self._link, "out", taken.mti, event.cause.value).inc()
        self._file(Filing("silence", clock.estimate(), taken, event.cause.value))

    def stray(self, event: ev.Stray, dialect: Dialect) -> None:
        """Something came that nothing in flight asked for."""
        result = "stray" if event.mti else "unreadable"
        metrics.messages(self._link, "in", _counted(event.mti or "", dialect), result).inc()
        cause = "" if event.mti else "unreadable"
        self.unreadable += not event.mti
        self._file(Filing("stray", clock.estimate(), None, cause, None, event.body, dialect.name))

    def network_message(self, event: ev.NetworkMessage, dialect: Dialect) -> None:
        """A network management message was on the wire."""
        direction = "out" if event.outward else "in"
        metrics.messages(self._link, direction, _counted(event.mti, dialect), "network").inc()
        self._journal.append((NetworkRecord(event.outward, event.mti, event.body, clock.estimate()), dialect))
        self._wanted.set()

    def business_date_moved(self, event: ev.CutOver | ev.BusinessDateTold) -> None:
        """The host's business date moves on: it says so itself, or its answers do."""
        self._days.append(event)
        self._wanted.set()

    def say(self, **changes: Any) -> None:
        """The link's state has changed; that is a step of its history."""
        before, self._to_say = self.latest, self.latest.changed(**changes)
        if self._to_say.state != before.state:
            self._step(self._to_say)
        self._wanted.set()

    def _step(self, report: LinkReport) -> None:
        now = asyncio.get_running_loop().time()
        lasted_ms = None if self._stepped_at is None else round((now - self._stepped_at) * 1000)
        self._stepped_at = now
        cause = report.cause if report.state in ("leaving", "closed") else ""
        self._history.append(HistoryStep(clock.estimate(), report.state, report.endpoint, cause, lasted_ms))

    @property
    def latest(self) -> LinkReport:
        """What was last said of the link, written or about to be."""
        return self._to_say or self._said

    async def run(self) -> None:
        """File until told that nothing more comes, and everything is filed."""
        while not (self._last_round and self._is_empty):
            await self._wanted.wait()
            self._wanted.clear()
            await insist(self._link, self._file_all)

    @property
    def entries(self) -> list[int]:
        """The entries whose answer or silence is not filed yet."""
        return [filing.taken.entry_id for filing in self._filings if filing.taken]

    @property
    def _in_line(self) -> int:
        return len(self._filings) + len(self._journal) + len(self._days)

    @property
    def fullness(self) -> float:
        """How much of what may wait to be filed does, from 0; 1 is when the host is not heard any further."""
        return self._in_line / _FULL

    def is_full(self, has_room: Callable[[], None]) -> bool:
        """Say whether too much waits to be filed; then `has_room` is called once, when there is room again."""
        is_full = self._in_line >= _FULL
        self._has_room = has_room if is_full else None
        return is_full

    def finish(self) -> None:
        """Nothing more will come."""
        self._last_round = True
        self._wanted.set()

    @property
    def _is_empty(self) -> bool:
        return not (self._filings or self._journal or self._days or self._to_say or self._history)

    def _file(self, filing: Filing) -> None:
        self._filings.append(filing)
        self._wanted.set()

    async def _file_all(self) -> None:
        """Money first, also while a host talks of other things without end."""
        while not self._is_empty:
            while self._filings:
                await self._file_some()
            if self._days:
                await self._move_date(self._days[0])
                self._days.popleft()
            await self._report()
            if self._journal:
                await self._write_journal()
            if self._history:
                await self._write_history()
            self._tell_room()

    async def _file_some(self) -> None:
        batch = list(islice(self._filings, _AT_ONCE))
        await self._store.file(batch)
        reach("filed")
        for _ in batch:
            self._filings.popleft()
        ring(SETTLE)
        _log.debug("link.filed", link=self._link, payments=[str(f.taken.payment_id) for f in batch if f.taken])
        self._tell_room()

    async def _write_journal(self) -> None:
        dialect = self._journal[0][1]
        batch = [record for record, _ in takewhile(lambda line: line[1] is dialect, islice(self._journal, _AT_ONCE))]
        await self._store.journal(batch, dialect)
        for _ in batch:
            self._journal.popleft()

    async def _write_history(self) -> None:
        batch = list(self._history)
        await self._store.tell_history(batch)
        for _ in batch:
            self._history.popleft()

    def _tell_room(self) -> None:
        if self._has_room and self._in_line <= _FULL // 2:
            has_room, self._has_room = self._has_room, None
            has_room()

    async def _move_date(self, event: ev.CutOver | ev.BusinessDateTold) -> None:
        if isinstance(event, ev.CutOver):
            await self._store.cut_over(event.key)
            _log.info("link.cut_over", link=self._link)
        elif await self._store.business_date_told(event.day):
            _log.warning("link.cut_over_missed", link=self._link, business_date=event.day.isoformat())

    async def _report(self) -> None:
        report = self._to_say
        if report is None:
            return
        await self._store.report(report)
        moved = (report.up, report.version, report.breaker) != (self._said.up, self._said.version, self._said.breaker)
        self._said = report
        if self._to_say is report:
            self._to_say = None
        if moved:
            ring(FORWARD)


def _answer_to(mti: str) -> str:
    """0200 is answered by 0210, 0421 by 0430."""
    return f"{mti[:2]}{int(mti[2]) + 1}0"


def _counted(mti: str, dialect: Dialect) -> str:
    """Any four digits may come in; those no dialect knows are one label, or a babbling host fills our memory."""
    asked = {*dialect.mti.values(), ""}
    return mti if mti in asked or mti in {_answer_to(known) for known in asked if known} else "other"
