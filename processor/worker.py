"""The Celery worker that holds a link: a step of the worker's own blueprint, before its consumer.

While it waits for the lease the worker consumes nothing. It polls Celery's shutdown flags itself: a
blocking wait would swallow SIGTERM. Losing the lease ends the process; the supervisor starts it again,
as a standby.
"""

import asyncio
import os
import sys
import threading
from typing import Any, Final

import structlog
from celery import bootsteps
from celery.worker import state
from django.conf import settings
from django.db import close_old_connections

from processor import links
from processor.holder import Holder
from processor.keys.pan_vault import vault_of
from processor.lease import Heard, Keeper, acquire
from processor.store import LinkStore
from queueing import clock
from queueing.doorbell import link_queue

_EXIT_LEASE_LOST: Final = 3
_EXIT_CRASHED: Final = 4
_JOIN_S: Final = 5.0

_log = structlog.get_logger(__name__)
_holders: dict[str, Holder] = {}


def look(queue: str) -> None:
    """Pass a ring on to the holder of the link whose queue it came through."""
    if holder := _holders.get(queue):
        holder.look()


class LinkStep(bootsteps.StartStopStep):
    """Holds the link whose queue this worker was asked to consume."""

    requires = ("celery.worker.components:Pool",)
    label = "link"

    def __init__(self, parent: Any, **kwargs: Any) -> None:
        super().__init__(parent, **kwargs)
        queues = [name for name in parent.app.amqp.queues.consume_from if name.startswith("link.")]
        self.enabled = bool(queues)
        self._link = queues[0].removeprefix("link.") if queues else ""
        self._thread: threading.Thread | None = None
        self._keeper: Keeper | None = None
        self._holder: Holder | None = None

    def start(self, parent: Any) -> None:
        """Wait for the lease, then hold the link in a thread of its own."""
        url = settings.DATABASE_DIRECT_URL
        _log.info("link.standby", link=self._link)
        grant = acquire(url, self._link, state.maybe_shutdown)
        _log.info("link.held", link=self._link, epoch=grant.epoch)
        store = LinkStore(url, self._link, grant.epoch, vault_of(settings.MASTER_KEY))
        self._keeper = Keeper(url, grant, self._lost, self._heard)
        self._keeper.start()
        self._holder = Holder(
            self._link, store, self._keeper, self._read_config, settings.LINK_DRAIN_SECONDS, grant.wish
        )
        started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(started.set,), name=f"link-{self._link}", daemon=True)
        self._thread.start()
        started.wait()
        _holders[link_queue(self._link)] = self._holder

    def stop(self, parent: Any) -> None:
        """Sign off, file, give the lease back."""
        if self._holder and self._thread and self._keeper:
            self._holder.stop()
            self._thread.join(settings.LINK_DRAIN_SECONDS + _JOIN_S)
            self._keeper.release()

    terminate = stop

    def _run(self, started: Any) -> None:
        assert self._holder is not None  # noqa: S101
        try:
            asyncio.run(self._holder.run(started, self._crashed))
        except BaseException as error:  # noqa: BLE001  (ends the process, whatever it was)
            self._crashed({"exception": error})

    def _crashed(self, context: dict[str, Any]) -> None:
        _log.error("link.crashed", link=self._link, exc_info=context.get("exception"), message=context.get("message"))
        _exit(_EXIT_CRASHED)

    def _read_config(self) -> links.LinkConfig | None:
        close_old_connections()
        clock.now()
        return links.read(self._link)

    def _heard(self, heard: Heard) -> None:
        if self._holder:
            self._holder.heard(heard)

    def _lost(self, why: str) -> None:
        """F2: not one byte more. Ending resets the connection; what was in flight is the next holder's to settle."""
        _log.error("link.lease_lost", link=self._link, why=why)
        _exit(_EXIT_LEASE_LOST)


def _exit(code: int) -> None:
    sys.stderr.flush()
    os._exit(code)
