"""The bank at the other end: the product's own simulator of a switch, with more bugs, in virtual time.

Owns accounts, the host's journal and its sessions; one connection at a time, as the bank has it. What it
says wrongly never hides what it did: its journal holds the truth.
"""

from dataclasses import dataclass, field
from typing import Any, Final

from processor.codec.errors import DecodeError, FramingError
from processor.codec.message import Message, decode, encode
from processor.link.framing import FRAMINGS, Framing
from processor.simulator.accounts import Books
from processor.simulator.journal import Journal
from processor.simulator.scenarios import Behaviour
from processor.simulator.switch import Decision, Desk, HostKeys, Switch
from tests.builders import BANK
from tests.simulation.stage import MAC_KEY
from tests.simulation.world import World

_GARBAGE: Final = b"This is not ISO 8583."
#: codes that say nothing about what was done
_UNKNOWN_CODES: Final = ("68", "94", "10", "Z9", "99")
_REVERSAL_CODES: Final = ("05", "96", "91", "68")
_REFUSALS: Final = ("12", "30", "57")


class Lines(Journal):
    """The host's journal, in memory."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def _write(self, line: dict[str, Any]) -> None:
        self.lines.append({key: value for key, value in line.items() if value not in (None, "")})


@dataclass(slots=True)
class Bugs:
    """How often the host does what; 0 for a host that works."""

    slowest_s: float = 0.05
    unknown_code: float = 0.0
    silent: float = 0.0
    late: float = 0.0
    twice: float = 0.0
    garbage: float = 0.0
    other_amount: float = 0.0
    breaks_framing: float = 0.0
    closes: float = 0.0
    bad_mac: float = 0.0
    reversal_declined: float = 0.0
    reversal_refused: float = 0.0
    refuses_sign_on: float = 0.0
    silent_echo: float = 0.0
    #: answers whose connection has gone come on the next one
    answers_elsewhere: float = 0.0
    #: a request is worked on late, maybe after its connection and its reversal; its answer comes all the same
    works_late: float = 0.0
    #: an answer comes again, much later
    answers_again: float = 0.0


@dataclass(slots=True, eq=False)
class HostSession:
    """One connection, as the host sees it."""

    number: int
    wire: Any
    framing: Framing = field(default_factory=lambda: FRAMINGS["ascii4"](BANK.max_body))
    desk: Desk = field(default_factory=Desk)
    is_open: bool = True


class Host:
    """The bank."""

    def __init__(self, world: World, client_waits_s: float) -> None:
        self.bugs = Bugs()
        self.journal = Lines()
        self.business_date = world.database_wall().date()
        #: when what was worked on late is answered once more
        self.insists_at = 0.0
        #: STAN and field 7 of what was worked on late
        self.late: set[tuple[str | None, str | None]] = set()
        self._world = world
        self._client_waits_s = client_waits_s
        self._switch = Switch(BANK, Books(None), HostKeys(mac=MAC_KEY))
        self._sessions = 0
        self._stan = 900_000
        self.session: HostSession | None = None

    def accept(self, wire: Any) -> HostSession:
        """A new connection; the bank lets go of the one before."""
        if self.session:
            self.end(self.session)
        self._sessions += 1
        self.session = HostSession(self._sessions, wire)
        return self.session

    def end(self, session: HostSession) -> None:
        """A connection is gone."""
        if session.is_open:
            session.is_open = False
            session.wire.host_closed()

    def receive(self, session: HostSession, received: bytes) -> None:
        """Bytes came in."""
        if not session.is_open:
            return
        try:
            for body in session.framing.feed(received):
                self._handle(session, body)
        except FramingError as error:
            self.journal.note(session.number, "framing broken", why=str(error))
            self.end(session)

    def start_message(self, purpose: str) -> None:
        """Send a message of the host's own to who is signed on."""
        session = self.session
        if session is None or not session.is_open or not session.desk.signed_on:
            return
        if purpose == "cut_over":
            self.business_date = self.business_date.fromordinal(self.business_date.toordinal() + 1)
        if purpose == "sign_off":
            session.desk.signed_on = False
        self._stan += 1
        now = self._world.database_wall()
        known = {7: f"{now:%m%d%H%M%S}", 11: f"{self._stan:06d}", 41: "HOST", 42: "HOST"}
        known |= {number: now.strftime(form) for number, form in BANK.local_time.items()}
        carried = {number: known[number] for number in BANK.network_fields[purpose]}
        fields = {**BANK.network_constants.get(purpose, {}), **carried, **BANK.network[purpose]}
        self._write(session, encode(Message(BANK.mti["network"], fields), BANK))

    def _handle(self, session: HostSession, body: bytes) -> None:
        try:
            message = decode(body, BANK)
        except DecodeError as error:
            self.journal.note(session.number, "unreadable", bytes=len(body), why=str(error))
            return
        if message.mti[1:3] in ("10", "20") and self._world.chance(self.bugs.works_late):
            self._world.fault("the host works late")
            self.late.add((message.get(11), message.get(7)))
            delay = self._world.between(0.0, 2 * self._client_waits_s)
            self._world.after(delay, None, lambda: self._work_late(session, body, message))
            return
        self._work(session, body, message)

    def _work_late(self, session: HostSession, body: bytes, message: Message) -> None:
        current = self.session
        if current is None or not current.is_open or not current.desk.signed_on:
            self._world.after(1.0, None, lambda: self._work_late(session, body, message))
            return
        decision = self._switch.handle(message, Desk(signed_on=True))
        self.journal.message(session.number, "in", body, message, self.business_date, decision.effect)
        self._world.log(f"host works late on {message.mti} {message.get(11)} does [{decision.effect}]")
        if decision.answer is not None:
            self._answer(current, Behaviour.ANSWER, decision.answer)
            self._insist(decision.answer)

    def _insist(self, answer: Message) -> None:
        """Once more when all has healed: of an approval after its reversal only its answer can tell (M6)."""
        when = max(self._world.now + 1.0, self.insists_at)

        def again() -> None:
            if self.session and self.session.is_open and self.session.desk.signed_on:
                self._answer(self.session, Behaviour.ANSWER, answer)
            else:
                self._insist(answer)

        self._world.at(when, None, again)

    def _work(self, session: HostSession, body: bytes, message: Message) -> None:
        decision = self._decide(session, message)
        self.journal.message(session.number, "in", body, message, self.business_date, decision.effect)
        self._world.log(f"host reads {message.mti} {message.get(11)} does [{decision.effect}]")
        if decision.answer is not None and session.is_open:
            self._answer_later(session, message, decision)

    def _decide(self, session: HostSession, message: Message) -> Decision:
        world, bugs, settings = self._world, self.bugs, self._switch.settings
        kind = message.mti[1]
        settings.refuse_sign_on = kind == "8" and world.chance(bugs.refuses_sign_on)
        settings.reversals = ""
        if kind == "4" and world.chance(bugs.reversal_declined):
            settings.reversals = world.random.choice(_REVERSAL_CODES)
        elif kind == "4" and world.chance(bugs.reversal_refused):
            settings.reversals = world.random.choice(_REFUSALS)
        return self._switch.handle(message, session.desk)

    def _answer_later(self, session: HostSession, asked: Message, decision: Decision) -> None:
        world, bugs = self._world, self.bugs
        answer, behaviour = self._distorted(asked, decision), self._behaviour(asked, decision.behaviour)
        delay = world.between(0.0, bugs.slowest_s)
        if behaviour is Behaviour.LATE:
            delay += self._client_waits_s
        if asked.mti[1] == "8" and world.chance(bugs.silent_echo):
            world.fault("silent to a network message")
            return
        world.after(delay, None, lambda: self._answer(session, behaviour, answer))
        if asked.mti[1] != "8" and world.chance(bugs.answers_again):
            world.fault("answer again, later")
            again = delay + world.between(0.0, 3 * self._client_waits_s)
            world.after(again, None, lambda: self._answer(session, Behaviour.ANSWER, answer))

    def _distorted(self, asked: Message, decision: Decision) -> Message:
        """Say something else than what was done."""
        answer, world, bugs = decision.answer, self._world, self.bugs
        assert answer is not None
        if asked.mti[1] not in "12" or answer.get(39) != "00":
            return answer
        fields = dict(answer.fields)
        if world.chance(bugs.unknown_code):
            fields[39] = world.random.choice(_UNKNOWN_CODES)
            world.fault(f"code {fields[39]} for what was approved")
        elif world.chance(bugs.other_amount):
            fields[4] = f"{int(fields.get(4, '0')) + 100:012d}"
            world.fault("another amount in the answer")
        elif world.chance(bugs.bad_mac) and 64 in fields:
            fields[64] = "0" * 32
            world.fault("bad MAC")
            return Message(answer.mti, fields)
        fields.pop(64, None)
        return self._switch.sign(Message(answer.mti, fields), asked)

    def _behaviour(self, asked: Message, usual: Behaviour) -> Behaviour:
        bugs = self.bugs
        odds = {
            Behaviour.NEVER: bugs.silent,
            Behaviour.LATE: bugs.late,
            Behaviour.TWICE: bugs.twice,
            Behaviour.GARBAGE: bugs.garbage,
            Behaviour.BREAK_FRAMING: bugs.breaks_framing,
            Behaviour.CLOSE: bugs.closes,
        }
        if asked.mti[1] != "8":
            for behaviour, probability in odds.items():
                if self._world.chance(probability):
                    self._world.fault(f"the host {behaviour.value}")
                    return behaviour
        return usual

    def _answer(self, session: HostSession, behaviour: Behaviour, answer: Message) -> None:
        if not session.is_open:
            current = self.session
            if not (current and current.is_open and self._world.chance(self.bugs.answers_elsewhere)):
                return
            self._world.fault("answer on another session")
            session = current
        body = encode(answer, BANK)
        match behaviour:
            case Behaviour.NEVER:
                return
            case Behaviour.CLOSE:
                self.end(session)
                return
            case Behaviour.GARBAGE:
                body = _GARBAGE
            case Behaviour.BREAK_FRAMING:
                session.wire.to_us(b"\xff\xff\xff\xff")
                return
            case Behaviour.TWICE:
                self._write(session, body)
        self.journal.message(session.number, "out", encode(answer, BANK), answer, self.business_date, behaviour.value)
        self._write(session, body)

    def _write(self, session: HostSession, body: bytes) -> None:
        session.wire.to_us(session.framing.answer(body))
