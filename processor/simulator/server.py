"""The host's sockets: connections, framing, latency, and the ways an answer can go wrong on its way."""

import asyncio
import itertools
import random
import socket
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from processor.codec.errors import DecodeError, FramingError
from processor.codec.message import Message, decode, encode
from processor.link.framing import FRAMINGS, Framing
from processor.simulator.journal import Journal
from processor.simulator.scenarios import Behaviour
from processor.simulator.switch import Decision, Desk, Switch

_READ_SIZE: Final = 65536
_LATE_BY_S: Final = 5.0
_GARBAGE: Final = b"This is not ISO 8583."


class Server:
    """Any number of clients' connections to one bank."""

    def __init__(self, switch: Switch, framing: str, journal: Journal) -> None:
        self._switch = switch
        self._framing = framing
        self._journal = journal
        self._numbers = itertools.count(1)
        self._sessions: dict[int, Session] = {}
        self._stans = itertools.count(900_001)
        if switch.books.business_date is None:
            switch.books.open_day(datetime.now(UTC).date())

    async def serve(self, host: str, port: int, ready: Callable[[], None]) -> None:
        """Serve until cancelled; raises OSError for a port that is taken."""
        server = await asyncio.start_server(self._connected, host, port)
        ready()
        async with server:
            await server.serve_forever()

    @property
    def business_date(self) -> date:
        """The bank's business date."""
        return self._switch.books.business_date or date.min

    def status(self) -> dict[str, Any]:
        """Return how things are, for the control API."""
        settings = self._switch.settings
        return {
            "sessions": [{"session": s.number, "signed_on": s.desk.signed_on} for s in self._sessions.values()],
            "business_date": self.business_date.isoformat(),
            "settings": {name: getattr(settings, name) for name in type(settings).__slots__},
        }

    def balances(self) -> dict[str, int]:
        """Return the balances of accounts that something happened to, in minor units."""
        return self._switch.books.balances()

    def change(self, changes: dict[str, Any]) -> None:
        """Change settings while running; raises ValueError or TypeError for one that does not fit."""
        settings = self._switch.settings
        for name, value in changes.items():
            if name not in type(settings).__slots__:
                raise ValueError(f"there is no setting {name!r}")
            kind = type(getattr(settings, name))
            if not isinstance(value, int | float if kind is float else kind):
                raise TypeError(f"{name} takes a {kind.__name__}")
            setattr(settings, name, kind(value))

    def start_message(self, purpose: str) -> int:
        """Send a message of the host's own to every client signed on; returns to how many."""
        if purpose == "cut_over":
            self._switch.books.open_day(self.business_date + timedelta(days=1))
        receivers = [session for session in self._sessions.values() if session.desk.signed_on]
        for session in receivers:
            session.send_own(self._own_message(purpose))
            if purpose == "sign_off":
                session.desk.signed_on = False
        return len(receivers)

    def drop_connections(self) -> int:
        """Close every connection at once; returns how many."""
        sessions = list(self._sessions.values())
        for session in sessions:
            session.abort()
        return len(sessions)

    def _own_message(self, purpose: str) -> Message:
        dialect = self._switch.dialect
        now = datetime.now(UTC)
        known = {7: f"{now:%m%d%H%M%S}", 11: f"{next(self._stans):06d}", 41: "HOST", 42: "HOST"}
        known |= {number: now.strftime(form) for number, form in dialect.local_time.items()}
        carried = {number: known[number] for number in dialect.network_fields[purpose]}
        constants = dialect.network_constants.get(purpose, {})
        return Message(dialect.mti["network"], {**constants, **carried, **dialect.network[purpose]})

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = next(self._numbers)
        framing = FRAMINGS[self._framing](self._switch.dialect.max_body)
        session = Session(number, self, self._switch, framing, self._journal, writer)
        self._sessions[number] = session
        self._journal.note(number, "connected")
        try:
            await session.run(reader)
        finally:
            del self._sessions[number]
            self._journal.note(number, "disconnected")
            writer.close()


class Session:
    """One client's connection; what it knows of the client ends with it."""

    def __init__(
        self,
        number: int,
        server: Server,
        switch: Switch,
        framing: Framing,
        journal: Journal,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.number = number
        self.desk = Desk()
        self._server = server
        self._switch = switch
        self._framing = framing
        self._journal = journal
        self._writer = writer
        sock: socket.socket = writer.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    async def run(self, reader: asyncio.StreamReader) -> None:
        """Answer until the client goes or breaks the framing."""
        with suppress(ConnectionError, asyncio.CancelledError):
            while received := await reader.read(_READ_SIZE):
                try:
                    for body in self._framing.feed(received):
                        self._handle(body)
                except FramingError as error:
                    self._journal.note(self.number, "framing broken", why=str(error))
                    return

    def send_own(self, message: Message) -> None:
        """Send a message that the host starts itself."""
        body = encode(message, self._switch.dialect)
        self._journal.message(self.number, "out", body, message, self._server.business_date)
        self._write(self._framing.frame(body))

    def abort(self) -> None:
        """Reset the connection."""
        self._writer.transport.abort()

    def _handle(self, body: bytes) -> None:
        try:
            message = decode(body, self._switch.dialect)
        except DecodeError as error:
            self._journal.note(self.number, "unreadable", bytes=len(body), why=str(error))
            return
        decision = self._switch.handle(message, self.desk)
        self._journal.message(self.number, "in", body, message, self._server.business_date, decision.effect)
        if decision.answer is not None:
            self._deliver(decision, decision.answer)

    def _deliver(self, decision: Decision, answer: Message) -> None:
        settings = self._switch.settings
        delay = 0.0 if answer.mti[1] == "8" else settings.latency_s + settings.jitter_s * random.random()  # noqa: S311
        if decision.behaviour is Behaviour.LATE:
            delay = settings.client_waits_s + _LATE_BY_S
        if delay:
            asyncio.get_running_loop().call_later(delay, self._answer, decision.behaviour, answer)
        else:
            self._answer(decision.behaviour, answer)

    def _answer(self, behaviour: Behaviour, answer: Message) -> None:
        if self._switch.settings.mute or self._writer.is_closing():
            return
        body = encode(answer, self._switch.dialect)
        frame = self._framing.answer(body)
        match behaviour:
            case Behaviour.NEVER:
                return
            case Behaviour.CLOSE:
                self.abort()
                return
            case Behaviour.GARBAGE:
                frame = self._framing.answer(_GARBAGE)
            case Behaviour.BREAK_FRAMING:
                frame = b"\xff\xff\xff\xff" + frame
            case Behaviour.TWICE:
                frame += frame
        self._journal.message(self.number, "out", body, answer, self._server.business_date, behaviour.value)
        self._write(frame)

    def _write(self, frame: bytes) -> None:
        if not self._writer.is_closing():
            self._writer.write(frame)
