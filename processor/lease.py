"""Who holds a link, fenced by an epoch (F1, F2).

Owns granting, renewing and giving back a lease. Time is CLOCK_BOOTTIME, which neither a wall clock set
anew nor a suspended machine deceives; database times are never compared. Runs on connections of its own.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import psycopg
import structlog
from django.conf import settings
from psycopg.rows import namedtuple_row

from processor import statements as sql
from processor.link.wishes import Wanted, Wish
from queueing.clock import boottime, saw

TTL_S: Final = 6.0
MARGIN_S: Final = 0.5
RENEW_EVERY_S: Final = 1.0
_LOOK_EVERY_S: Final = 0.5
#: a renewal that has no answer after so long is taken for unanswered, until it comes
_LATE_S: Final = 1.0
_STATEMENT_TIMEOUT_MS: Final = 2000

#: without a free file descriptor a connection fails in the kernel, not in PostgreSQL
_AWAY: Final = (psycopg.Error, OSError)

_log = structlog.get_logger(__name__)


def holder_name() -> str:
    """Return a name for this process that people recognise."""
    return f"{os.uname().nodename}:{os.getpid()}"


def connect(url: str) -> "psycopg.Connection[Any]":
    """Open a connection that never hangs longer than a lease can spare."""
    return psycopg.connect(
        url,
        autocommit=True,
        row_factory=namedtuple_row,
        connect_timeout=2,
        options=f"-c statement_timeout={_STATEMENT_TIMEOUT_MS}",
        application_name="lease",
        **settings.DATABASE_TCP | {"tcp_user_timeout": _STATEMENT_TIMEOUT_MS},
    )


@dataclass(frozen=True, slots=True)
class Grant:
    """The right to hold a link until `deadline` (BOOTTIME), longer with every renewal."""

    link: str
    epoch: int
    holder: str
    deadline: float
    wish: Wish


@dataclass(frozen=True, slots=True)
class Heard:
    """What a renewal tells of the link: its configuration's version, what staff want, and whether they ask for more."""

    version: int | None
    wish: Wish
    is_commanded: bool


def _wish(row: Any) -> Wish:
    return Wish(row.wishes, Wanted(row.wanted), row.wanted_endpoint)


class Candidate:
    """Waits for a link's lease: takes it at once after a release, else after it was seen unrenewed for a TTL."""

    def __init__(self, link: str, holder: str) -> None:
        self._link = link
        self._holder = holder
        self._seen: tuple[int, int] | None = None
        self._seen_since = 0.0

    def look(self, connection: "psycopg.Connection[Any]", clock: Callable[[], float]) -> Grant | None:
        """Look once at the lease; returns the grant when it is ours.

        What it sees is as old as the question and as new as the answer, and this process may have been stopped
        between them: a lease was first seen after its answer, and is seen again before the next question.
        """
        asked = clock()
        row = connection.execute(sql.LOOK_AT_LEASE, {"link": self._link}).fetchone()
        if row is None:
            return None
        if (row.epoch, row.renewals) != self._seen:
            self._seen, self._seen_since = (row.epoch, row.renewals), clock()
        if not row.released and asked - self._seen_since < TTL_S + MARGIN_S:
            return None
        parameters = {"link": self._link, "holder": self._holder, "epoch": row.epoch, "renewals": row.renewals}
        granted = connection.execute(sql.GRANT, parameters).fetchone()
        deadline = asked + TTL_S - MARGIN_S
        return granted and Grant(self._link, granted.epoch, self._holder, deadline, _wish(granted))


def acquire(url: str, link: str, keep_waiting: Callable[[], None]) -> Grant:
    """Wait until the lease is ours; `keep_waiting` is called often and may raise to stop."""
    candidate = Candidate(link, holder_name())
    connection: psycopg.Connection[Any] | None = None
    try:
        while True:
            keep_waiting()
            try:
                connection = connection or connect(url)
                if grant := candidate.look(connection, boottime):
                    return grant
            except _AWAY as error:
                _log.warning("lease.database_away", link=link, error=type(error).__name__)
                if connection:
                    connection.close()
                connection = None
            time.sleep(_LOOK_EVERY_S)
    finally:
        if connection:
            connection.close()


class Keeper:
    """Renews a grant every second in threads of its own, and calls `lost` when its deadline passes."""

    def __init__(self, url: str, grant: Grant, lost: Callable[[str], None], heard: Callable[[Heard], None]) -> None:
        self.deadline = grant.deadline
        self._late_from = grant.deadline
        self._url = url
        self._grant = grant
        self._lost = lost
        self._heard = heard
        self._stopped = threading.Event()
        self._last_heard: Heard | None = None
        self._answered = True
        self._threads = [
            threading.Thread(target=self._renew_for_ever, name="lease-renew", daemon=True),
            threading.Thread(target=self._watch, name="lease-watch", daemon=True),
        ]

    def start(self) -> None:
        """Begin to renew and to watch the deadline."""
        for thread in self._threads:
            thread.start()

    @property
    def may_begin(self) -> bool:
        """True while something new may be written: the lease holds, the last renewal was answered, and none is late."""
        return self._answered and self.holds and boottime() < self._late_from

    @property
    def holds(self) -> bool:
        """True while a byte may be handed to the kernel (F2)."""
        return not self._stopped.is_set() and boottime() < self.deadline

    def release(self) -> None:
        """Give the lease back, so that a standby need not wait for it to run out."""
        self._stopped.set()
        try:
            with connect(self._url) as connection:
                connection.execute(sql.RELEASE, self._parameters())
        except _AWAY as error:
            _log.warning("lease.not_released", link=self._grant.link, error=type(error).__name__)

    def _parameters(self) -> dict[str, Any]:
        return {"link": self._grant.link, "epoch": self._grant.epoch, "holder": self._grant.holder}

    def _renew_for_ever(self) -> None:
        connection: psycopg.Connection[Any] | None = None
        try:
            while not self._stopped.wait(RENEW_EVERY_S if connection else 0.1):
                connection, is_ours = self._renew(connection)
                if not is_ours:
                    self._lost("another holder has the lease")
                    return
        finally:
            if connection:
                connection.close()

    def _renew(self, connection: "psycopg.Connection[Any] | None") -> "tuple[psycopg.Connection[Any] | None, bool]":
        """Renew once; returns the connection to go on with, and False when another has the lease."""
        before = boottime()
        try:
            connection = connection or connect(self._url)
            row = connection.execute(sql.RENEW, self._parameters()).fetchone()
        except _AWAY as error:
            _log.warning("lease.not_renewed", link=self._grant.link, error=type(error).__name__)
            self._answered = False
            if connection:
                connection.close()
            return None, True
        self._answered = True
        if row is not None:
            saw(row.at, before, boottime())
            self.deadline = before + TTL_S - MARGIN_S
            self._late_from = before + RENEW_EVERY_S + _LATE_S
            self._tell(Heard(row.link_version, _wish(row), row.is_commanded))
        return connection, row is not None

    def _tell(self, heard: Heard) -> None:
        """Pass on what is new; a command is until it is taken."""
        if heard.is_commanded or heard != self._last_heard:
            self._last_heard = heard
            self._heard(heard)

    def _watch(self) -> None:
        while not self._stopped.wait(max(0.005, min(0.1, self.deadline - boottime()))):
            if boottime() >= self.deadline:
                self._lost("it could not be renewed in time")
                return
