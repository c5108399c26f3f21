"""One session after another with a host, without a socket: bytes and time in, events out.

Owns sign-on, echo, the window, deadlines, matching and the answers to the host's own messages. Must not
know payments, keys, the database or the clock: whoever drives it passes the moment, draws the STANs and
does what the events say.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from processor.codec.errors import DecodeError, FramingError
from processor.codec.message import Message, decode, encode
from processor.link.errors import LocalProtocolError
from processor.link.events import (
    Answered,
    Cause,
    Close,
    CutOver,
    EchoAnswered,
    Event,
    Moment,
    NetworkMessage,
    Outgoing,
    Stray,
    Unanswered,
    WentDown,
    WentUp,
    Write,
)
from processor.link.framing import FRAMINGS, Framing
from processor.link.matching import match_key
from processor.link.network import ACCEPTED, INVALID, network_answer, network_request
from processor.link.profile import Profile
from processor.link.states import OPEN, TRANSITIONS, WRITABLE, State, Step


class _Sent(msgspec.Struct, frozen=True):
    message: Outgoing
    at: float


class _Asked(msgspec.Struct, frozen=True):
    purpose: str
    at: float


class Machine:
    """The protocol of one link. Every method returns what is to be done, in order."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.state = State.CLOSED
        self._framing: Framing = self._new_framing()
        self._in_flight: dict[str, _Sent] = {}
        self._asked: dict[str, _Asked] = {}
        self._stans: deque[int] = deque()
        self._echo_due = 0.0
        self._drain_until = float("inf")
        self._events: list[Event] = []
        self._on_host_request: Mapping[str, Callable[[Message], None]] = {
            "echo": lambda _: None,
            "sign_on": lambda _: None,
            "sign_off": lambda _: self._host_signed_off(),
            "cut_over": self._cut_over,
        }

    # What the driver asks

    @property
    def room(self) -> int:
        """How many more messages the window takes now."""
        return max(0, self.profile.window - len(self._in_flight)) if self.state in WRITABLE else 0

    @property
    def in_flight(self) -> int:
        """How many messages wait for their answer."""
        return len(self._in_flight)

    @property
    def in_flight_messages(self) -> list[Outgoing]:
        """The messages that wait for their answer, in the order of their writing."""
        return [sent.message for sent in self._in_flight.values()]

    @property
    def stock(self) -> int:
        """How many STANs are left for network management messages (M10)."""
        return len(self._stans)

    def next_deadline(self) -> float | None:
        """The monotonic time by which `tick` must be called; None when nothing is awaited."""
        if self.state not in OPEN:
            return None
        deadlines = [asked.at + self._patience(asked.purpose) for asked in self._asked.values()]
        if self._in_flight:
            deadlines.append(self._oldest().at + self.profile.answer_timeout_s)
        if self.state is State.UP:
            deadlines.append(self._echo_due)
        if self.state is State.DRAINING:
            deadlines.append(self._drain_until)
        return min(deadlines, default=None)

    # What happens to the session

    def supply(self, stans: Iterable[int]) -> None:
        """Add STANs from the link's sequence for the messages the machine makes itself."""
        self._stans.extend(stans)

    def connected(self, now: Moment) -> Sequence[Event]:
        """A new connection stands: sign on."""
        self._step(Step.CONNECTED)
        self._framing = self._new_framing()
        self._ask("sign_on", now)
        return self._flush()

    def receive(self, received: bytes, now: Moment) -> Sequence[Event]:
        """Bytes came in. An unreadable body is a Stray; a broken stream ends the session."""
        if self.state in OPEN:
            try:
                for body in self._framing.feed(received):
                    self._read(body, now)
            except FramingError:
                self._end(Step.STREAM_BROKEN, Cause.FRAMING)
            self._drained(now)
        return self._flush()

    def send(self, messages: Sequence[Outgoing], now: Moment) -> Sequence[Event]:
        """Write financial messages, as one write; raises LocalProtocolError beyond the window."""
        if len(messages) > self.room:
            raise LocalProtocolError(f"{len(messages)} messages do not fit: {self.state.value}, room for {self.room}")
        keys = {message.key for message in messages}
        if len(keys) < len(messages) or not keys.isdisjoint(self._in_flight):
            raise LocalProtocolError("two messages in flight would have the same answer")
        frames = [self._framing.frame(message.body) for message in messages]
        self._in_flight |= {message.key: _Sent(message, now.monotonic) for message in messages}
        if frames:
            self._events.append(Write(b"".join(frames)))
        return self._flush()

    def tick(self, now: Moment) -> Sequence[Event]:
        """Time has passed: declare silences, send echoes, give up on what was not answered."""
        if self.state in OPEN:
            self._expire_asked(now)
            self._expire_in_flight(now)
            if self.state is State.UP and now.monotonic >= self._echo_due:
                self._ask("echo", now)
            self._drained(now)
        return self._flush()

    def probe(self, now: Moment) -> Sequence[Event]:
        """Send an echo now, not first when it is due: somebody wants to know whether the host answers."""
        if self.state is State.UP and not any(asked.purpose == "echo" for asked in self._asked.values()):
            self._ask("echo", now)
        return self._flush()

    def sign_off(self, now: Moment, patience_s: float) -> Sequence[Event]:
        """Leave: nothing new, wait up to `patience_s` for what is in flight, sign off, close."""
        if self.state in OPEN and self.state is not State.SIGNING_OFF:
            self._drain_until = now.monotonic + patience_s
            if self.state is State.SIGNING_ON:
                self._end(Step.SIGN_OFF_ASKED, Cause.SIGNED_OFF)
            else:
                self._leave_up(Step.SIGN_OFF_ASKED, Cause.SIGNED_OFF)
            self._drained(now)
        return self._flush()

    def disconnected(self, cause: Cause = Cause.CONNECTION_LOST) -> Sequence[Event]:
        """The connection is gone: what was in flight is silent now."""
        if self.state in OPEN:
            self._lose(cause)
        self._step(Step.DISCONNECTED)
        return self._flush()

    # Bodies

    def _read(self, body: bytes, now: Moment) -> None:
        if self.state not in OPEN:
            return
        try:
            message = decode(body, self.profile.dialect)
        except DecodeError:
            self._events.append(Stray(body, None))
            return
        if message.mti[1] == "8":
            self._events.append(NetworkMessage(False, message.mti, body))
            if message.is_answer:
                self._network_answer(message, now)
            else:
                self._answer_host(message)
            return
        key = match_key(message, self.profile.dialect) if message.is_answer else None
        sent = self._in_flight.pop(key, None) if key else None
        if sent is None:
            self._events.append(Stray(body, message.mti))
        else:
            self._events.append(Answered(sent.message, body, now.monotonic - sent.at))

    def _network_answer(self, answer: Message, now: Moment) -> None:
        asked = self._asked.pop(match_key(answer, self.profile.dialect) or "", None)
        if asked is None:
            return
        accepted = self.profile.dialect.read_code(answer.get(39) or "") == ACCEPTED
        if asked.purpose == "sign_on":
            if accepted:
                self._step(Step.SIGN_ON_ACCEPTED)
                self._ask("echo", now)
            else:
                self._end(Step.SIGN_ON_FAILED, Cause.SIGN_ON_REFUSED)
        elif asked.purpose == "sign_off":
            self._end(Step.SIGN_OFF_ENDED, Cause.SIGNED_OFF)
        elif not accepted:
            self._end(Step.ECHO_FAILED, Cause.ECHO_REFUSED)
        else:
            self._echo_answered(asked, now)

    def _echo_answered(self, asked: _Asked, now: Moment) -> None:
        was = self.state
        self._step(Step.ECHO_ACCEPTED)
        self._events.append(EchoAnswered(now.monotonic - asked.at))
        if was is State.PROVING:
            self._events.append(WentUp())

    def _answer_host(self, request: Message) -> None:
        """Answer the host's own 0800: every one gets an 0810, one we have no word for gets 12."""
        handler = self._on_host_request.get(self.profile.dialect.network_purpose(request.fields) or "")
        answer = network_answer(request, ACCEPTED if handler else INVALID, self.profile.dialect)
        body = encode(answer, self.profile.dialect)
        self._events += [Write(self._framing.answer(body)), NetworkMessage(True, answer.mti, body)]
        if handler:
            handler(request)

    def _host_signed_off(self) -> None:
        if self.state in (State.SIGNING_ON, State.SIGNING_OFF):
            self._end(Step.HOST_SIGNED_OFF, Cause.HOST_SIGNED_OFF)
        else:
            self._leave_up(Step.HOST_SIGNED_OFF, Cause.HOST_SIGNED_OFF)

    def _cut_over(self, request: Message) -> None:
        self._events.append(CutOver(f"{request.get(7)}:{request.get(11)}"))

    # Our own network messages

    def _ask(self, purpose: str, now: Moment) -> None:
        if not self._stans:
            raise LocalProtocolError("no STAN is left for a network management message")
        if purpose == "echo":
            self._echo_due = now.monotonic + self.profile.echo_interval_s
        message = network_request(purpose, self._stans.popleft(), now, self.profile)
        key = match_key(message, self.profile.dialect)
        if key is None:
            raise LocalProtocolError("a network management message has no key: set the link's terminal")
        self._asked[key] = _Asked(purpose, now.monotonic)
        body = encode(message, self.profile.dialect)
        self._events += [Write(self._framing.frame(body)), NetworkMessage(True, message.mti, body)]

    # Time

    def _patience(self, purpose: str) -> float:
        return {
            "sign_on": self.profile.sign_on_timeout_s,
            "sign_off": self.profile.sign_off_timeout_s,
        }.get(purpose, self.profile.echo_timeout_s)

    def _expire_asked(self, now: Moment) -> None:
        for asked in list(self._asked.values()):
            if now.monotonic < asked.at + self._patience(asked.purpose) or self.state not in OPEN:
                continue
            if asked.purpose == "sign_on":
                self._end(Step.SIGN_ON_FAILED, Cause.SIGN_ON_TIMEOUT)
            elif asked.purpose == "sign_off":
                self._end(Step.SIGN_OFF_ENDED, Cause.SIGNED_OFF)
            else:
                self._end(Step.ECHO_FAILED, Cause.ECHO_TIMEOUT)

    def _expire_in_flight(self, now: Moment) -> None:
        while self._in_flight and now.monotonic >= self._oldest().at + self.profile.answer_timeout_s:
            sent = self._in_flight.pop(next(iter(self._in_flight)))
            self._events.append(Unanswered(sent.message, Cause.TIMEOUT))

    def _oldest(self) -> _Sent:
        """The message written first: a dict keeps the order, and every message waits equally long."""
        return next(iter(self._in_flight.values()))

    def _drained(self, now: Moment) -> None:
        if self._in_flight and not (self.state is State.DRAINING and now.monotonic >= self._drain_until):
            return
        if self.state is State.DRAINING:
            self._step(Step.DRAINED)
            self._ask("sign_off", now)
        elif self.state is State.SIGNED_OFF:
            self._end(Step.DRAINED, Cause.HOST_SIGNED_OFF)

    # The one door of the state

    def _step(self, step: Step) -> None:
        try:
            self.state = TRANSITIONS[self.state, step]
        except KeyError:
            raise LocalProtocolError(f"{step.value} does not fit the state {self.state.value}") from None

    def _leave_up(self, step: Step, cause: Cause) -> None:
        was_up = self.state is State.UP
        self._step(step)
        if was_up:
            self._events.append(WentDown(cause))

    def _end(self, step: Step, cause: Cause) -> None:
        self._lose(cause)
        self._step(step)
        self._events.append(Close(cause))

    def _lose(self, cause: Cause) -> None:
        """What is in flight gets no answer that counts any more (M4)."""
        if self.state is State.UP:
            self._events.append(WentDown(cause))
        self._events += [Unanswered(sent.message, Cause.CONNECTION_LOST) for sent in self._in_flight.values()]
        self._in_flight.clear()
        self._asked.clear()

    def _new_framing(self) -> Framing:
        return FRAMINGS[self.profile.framing](self.profile.dialect.max_body)

    def _flush(self) -> list[Event]:
        events, self._events = self._events, []
        return events
