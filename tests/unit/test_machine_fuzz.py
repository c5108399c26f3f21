"""The link machine in every state, whatever the host sends and whenever: nothing lost, nothing answered twice."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from processor.codec.dialects import DIALECTS, Dialect
from processor.codec.errors import DecodeError
from processor.codec.message import Message, decode, encode
from processor.link import events as ev
from processor.link.framing import FRAMINGS, Framing
from processor.link.machine import Machine
from processor.link.matching import match_key
from processor.link.network import network_answer
from processor.link.states import OPEN, State
from tests.builders import moment, profile
from tests.strategies import damaged, messages

#: Every dialect once, and every framing at least once.
LINKS = tuple(zip(DIALECTS.values(), [*FRAMINGS, "ascii4"], strict=True))
every_link = pytest.mark.parametrize(("dialect", "framing"), LINKS, ids=[dialect.name for dialect, _ in LINKS])
every_state = pytest.mark.parametrize("state", list(State), ids=[state.value for state in State])


class Session:
    """A machine, the host's side of its framing, and everything it said."""

    def __init__(self, dialect: Dialect, framing: str) -> None:
        self.dialect = dialect
        self.machine = Machine(profile(dialect, framing=framing, window=8, answer_timeout_s=20))
        self.machine.supply(range(1, 1000))
        self.host: Framing = FRAMINGS[framing](dialect.max_body)
        self.events: list[ev.Event] = []
        self.sent: list[ev.Outgoing] = []
        self.now = 0.0

    def did(self, events: Sequence[ev.Event]) -> Sequence[ev.Event]:
        self.events += events
        return events

    def receive(self, received: bytes) -> Sequence[ev.Event]:
        return self.did(self.machine.receive(received, moment(self.now)))

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.did(self.machine.tick(moment(self.now)))

    def send(self, *stans: int) -> None:
        outgoing = [self.request(stan) for stan in stans]
        self.sent += outgoing
        self.did(self.machine.send(outgoing, moment(self.now)))

    def request(self, stan: int) -> ev.Outgoing:
        mti = self.dialect.mti["request"]
        message = Message(mti, {4: "000000000100", 7: "1120120000", 11: f"{stan:06d}", 41: "ATM-001"})
        return ev.Outgoing(stan, match_key(message, self.dialect) or "", mti, encode(message, self.dialect))

    def answer(self, stan: int) -> bytes:
        asked = decode(self.request(stan).body, self.dialect)
        mti = f"{asked.mti[:2]}10"
        return encode(Message(mti, {**asked.fields, 39: self.dialect.write_code("00")}), self.dialect)

    def accept(self) -> None:
        """The host answers our latest 0800."""
        asked = [e for e in self.events if isinstance(e, ev.NetworkMessage) and e.outward][-1]
        answer = network_answer(decode(asked.body, self.dialect), "00", self.dialect)
        self.receive(self.host.frame(encode(answer, self.dialect)))

    def host_says(self, purpose: str) -> None:
        fields = {7: "1120120000", 11: "900001", 41: "HOST", **self.dialect.network[purpose]}
        self.receive(self.host.frame(encode(Message(self.dialect.mti["network"], fields), self.dialect)))

    def ended(self, outgoing: ev.Outgoing) -> int:
        """How often the machine said what became of a message."""
        said = Counter(e.message.token for e in self.events if isinstance(e, ev.Answered | ev.Unanswered))
        return said[outgoing.token]


def connect(session: Session) -> None:
    session.did(session.machine.connected(moment()))


def prove(session: Session) -> None:
    connect(session)
    session.accept()


def come_up(session: Session) -> None:
    prove(session)
    session.accept()
    session.send(101, 102, 103)


def drain(session: Session) -> None:
    come_up(session)
    session.did(session.machine.sign_off(moment(), 5))


def sign_off(session: Session) -> None:
    drain(session)
    session.tick(6)


def be_signed_off(session: Session) -> None:
    come_up(session)
    session.host_says("sign_off")


def break_down(session: Session) -> None:
    prove(session)
    session.tick(60)


