"""Every process of ours says that it lives: one row a process, written every few seconds by a thread of its own.

On a connection of its own, so that a process whose pool is used up is not thought dead. Who goes in order takes
its row along; who is silent is shown so for a while, and then forgotten. Nothing is decided by these rows: they
are for people.
"""

import atexit
import os
import threading
import time
import uuid
from collections.abc import Sequence
from typing import Any, Final

import psycopg
import structlog
from django.conf import settings
from prometheus_client import Counter

from queueing.database import rows

_EVERY_S: Final = 5.0
#: three beats missed; a machine with much to do misses one
SILENT_AFTER_S: Final = 16
FORGOTTEN_AFTER_S: Final = 900

_BEAT: Final = """
INSERT INTO queueing_process (id, kind, host, pid, version, started_at, seen_at, skew_s)
VALUES (%(id)s, %(kind)s, %(host)s, %(pid)s, %(version)s, clock_timestamp(), clock_timestamp(), %(skew_s)s)
ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at, skew_s = excluded.skew_s
RETURNING extract(epoch FROM seen_at)::float8 AS at"""

_FORGET: Final = f"""
DELETE FROM queueing_process
WHERE seen_at < clock_timestamp() - interval '{FORGOTTEN_AFTER_S} seconds' OR id = %(id)s"""

#: Who is silent while a younger one of its kind lives on its machine was started again: that is no news.
_PROCESSES: Final = f"""
WITH known AS (
    SELECT p.*, extract(epoch FROM clock_timestamp() - p.seen_at)::float8 AS silent_s,
        extract(epoch FROM clock_timestamp() - p.started_at)::float8 AS running_s
    FROM queueing_process p WHERE p.seen_at > clock_timestamp() - interval '{FORGOTTEN_AFTER_S} seconds'
)
SELECT k.id, k.kind, k.host, k.pid, k.version, k.silent_s, k.running_s, k.skew_s,
    k.silent_s > {SILENT_AFTER_S} AS is_silent
FROM known k WHERE k.silent_s <= {SILENT_AFTER_S} OR NOT EXISTS (
    SELECT 1 FROM known y
    WHERE y.kind = k.kind AND y.host = k.host AND y.started_at > k.started_at AND y.silent_s <= {SILENT_AFTER_S})
ORDER BY k.kind, k.host, k.pid"""

_log = structlog.get_logger(__name__)
_failed = Counter("ferryman_heartbeats_failed", "Times this process could not say that it lives.")


def begin(kind: str) -> None:
    """Say from now on that this process lives; `kind` is what it is: web, worker, beat, link-bank."""
    threading.Thread(target=_Heart(kind).run, name="heartbeat", daemon=True).start()


def processes() -> Sequence[Any]:
    """Return the processes that live or fell silent lately, with how many seconds ago each was heard."""
    return rows(_PROCESSES)


class _Heart:
    """One process's."""

    def __init__(self, kind: str) -> None:
        self._row = {
            "id": uuid.uuid4(),
            "kind": kind,
            "host": os.uname().nodename,
            "pid": os.getpid(),
            "version": settings.VERSION,
            "skew_s": None,
        }
        self._connection: psycopg.Connection[Any] | None = None
        self._stopped = threading.Event()
        self._between_beats = threading.Lock()

    def run(self) -> None:
        """Beat until the process ends."""
        atexit.register(self._leave)
        self._try(_FORGET)
        while not self._stopped.is_set():
            self._try(_BEAT)
            self._stopped.wait(_EVERY_S)

    def _leave(self) -> None:
        """The process ends in order."""
        self._stopped.set()
        if self._connection:
            self._try(_FORGET)
            self._hang_up()

    def _try(self, statement: str) -> None:
        """Run a statement; the database being away is counted and said once, and tried again with the next beat."""
        with self._between_beats:
            try:
                self._run(statement)
            except psycopg.Error as error:
                if self._connection:
                    _log.warning("heartbeat.failed", error=type(error).__name__)
                self._hang_up()
                _failed.inc()

    def _hang_up(self) -> None:
        if self._connection:
            self._connection.close()
        self._connection = None

    def _run(self, statement: str) -> None:
        if self._connection is None:
            self._connection = psycopg.connect(
                settings.DATABASE_DIRECT_URL,
                autocommit=True,
                prepare_threshold=None,
                connect_timeout=3,
                application_name=f"heartbeat-{self._row['kind']}",
                **settings.DATABASE_TCP,
            )
        found = self._connection.execute(statement, self._row)
        if statement is _BEAT:
            (at,) = found.fetchone() or (time.time(),)
            self._row["skew_s"] = round(time.time() - at, 1)
