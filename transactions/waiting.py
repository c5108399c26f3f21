"""Clients that wait for a payment's end (`Prefer: wait`): woken by NOTIFY, never by polling.

One LISTEN connection a process, on a thread of its own. A wait is registered before the payment is
accepted, holds no database connection, and at most half the web threads may wait at once.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from uuid import UUID

import psycopg
import structlog
from django.conf import settings
from django.db import connection
from psycopg.rows import namedtuple_row

from transactions.ending import CHANNEL
from transactions.selectors import ENDED, FINAL_STATUSES

_RECONNECT_S: Final = 0.5

_log = structlog.get_logger(__name__)


class Wait:
    """One client's wait; `payment` is its row once it has ended."""

    def __init__(self) -> None:
        self.payment: Any | None = None
        self._ended = threading.Event()

    def end(self, payment: Any) -> None:
        """The payment has ended."""
        self.payment = payment
        self._ended.set()

    def until_ended(self, seconds: float) -> Any | None:
        """Return the payment's row once it ended, None when the time is over."""
        self._ended.wait(seconds)
        return self.payment


class Waits:
    """All waits of this process."""

    def __init__(self, at_once: int) -> None:
        self._room = threading.BoundedSemaphore(max(1, at_once))
        self._waits: dict[UUID, set[Wait]] = {}
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None
        self._listening = threading.Event()

    @contextmanager
    def room(self) -> Iterator[bool]:
        """Claim a place to wait in; False when half the threads wait already."""
        claimed = self._room.acquire(blocking=False)
        try:
            yield claimed
        finally:
            if claimed:
                self._room.release()

    @contextmanager
    def of(self, payment_id: UUID) -> Iterator[Wait]:
        """Register a wait for a payment's end."""
        wait = Wait()
        with self._lock:
            self._waits.setdefault(payment_id, set()).add(wait)
            if self._listener is None or not self._listener.is_alive():
                self._listener = threading.Thread(target=self._listen_for_ever, name="ends", daemon=True)
                self._listener.start()
        try:
            yield wait
        finally:
            with self._lock:
                self._waits[payment_id].discard(wait)
                if not self._waits[payment_id]:
                    del self._waits[payment_id]

    def _listen_for_ever(self) -> None:
        while True:
            try:
                with psycopg.connect(
                    settings.DATABASE_DIRECT_URL,
                    autocommit=True,
                    row_factory=namedtuple_row,
                    connect_timeout=3,
                    application_name="ends",
                    **settings.DATABASE_TCP,
                ) as listening:
                    listening.execute(f"LISTEN {CHANNEL}")
                    self._listen(listening)
            except (psycopg.Error, OSError) as error:
                _log.warning("waits.not_listening", error=type(error).__name__)
            threading.Event().wait(_RECONNECT_S)

    def _listen(self, listening: "psycopg.Connection[Any]") -> None:
        """Look once, for what ended while nobody listened; then whenever payments end."""
        self._look(listening)
        while True:
            list(listening.notifies(stop_after=1))  # to its end: the generator holds the connection's lock
            self._look(listening)

    def _look(self, listening: "psycopg.Connection[Any]") -> None:
        with self._lock:
            wanted = list(self._waits)
        if not wanted:
            return
        parameters: Mapping[str, Any] = {"ids": wanted, "final": FINAL_STATUSES}
        for row in listening.execute(ENDED, parameters, prepare=True, binary=True):
            with self._lock:
                waiting = list(self._waits.get(row.id, ()))
            for wait in waiting:
                wait.end(row)


def let_go_of_connection() -> None:
    """Give this thread's database connection back to the pool while it waits."""
    connection.close_if_unusable_or_obsolete()


waits = Waits(settings.WEB_THREADS // 2)