WAYS: Mapping[State, Callable[[Session], None]] = {
    State.CLOSED: lambda _: None,
    State.SIGNING_ON: connect,
    State.PROVING: prove,
    State.UP: come_up,
    State.DRAINING: drain,
    State.SIGNING_OFF: sign_off,
    State.SIGNED_OFF: be_signed_off,
    State.CLOSING: break_down,
}


def session_in(state: State, dialect: Dialect, framing: str) -> Session:
    session = Session(dialect, framing)
    WAYS[state](session)
    assert session.machine.state is state
    return session


def received(session: Session) -> st.SearchStrategy[bytes]:
    """What may come in: noise, whole frames of anything, answers, the host's own messages, all of it damaged."""
    dialect, host = session.dialect, session.host
    network = st.sampled_from(list(dialect.network.values())).map(
        lambda signs: encode(Message(dialect.mti["network"], {7: "1120120000", 11: "900001", **signs}), dialect)
    )
    bodies = st.one_of(
        st.binary(min_size=1, max_size=60),
        messages(dialect).map(lambda message: encode(message, dialect)),
        st.sampled_from([101, 102, 103, 104]).map(session.answer),
        network,
    )
    frames = st.one_of(bodies, bodies.flatmap(damaged)).filter(bool).map(host.frame)
    return st.one_of(frames, frames, frames, frames.flatmap(damaged), st.binary(max_size=20))


@every_state
def test_whatever_comes_every_message_ends_once_and_nothing_breaks(state: State) -> None:
    @settings(max_examples=60)
    @given(st.sampled_from(LINKS), st.data())
    def check(link: tuple[Dialect, str], data: st.DataObject) -> None:
        session = session_in(state, *link)
        for chunk in data.draw(st.lists(received(session), max_size=8)):
            events = session.receive(chunk)
            session.tick(data.draw(st.sampled_from([0, 0, 0, 3, 31])))
            if any(isinstance(event, ev.Close) for event in events):
                assert session.machine.state is State.CLOSING
        session.did(session.machine.disconnected())

        assert [session.ended(outgoing) for outgoing in session.sent] == [1] * len(session.sent)
        assert all(decode(body, session.dialect) for body in written(session))

    check()


@every_state
def test_an_unreadable_body_is_one_stray_and_stops_no_sibling(state: State) -> None:
    @settings(max_examples=30)
    @given(st.sampled_from(LINKS), st.binary(min_size=1, max_size=80))
    def check(link: tuple[Dialect, str], garbage: bytes) -> None:
        session = session_in(state, *link)
        assume(not readable(garbage, session.dialect))
        awaited = len(session.machine.window)

        events = session.receive(b"".join(map(session.host.frame, (garbage, *map(session.answer, (101, 102, 103))))))

        if state not in OPEN:
            assert not events
            return
        first, *others = events
        assert first == ev.Stray(garbage, None)
        assert sum(isinstance(event, ev.Answered) for event in others) == awaited
        assert not session.machine.window

    check()


@every_link
@every_state
def test_broken_framing_closes_and_silences_what_is_in_flight(state: State, dialect: Dialect, framing: str) -> None:
    session = session_in(state, dialect, framing)
    awaited = session.machine.window.messages

    # Longer than any body may be, or no length at all: whatever the framing, this is none.
    events = session.receive(b"\xff\xff\xff\xff\xff\xff")

    if state not in OPEN:
        assert not events
        return
    assert [event.message for event in events if isinstance(event, ev.Unanswered)] == awaited
    assert events[-1] == ev.Close(ev.Cause.FRAMING)
    assert session.machine.state is State.CLOSING
    assert not session.receive(session.host.frame(session.answer(101)))


def readable(body: bytes, dialect: Dialect) -> bool:
    with suppress(DecodeError):
        return bool(decode(body, dialect))
    return False


def written(session: Session) -> list[bytes]:
    """Every body the machine wrote, as the host reads the stream."""
    host = FRAMINGS[session.host.name](session.dialect.max_body)
    return list(host.feed(b"".join(event.frame for event in session.events if isinstance(event, ev.Write))))
