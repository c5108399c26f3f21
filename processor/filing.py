"""Files what the link's session reports: answers, silences, strays, network messages, the link's state.

Owns the order and the batching: money first. What could not be written stays in line until it can.
"""

import asyncio
from collections import deque
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from processor import metrics
from processor.codec.dialects import Dialect
from processor.link import events as ev
from processor.store import Filing, LinkReport, LinkStore, NetworkRecord, Taken, insist
from queueing.doorbell import FORWARD, SETTLE, ring
from queueing.failpoints import reach

_AT_ONCE: Final = 500

_log = structlog.get_logger(__name__)


class Filer:
    """Keeps filings in memory for as long as one statement takes."""

    def __init__(self, link: str, store: LinkStore) -> None:
        self._link = link
        self._store = store
        self._host_seconds = metrics.HOST_SECONDS.labels(link)
        self._filings: deque[Filing] = deque()
        self._journal: deque[tuple[NetworkRecord, Dialect]] = deque()
        self._cut_overs: deque[str] = deque()
        self._said = LinkReport()
        self._to_say: LinkReport | None = None
        self._wanted = asyncio.Event()
        self._last_round = False

    def answered(self, event: ev.Answered, taken: Taken, dialect: Dialect) -> None:
        """The host answered a payment's message."""
        reach("read_before_filing")
        self._host_seconds.observe(event.elapsed_s)
        metrics.messages(self._link, "in", _answer_to(taken.mti), "answered").inc()
        self._file(Filing("answer", _utc(), taken, "", event.elapsed_s, event.body, dialect.name))

    def unanswered(self, event: ev.Unanswered, taken: Taken) -> None:
        """No answer to a payment's message will count: silence."""
        metrics.messages(self._link, "out", taken.mti, event.cause.value).inc()
        self._file(Filing("silence", _utc(), taken, event.cause.value))

    def stray(self, event: ev.Stray, dialect: Dialect) -> None:
        """Something came that nothing in flight asked for."""
        result = "stray" if event.mti else "unreadable"
        metrics.messages(self._link, "in", _counted(event.mti or "", dialect), result).inc()
        cause = "" if event.mti else "unreadable"
        self._file(Filing("stray", _utc(), None, cause, None, event.body, dialect.name))

    def network_message(self, event: ev.NetworkMessage, dialect: Dialect) -> None:
        """A network management message was on the wire."""
        direction = "out" if event.outward else "in"
        metrics.messages(self._link, direction, _counted(event.mti, dialect), "network").inc()
        self._journal.append((NetworkRecord(event.outward, event.mti, event.body, _utc()), dialect))
        self._wanted.set()

    def cut_over(self, key: str) -> None:
        """The host's business date moves on."""
        _log.info("link.cut_over", link=self._link)
        self._cut_overs.append(key)
        self._wanted.set()

    def say(self, **changes: Any) -> None:
        """The link's state has changed."""
        self._to_say = (self._to_say or self._said).changed(**changes)
        self._wanted.set()

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

    def finish(self) -> None:
        """Nothing more will come."""
        self._last_round = True
        self._wanted.set()

    @property
    def _is_empty(self) -> bool:
        return not (self._filings or self._journal or self._cut_overs or self._to_say)

    def _file(self, filing: Filing) -> None:
        self._filings.append(filing)
        self._wanted.set()

    async def _file_all(self) -> None:
        while self._filings:
            batch = [self._filings[index] for index in range(min(len(self._filings), _AT_ONCE))]
            await self._store.file(batch)
            reach("filed")
            for _ in batch:
                self._filings.popleft()
            ring(SETTLE)
            _log.debug("link.filed", link=self._link, payments=[str(f.taken.payment_id) for f in batch if f.taken])
        while self._cut_overs:
            await self._store.cut_over(self._cut_overs[0])
            self._cut_overs.popleft()
        await self._report()
        while self._journal:
            record, dialect = self._journal[0]
            await self._store.journal([record], dialect)
            self._journal.popleft()

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


def _utc() -> datetime:
    return datetime.now(UTC)
