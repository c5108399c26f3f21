"""One session with a host: a socket and a machine from connecting to closing.

Owns the translation of the machine's events into writes, filings and timers. Decides nothing itself.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, cast

import structlog

from processor import metrics
from processor.alarm import Alarm
from processor.books import Books
from processor.connection import Connection
from processor.filing import Filer
from processor.lease import Keeper
from processor.link import events as ev
from processor.link.breaker import Breaker, BreakerState
from processor.link.machine import Machine
from processor.link.network import MakeRequest, network_request
from processor.link.states import State
from processor.links import LinkConfig
from processor.store import LinkStore, Taken, insist
from processor.taking import Taker
from queueing import clock
from queueing.failpoints import reach

_CONNECT_TIMEOUT_S: Final = 5.0
_STANS: Final = 16
#: for a sign-on, an echo and a sign-off, and one more: a session that does not come up burns no others
_FIRST_STANS: Final = 4
#: A sixteenth of the window, in answers of 200 bytes, is read before what it made room for is written: a burst of
#: answers must not stop the writing.
_BYTES_AT_ONCE: Final = 13

_log = structlog.get_logger(__name__)


class Session:
    """Runs once; `run` returns whether the link came up in it."""

    def __init__(
        self,
        config: LinkConfig,
        endpoint: tuple[str, int],
        store: LinkStore,
        keeper: Keeper,
        filer: Filer,
        taker: Taker,
        breaker: Breaker,
        came_up: Callable[[], None],
    ) -> None:
        self._config = config
        self._endpoint, self._host = endpoint, f"{endpoint[0]}:{endpoint[1]}"
        self._tell_up = came_up
        self._link = config.name
        self._store = store
        self._keeper = keeper
        self._filer = filer
        self._taker = taker
        self._breaker = breaker
        self._machine = Machine(config.profile())
        self._in_flight = metrics.IN_FLIGHT.labels(config.name)
        self._bytes_in, self._bytes_out = (metrics.BYTES.labels(config.name, way) for way in ("in", "out"))
        self.connection: Connection | None = None
        self._alarm = Alarm(self._tick)
        self._ended = asyncio.Event()
        self._began, self._came_up, self._left = 0.0, False, False
        self._restocking: asyncio.Task[None] | None = None
        self._books = Books(config.name, filer, config.dialect)

    async def run(self) -> bool:
        """Connect, sign on, carry, and return when the connection is gone and nothing is in flight."""
        self._began = time.monotonic()
        metrics.WINDOW.labels(self._link).set(self._config.window)
        # From its first second, so that a rate of zero is a figure and not a gap.
        metrics.messages(self._link, "out", self._config.dialect.mti["request"], "written")
        self._filer.say(state="connecting", up=False, endpoint=self._host, version=self._config.version)
        # Before there is a connection: what a host sends at once meets a machine that can read it.
        await self._restock(_FIRST_STANS)
        self._machine.business_day.begin(await insist(self._link, self._store.business_date))
        if not self._left and await self._connect() and not self._left:
            self._do(self._machine.connected(_now()))
            self._make_books()
            await self._ended.wait()
        self._hang_up()
        return self._came_up

    @property
    def capacity(self) -> int:
        """How many frames may be taken and unwritten or unanswered: the window and half of it ahead.

        While the breaker lets only a few through, so many and none ahead.
        """
        if not self.is_up:
            return 0
        window = self._config.window
        ahead = window // 2 if self._breaker.state is BreakerState.CLOSED else 0
        return max(0, self._breaker.room(window) + ahead - len(self._machine.window))

    @property
    def is_up(self) -> bool:
        """Signed on, the last echo answered, and not about to leave (F4)."""
        return self._machine.state is State.UP and not self._left

    @property
    def is_over(self) -> bool:
        """The connection is gone, or was never made."""
        return self._ended.is_set()

    async def ask(self, purpose: str, make: MakeRequest = network_request) -> tuple[bytes, ev.Replied] | None:
        """Send a message that is no payment for a person; returns it and what was replied, None if not up."""
        if self._machine.stock < _FIRST_STANS:
            await self._restock()
        if not self.is_up:
            return None
        reply: asyncio.Future[ev.Replied] = asyncio.get_running_loop().create_future()
        events = self._machine.ask(purpose, reply, _now(), make)
        sent = next(event.body for event in events if isinstance(event, ev.NetworkMessage))
        self._do(events)
        self._make_books()
        return sent, await reply

    @property
    def entries(self) -> list[int]:
        """The entries whose messages are in flight."""
        return [cast("Taken", message.token).entry_id for message in self._machine.window.messages]

    def leave(self, patience_s: float) -> None:
        """Write nothing new, wait for answers as long as that, sign off, end."""
        self._left = True
        self._do(self._machine.sign_off(_now(), patience_s))
        self._make_books()

    def supplied(self) -> None:
        """Write as much of what was taken as the window and the kernel take."""
        self._supply()
        self._make_books()

    def _supply(self) -> None:
        machine, connection = self._machine, self.connection
        while connection and connection.is_clear and self._taker.in_hand and (room := self._room):
            now = _now()
            batch = self._taker.next(room, now.monotonic, machine.window.keys)
            if not batch:
                break
            reach("taken_before_write")
            self._do(machine.send([ev.Outgoing(taken, taken.key, taken.mti, taken.body) for taken in batch], now))
            reach("written")
            self._books.write(batch)

    @property
    def _room(self) -> int:
        """How many messages may be written now."""
        if not self._keeper.may_begin:
            return 0
        machine = self._machine
        return max(0, min(machine.room, self._breaker.room(self._config.window) - len(machine.window)))

    async def _connect(self) -> bool:
        try:
            self.connection = await Connection.open(
                self._endpoint,
                _CONNECT_TIMEOUT_S,
                lambda: self._keeper.holds,
                self._received,
                self.supplied,
                self._lost,
            )
        except OSError as error:
            cause = "connect_timeout" if isinstance(error, TimeoutError) else "connect_refused"
            metrics.CONNECTS.labels(self._link, "failed", cause).inc()
            _log.warning("link.not_connected", link=self._link, endpoint=self._host, cause=cause)
            self._filer.say(state="closed", endpoint=self._host, cause=cause)
            return False
        self._filer.say(endpoint=self._host)
        return True

    async def _restock(self, count: int = _STANS) -> None:
        """Draw STANs for sign-on and echo from the link's own sequence (M10)."""
        drawn = await insist(self._link, lambda: self._store.draw_stans(self._config.stan_sequence, count))
        self._machine.supply(drawn)

    def _hang_up(self) -> None:
        if self.connection:
            self.connection.close(reset=not self._left)
        self._do(self._machine.disconnected())
        self._make_books()
        self._alarm.stop()
        self._ended.set()

    # What comes from the socket and the clock

    def _received(self, received: bytes) -> None:
        self._bytes_in.inc(len(received))
        at_once = self._config.window * _BYTES_AT_ONCE
        for start in range(0, len(received), at_once):
            self._do(self._machine.receive(received[start : start + at_once], _now()))
            self._supply()
        self._make_books()
        self._taker.room_grew()
        if self.connection and self._filer.is_full(self._read_on):
            metrics.HELD_BACK.labels(self._link).inc()
            self.connection.hold_back()

    def _read_on(self) -> None:
        if self.connection:
            self.connection.read_on()

    def _lost(self) -> None:
        self._do(self._machine.disconnected())
        self._make_books()
        self._filer.say(state="closed", up=False, cause=ev.Cause.CONNECTION_LOST.value)
        self._ended.set()

    def _tick(self) -> None:
        self._do(self._machine.tick(_now()))
        if self._breaker.state is BreakerState.OPEN and not self._breaker.seconds_left(time.monotonic()):
            self._do(self._machine.probe(_now()))
        self.supplied()
        self._taker.room_grew()

    # What the machine says

    def _do(self, events: Sequence[ev.Event]) -> None:
        for event in events:
            self._act(event)

    def _act(self, event: ev.Event) -> None:  # noqa: C901  (one arm for each event)
        match event:
            case ev.Write(frame):
                self._write(frame)
            case ev.Answered():
                self._breaker.answered(time.monotonic())
                self._books.hear(event)
            case ev.Unanswered(message, cause):
                if cause is ev.Cause.TIMEOUT:
                    self._breaker.failed(time.monotonic())
                self._filer.unanswered(event, cast("Taken", message.token))
            case ev.Stray():
                self._filer.stray(event, self._config.dialect)
            case ev.NetworkMessage():
                self._filer.network_message(event, self._config.dialect)
            case ev.Replied(token):
                cast("asyncio.Future[ev.Replied]", token).set_result(event)
            case ev.EchoAnswered(elapsed_s):
                self._echo_answered(elapsed_s)
            case ev.CutOver() | ev.BusinessDateTold():
                self._filer.business_date_moved(event)
            case ev.WentUp():
                self._went_up()
            case ev.WentDown(cause):
                _log.warning("link.down", link=self._link, epoch=self._store.epoch, cause=cause.value)
                self._filer.say(state="leaving", up=False, cause=cause.value)
            case ev.Close(cause):
                metrics.CONNECTS.labels(self._link, "ended", cause.value).inc()
                self._filer.say(state="closed", up=False, cause=cause.value)
                self._ended.set()

    def _make_books(self) -> None:
        self._books.make()
        self._in_flight.set(len(self._machine.window))
        self._set_timer()

    def _write(self, frame: bytes) -> None:
        if self.connection:
            self._bytes_out.inc(len(frame))
            self.connection.write(frame)

    def _went_up(self) -> None:
        self._came_up = True
        self._tell_up()
        metrics.CONNECT_SECONDS.labels(self._link).observe(time.monotonic() - self._began)
        metrics.CONNECTS.labels(self._link, "up", "").inc()
        _log.info("link.up", link=self._link, epoch=self._store.epoch)
        self._filer.say(state="up", up=True, cause="")
        self._taker.look()

    def _echo_answered(self, elapsed_s: float) -> None:
        metrics.ECHO_SECONDS.labels(self._link).observe(elapsed_s)
        self._filer.say(last_echo_at=clock.estimate(), echo_ms=elapsed_s * 1000)
        self._breaker.echoed(time.monotonic())
        if self._machine.stock < _STANS // 2:
            self._restocking = asyncio.get_running_loop().create_task(self._restock())

    def _set_timer(self) -> None:
        """Wake in time for the next deadline."""
        deadline = self._machine.next_deadline()
        if deadline is not None and (left := self._breaker.seconds_left(time.monotonic())):
            deadline = min(deadline, time.monotonic() + left)
        if deadline is None or self._ended.is_set():
            self._alarm.stop()
        else:
            self._alarm.set(deadline)


def _now() -> ev.Moment:
    return ev.Moment(time.monotonic(), clock.estimate())
