"""Delivers what is due: claims, posts many at once, marks. In a thread of its own, not in Celery's few.

Owns how many posts are under way and when it looks again. A ring wakes it; what it does not get to is due again
for whoever looks next.
"""

import asyncio
import random
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import structlog
from django.db import DatabaseError, InterfaceError, connection

from processor.keys.errors import SealBroken
from queueing import clock
from queueing.doorbell import WEBHOOKS, ring
from queueing.failpoints import reach
from queueing.retry import decide_redelivery, quiet_s
from transactions.metrics import WEBHOOK_DELIVERIES, WEBHOOK_SECONDS
from transactions.webhooks import deliveries, signing
from transactions.webhooks.deliveries import Claimed, Marked, Result
from transactions.webhooks.posting import Posted, Poster

_AT_ONCE: Final = 128
#: what is due again so soon is rung for here; for what is due later recovery rings
_SOON_S: Final = 120.0

_log = structlog.get_logger(__name__)
_T = TypeVar("_T")


class Round:
    """From the first claim until nothing is due and nothing under way."""

    def __init__(self) -> None:
        self.rung: Final = asyncio.Event()
        self._poster = Poster()
        self._under_way: set[asyncio.Task[Result]] = set()
        # Django keeps a connection for each thread, and none for one that runs a loop.
        self._database = ThreadPoolExecutor(1, thread_name_prefix="webhook-rows")

    async def run(self) -> None:
        """Deliver until nothing is left to do now."""
        try:
            while await self._go_on():
                pass
        finally:
            for task in self._under_way:
                task.cancel()
            await self._poster.close()
            await self._ask(_let_go_of_connection)
            self._database.shutdown()

    async def _go_on(self) -> bool:
        self.rung.clear()
        for claimed in await self._ask(deliveries.claim, _AT_ONCE - len(self._under_way)):
            self._under_way.add(asyncio.create_task(_deliver(claimed, self._poster)))
        if not self._under_way:
            return self.rung.is_set()
        woken = asyncio.create_task(self.rung.wait())
        done, _ = await asyncio.wait({woken, *self._under_way}, return_when=asyncio.FIRST_COMPLETED)
        woken.cancel()
        finished = done & self._under_way
        self._under_way -= finished
        if finished:
            await self._ask(_mark, [task.result() for task in finished])
        return True

    async def _ask(self, work: Callable[..., _T], *arguments: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._database, work, *arguments)


class Postman:
    """The one thread of this process that delivers; it ends when there is nothing to do."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_wanted = False
        self._thread: threading.Thread | None = None
        self._wake: Callable[[], object] | None = None

    def ring(self) -> None:
        """See that what is due is delivered; returns at once."""
        with self._lock:
            self._is_wanted = True
            if self._wake:
                self._wake()
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="webhooks", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while self._is_still_wanted():
            try:
                asyncio.run(self._round())
            except (DatabaseError, InterfaceError) as error:
                _log.warning("webhooks.stopped", error=type(error).__name__)  # recovery rings when there is one again

    def _is_still_wanted(self) -> bool:
        with self._lock:
            is_wanted, self._is_wanted = self._is_wanted, False
            if not is_wanted:
                self._thread = None
            return is_wanted

    async def _round(self) -> None:
        current, loop = Round(), asyncio.get_running_loop()
        with self._lock:
            self._wake = lambda: loop.call_soon_threadsafe(current.rung.set)
        try:
            await current.run()
        finally:
            with self._lock:
                self._wake = None


_postman: Final = Postman()


def deliver_soon() -> None:
    """See that what is due is delivered by this process; returns at once."""
    _postman.ring()


def deliver() -> None:
    """Deliver all that is due, here and now."""

    async def work() -> None:
        await Round().run()

    asyncio.run(work())


async def _deliver(claimed: Claimed, poster: Poster) -> Result:
    at = clock.estimate()
    try:
        signing_with = signing.secrets_of(claimed, at)
        headers = signing.headers(claimed.message_id, claimed.body, signing_with, at)
        posted = await poster.post(claimed.url, headers, claimed.body)
    except SealBroken:
        posted = Posted(0.0, error="secret_unreadable")
    except Exception as error:  # noqa: BLE001  (whatever is wrong with one delivery, the others go on)
        _log.error("webhook.failed_here", delivery=claimed.id, exc_info=error)
        posted = Posted(0.0, error="failed_here")
    reach("webhook_posted")
    return Result(claimed.endpoint_id, _judged(claimed, posted, at))


def _judged(claimed: Claimed, posted: Posted, at: Any) -> Marked:
    """Decide what a try means for its delivery."""
    state, after_s = "delivered", 0.0
    if not posted.is_accepted:
        roll = random.random()  # noqa: S311
        decision = decide_redelivery(claimed.tries, claimed.since_s, roll, posted.asked_s)
        state, after_s = ("pending", decision.after_s) if decision.again else ("exhausted", 0.0)
    return Marked(
        delivery_id=claimed.id,
        tries=claimed.tries,
        state=state,
        after_s=after_s,
        quiet_s=quiet_s(posted.asked_s),
        at=at,
        duration_ms=round(posted.duration_s * 1000),
        response_code=posted.response_code,
        error=posted.error,
        answer=posted.answer,
    )


def _mark(results: list[Result]) -> None:
    disabled = deliveries.mark(results)
    for endpoint in disabled:
        _log.error("webhooks.endpoint_disabled", endpoint=str(endpoint.id))
    _count(result.marked for result in results)
    soon = [r.marked.after_s for r in results if r.marked.state == "pending" and r.marked.after_s <= _SOON_S]
    for after_s in soon:
        ring(WEBHOOKS, after_s)


def _let_go_of_connection() -> None:
    connection.close()


def _count(marked: Iterable[Marked]) -> None:
    for one in marked:
        result = {"pending": "failed"}.get(one.state, one.state)
        WEBHOOK_DELIVERIES.labels(result).inc()
        WEBHOOK_SECONDS.observe(one.duration_ms / 1000)
