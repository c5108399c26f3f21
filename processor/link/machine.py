"""One session after another with a host, without a socket: bytes and time in, events out.

Owns sign-on, echo, the window, deadlines, matching and the answers to the host's own messages. Must not
know payments, keys, the database or the clock: whoever drives it passes the moment, draws the STANs and
does what the events say.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence

from processor.codec.errors import DecodeError, FramingError
from processor.codec.message import Message, decode, encode
from processor.link import events as ev
from processor.link.business_day import BusinessDay
from processor.link.errors import LocalProtocolError
from processor.link.events import Cause, Event, Moment, Outgoing
from processor.link.framing import FRAMINGS, Framing
from processor.link.inquiries import Inquiries, Inquiry
from processor.link.matching import match_key
from processor.link.network import ACCEPTED, INVALID, MakeRequest, network_answer, network_request
from processor.link.profile import Profile
from processor.link.states import OPEN, TRANSITIONS, WRITABLE, State, Step
from processor.link.window import Window


class Machine:
    """The protocol of one link. Every method returns what is to be done, in order."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.state = State.CLOSED
        self._framing: Framing = self._new_framing()
        #: what was written in this session and waits for its answer
        self.window = Window()
        self._inquiries = Inquiries(profile)
        self._stans: deque[int] = deque()
        #: ours beside the host's; it says nothing before somebody tells it ours
        self.business_day = BusinessDay()
        self._date_field = profile.dialect.business_date_field or 0
        self._echo_due = 0.0
        self._drain_until = float("inf")
        self._events: list[Event] = []
        self._on_host_request: Mapping[str, Callable[[Message], None]] = {
            "echo": lambda _: None,
            "sign_on": lambda _: None,
            "sign_off": lambda _: self._host_signed_off(),
            "cut_over": lambda request: self._events.append(ev.CutOver(f"{request.get(7)}:{request.get(11)}")),
        }

    # What the driver asks

    @property
    def room(self) -> int:
        """How many more messages the window takes now."""
        return max(0, self.profile.window - len(self.window)) if self.state in WRITABLE else 0

    @property
    def stock(self) -> int:
        """How many STANs are left for network management messages (M10)."""
        return len(self._stans)

    def next_deadline(self) -> float | None:
        """The monotonic time by which `tick` must be called; None when nothing is awaited."""
        if self.state not in OPEN:
            return None
        deadlines = self._inquiries.deadlines()
        if (silent_at := self.window.silent_at(self.profile.answer_timeout_s)) is not None:
            deadlines.append(silent_at)
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
        frames = [self._framing.frame(message.body) for message in messages]
        self.window.add(messages, now.monotonic)
        if frames:
            self._events.append(ev.Write(b"".join(frames)))
        return self._flush()

    def tick(self, now: Moment) -> Sequence[Event]:
        """Time has passed: declare silences, send echoes, give up on what was not answered."""
        if self.state in OPEN:
            self._expire_asked(now)
            for silent in self.window.silent(now.monotonic, self.profile.answer_timeout_s):
                self._events.append(ev.Unanswered(silent, Cause.TIMEOUT))
            if self.state is State.UP and now.monotonic >= self._echo_due:
                self._ask("echo", now)
            self._drained(now)
        return self._flush()

    def probe(self, now: Moment) -> Sequence[Event]:
        """Send an echo now, not first when it is due: somebody wants to know whether the host answers."""
        if self.state is State.UP and not self._inquiries.waits_for("echo"):
            self._ask("echo", now)
        return self._flush()

    def ask(self, purpose: str, token: object, now: Moment, make: MakeRequest = network_request) -> Sequence[Event]:
        """Send a message for a person, whose token Replied will have; raises LocalProtocolError unless up."""
        if self.state is not State.UP:
            raise LocalProtocolError(f"nothing can be asked of a host while {self.state.value}")
        self._ask(purpose, now, token, make)
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
            self._events.append(ev.Stray(body, None))
            return
        key = match_key(message, self.profile.dialect) if message.is_answer else None
        if message.mti[1] == "8" or (message.mti[1] == "5" and self._inquiries.knows(key)):
            self._events.append(ev.NetworkMessage(False, message.mti, body))
            if message.is_answer:
                self._network_answer(message, body, now)
            else:
                self._answer_host(message)
            return
        sent = self.window.answered(key)
        if sent is None:
            self._events.append(ev.Stray(body, message.mti))
        else:
            self._events.append(ev.Answered(sent.message, body, now.monotonic - sent.at))
            told = message.get(self._date_field)
            if told != self.business_day.told and (day := self.business_day.hear(told, now.utc.date())):
                self._events.append(ev.BusinessDateTold(day))

    def _network_answer(self, answer: Message, body: bytes, now: Moment) -> None:
        asked = self._inquiries.answered(match_key(answer, self.profile.dialect))
        if asked is None:
            return
        if asked.token is not None:
            self._events.append(ev.Replied(asked.token, body, now.monotonic - asked.at))
        if not asked.moves_state:
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

    def _echo_answered(self, asked: Inquiry, now: Moment) -> None:
        was = self.state
        self._step(Step.ECHO_ACCEPTED)
        self._events.append(ev.EchoAnswered(now.monotonic - asked.at))
        if was is State.PROVING:
            self._events.append(ev.WentUp())

    def _answer_host(self, request: Message) -> None:
        """Answer the host's own 0800: every one gets an 0810, one we have no word for gets 12."""
        handler = self._on_host_request.get(self.profile.dialect.network_purpose(request.fields) or "")
        answer = network_answer(request, ACCEPTED if handler else INVALID, self.profile.dialect)
        body = encode(answer, self.profile.dialect)
        self._events += [ev.Write(self._framing.answer(body)), ev.NetworkMessage(True, answer.mti, body)]
        if handler:
            handler(request)

    def _host_signed_off(self) -> None:
        if self.state in (State.SIGNING_ON, State.SIGNING_OFF):
            self._end(Step.HOST_SIGNED_OFF, Cause.HOST_SIGNED_OFF)
        else:
            self._leave_up(Step.HOST_SIGNED_OFF, Cause.HOST_SIGNED_OFF)

    # Our own network messages

    def _ask(self, purpose: str, now: Moment, token: object | None = None, make: MakeRequest = network_request) -> None:
        if not self._stans:
            raise LocalProtocolError("no STAN is left for a network management message")
        if purpose == "echo":
            self._echo_due = now.monotonic + self.profile.echo_interval_s
        message = make(purpose, self._stans.popleft(), now, self.profile)
        key = match_key(message, self.profile.dialect)
        if key is None:
            raise LocalProtocolError("a network management message has no key: set the link's terminal")
        self._inquiries.add(key, Inquiry(purpose, now.monotonic, token))
        body = encode(message, self.profile.dialect)
        self._events += [ev.Write(self._framing.frame(body)), ev.NetworkMessage(True, message.mti, body)]

    # Time

    def _expire_asked(self, now: Moment) -> None:
        for asked in self._inquiries.overdue(now.monotonic):
            self._unheard(asked)
            if self.state not in OPEN or not asked.moves_state:
                continue
            if asked.purpose == "sign_on":
                self._end(Step.SIGN_ON_FAILED, Cause.SIGN_ON_TIMEOUT)
            elif asked.purpose == "sign_off":
                self._end(Step.SIGN_OFF_ENDED, Cause.SIGNED_OFF)
            else:
                self._end(Step.ECHO_FAILED, Cause.ECHO_TIMEOUT)

    def _unheard(self, asked: Inquiry) -> None:
        if asked.token is not None:
            self._events.append(ev.Replied(asked.token, None, 0.0))

    def _drained(self, now: Moment) -> None:
        if self.window and not (self.state is State.DRAINING and now.monotonic >= self._drain_until):
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
            self._events.append(ev.WentDown(cause))

    def _end(self, step: Step, cause: Cause) -> None:
        self._lose(cause)
        self._step(step)
        self._events.append(ev.Close(cause))

    def _lose(self, cause: Cause) -> None:
        """What is in flight gets no answer that counts any more (M4)."""
        if self.state is State.UP:
            self._events.append(ev.WentDown(cause))
        self._events += [ev.Unanswered(message, Cause.CONNECTION_LOST) for message in self.window.clear()]
        for asked in self._inquiries.clear():
            self._unheard(asked)

    def _new_framing(self) -> Framing:
        return FRAMINGS[self.profile.framing](self.profile.dialect.max_body)

    def _flush(self) -> list[Event]:
        events, self._events = self._events, []
        return events
