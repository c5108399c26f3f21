"""The bank at the other end: the product's own simulator of a switch, with more bugs, in virtual time.

Owns accounts, the host's journal and its sessions; one connection at a time, as the bank has it. What it
says wrongly never hides what it did: its journal holds the truth.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any, Final

from processor.codec.dialects import Dialect
from processor.codec.errors import DecodeError, FramingError
from processor.codec.message import Message, decode, encode
from processor.link.framing import FRAMINGS, Framing
from processor.simulator.accounts import Books
from processor.simulator.journal import Journal
from processor.simulator.scenarios import Behaviour
from processor.simulator.switch import Decision, Desk, HostKeys, Switch
from tests.simulation.bugs import Bugs
from tests.simulation.stage import MAC_KEY
from tests.simulation.tables import Row
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


@dataclass(slots=True, eq=False)
class HostSession:
    """One connection, as the host sees it."""

    number: int
    wire: Any
    framing: Framing
    desk: Desk = field(default_factory=Desk)
    is_open: bool = True
    #: STAN and field 7 of what was answered as approved on this connection: whoever reads on has read that
    told: set[tuple[str | None, str | None]] = field(default_factory=set)


class Host:
    """The bank."""

    def __init__(self, world: World, dialect: Dialect, framing: str, client_waits_s: float) -> None:
        self.dialect = dialect
        self._framing = framing
        self.bugs = Bugs()
        self.journal = Lines()
        #: when what was worked on late is answered once more
        self.insists_at = 0.0
        #: STAN and field 7 of what was worked on late
        self.late: set[tuple[str | None, str | None]] = set()
        self._world = world
        self._client_waits_s = client_waits_s
        self._books = Books(None)
        self._books.open_day(world.database_wall().date())
        self._switch = Switch(dialect, self._books, HostKeys(mac=MAC_KEY))
        #: reference -> when it was given with an answer, and the business date that the answer told
        self.told: dict[str, tuple[float, str]] = {}
        self._sessions = 0
        self._stan = 900_000
        self.session: HostSession | None = None

    @property
    def business_date(self) -> date:
        """The bank's business date."""
        return self._books.business_date or date.min

    def accept(self, wire: Any) -> HostSession:
        """A new connection; the bank lets go of the one before."""
        if self.session:
            self.end(self.session)
        self._sessions += 1
        self.session = HostSession(self._sessions, wire, FRAMINGS[self._framing](self.dialect.max_body))
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

    def holds(self, attempt: Row) -> bool:
        """What the bank tells a person who asks: whether it holds the money of an attempt."""
        seen = self._books.seen(_key(attempt))
        return seen is not None and seen.code == "00" and not seen.undone

    def give_back(self, attempt: Row) -> None:
        """A person at the bank undoes an attempt by hand."""
        if self.holds(attempt):
            self._books.undo(_key(attempt))
            self.journal.note(0, "by hand", effect=f"undone {_key(attempt)}")

    def start_message(self, purpose: str) -> None:
        """Send a message of the host's own to who is signed on; a day ends whoever hears of it."""
        if purpose == "cut_over":
            self._books.open_day(self.business_date + timedelta(days=1))
        session = self.session
        if session is None or not session.is_open or not session.desk.signed_on:
            return
        if purpose == "sign_off":
            session.desk.signed_on = False
        self._stan += 1
        now = self._world.database_wall()
        known = {7: f"{now:%m%d%H%M%S}", 11: f"{self._stan:06d}", 41: "HOST", 42: "HOST"}
        dialect = self.dialect
        known |= {number: now.strftime(form) for number, form in dialect.local_time.items()}
        carried = {number: known[number] for number in dialect.network_fields[purpose]}
        fields = {**dialect.network_constants.get(purpose, {}), **carried, **dialect.network[purpose]}
        self._write(session, encode(Message(dialect.mti["network"], fields), dialect))

    def _handle(self, session: HostSession, body: bytes) -> None:
        try:
            message = decode(body, self.dialect)
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
        elif kind == "4" and self._original(message) in session.told and world.chance(bugs.forgets):
            world.fault("the host forgets what it approved")
            settings.reversals = "25"
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
        if asked.mti[1] not in "12" or self._code(answer) != "00":
            return answer
        fields = dict(answer.fields)
        if world.chance(bugs.unknown_code):
            code = world.random.choice(_UNKNOWN_CODES)
            fields[39] = self.dialect.write_code(code).ljust(self.dialect.rules[39].pad_to, "9")
            world.fault(f"code {code} for what was approved")
        elif world.chance(bugs.other_amount):
            fields[4] = f"{int(fields.get(4, '0')) + 100:012d}"
            world.fault("another amount in the answer")
        elif world.chance(bugs.bad_mac) and 64 in fields:
            fields[64] = "0" * 32
            world.fault("bad MAC")
            return Message(answer.mti, fields)
        fields.pop(64, None)
        return self._switch.sign(Message(answer.mti, fields), asked)

    def _code(self, answer: Message) -> str:
        return self.dialect.read_code(answer.get(39) or "")

    def _original(self, reversal: Message) -> tuple[str | None, str | None]:
        """STAN and field 7 of what is to be reversed; 1993 names local time, so there the STAN decides."""
        named = reversal.get(self.dialect.original_field) or ""
        told = self.session.told if self.session else ()
        by_stan = (key for key in told if key[0] == named[4:10])
        return (named[4:10], named[10:20]) if self.dialect.original_field == 90 else next(by_stan, (None, None))

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
        said = body = encode(answer, self.dialect)
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
        self.told[answer.get(37) or ""] = self._world.now, answer.get(15) or ""
        if body is said and answer.mti[1] in "12" and self._code(answer) in ("00", "10"):
            session.told.add((answer.get(11), answer.get(7)))
        self.journal.message(session.number, "out", said, answer, self.business_date, behaviour.value)
        self._write(session, body)

    def _write(self, session: HostSession, body: bytes) -> None:
        session.wire.to_us(session.framing.answer(body))


def _key(attempt: Row) -> str:
    """An attempt as the bank's books know it."""
    return f"{attempt.mti[:2]}:{attempt.stan:06d}:{attempt.transmitted_at:%m%d%H%M%S}:{attempt.terminal_id}"
