"""The link machine: given what came so far, when bytes or time come, then what is to be done."""

from collections.abc import Sequence
from typing import Any, TypeVar

import pytest

from processor.codec.message import Message, decode, encode
from processor.link import events as ev
from processor.link.errors import LocalProtocolError
from processor.link.framing import FRAMINGS, Framing
from processor.link.machine import Machine
from processor.link.states import TRANSITIONS, State, Step
from tests.builders import BANK, moment, outgoing, profile, request_fields

E = TypeVar("E", bound=ev.Event)


def framing() -> Framing:
    return FRAMINGS["ascii4"](8192)


def frame(mti: str, fields: dict[int, str]) -> bytes:
    return framing().frame(encode(Message(mti, fields), BANK))


def of(kind: type[E], events: Sequence[ev.Event]) -> list[E]:
    return [event for event in events if isinstance(event, kind)]


def written(events: Sequence[ev.Event]) -> list[Message]:
    stream = b"".join(event.frame for event in of(ev.Write, events))
    return [decode(body, BANK) for body in framing().feed(stream)]


def answer_to(asked: Message, code: str = "00") -> bytes:
    kept = {number: value for number, value in asked.fields.items() if number in (7, 11, 41, 42, 70)}
    return frame(f"{asked.mti[:2]}10", {**kept, 39: code})


def connected(**changes: Any) -> tuple[Machine, Message]:
    machine = Machine(profile(**changes))
    machine.supply(range(1, 50))
    return machine, written(machine.connected(moment()))[0]


def up(**changes: Any) -> Machine:
    machine, sign_on = connected(**changes)
    echo = written(machine.receive(answer_to(sign_on), moment()))[0]
    events = machine.receive(answer_to(echo), moment())
    assert of(ev.WentUp, events)
    return machine


def answer_for(stan: int, code: str = "00") -> bytes:
    return frame("0210", {**request_fields(stan), 39: code})


class TestComingUp:
    def test_a_new_connection_signs_on_first(self) -> None:
        _, sign_on = connected()

        assert sign_on == Message("0800", {11: "000001", 41: "ATM-001", 42: "TRM-ISS001", 70: "001"})

    def test_signed_on_is_not_up_before_an_echo_is_answered(self) -> None:
        machine, sign_on = connected()

        events = machine.receive(answer_to(sign_on), moment())

        assert machine.state is State.PROVING
        assert written(events)[0].fields[70] == "301"
        assert machine.room == 0

    def test_a_refused_sign_on_ends_the_session(self) -> None:
        machine, sign_on = connected()

        events = machine.receive(answer_to(sign_on, "05"), moment())

        assert of(ev.Close, events) == [ev.Close(ev.Cause.SIGN_ON_REFUSED)]

    def test_a_sign_on_nobody_answers_ends_the_session(self) -> None:
        machine, _ = connected()

        assert not machine.tick(moment(9.9))
        assert of(ev.Close, machine.tick(moment(10))) == [ev.Close(ev.Cause.SIGN_ON_TIMEOUT)]

    def test_a_slow_host_is_given_the_links_own_time_to_sign_on(self) -> None:
        machine, _ = connected(sign_on_timeout_s=25)

        assert not machine.tick(moment(24.9))
        assert of(ev.Close, machine.tick(moment(25))) == [ev.Close(ev.Cause.SIGN_ON_TIMEOUT)]

    def test_without_a_stan_nothing_is_invented(self) -> None:
        with pytest.raises(LocalProtocolError):
            Machine(profile()).connected(moment())


class TestEcho:
    def test_it_is_sent_by_its_interval(self) -> None:
        machine = up()

        assert machine.next_deadline() == 30
        assert [message.fields[70] for message in written(machine.tick(moment(30)))] == ["301"]

    def test_an_echo_without_answer_ends_the_session_and_silences_what_is_in_flight(self) -> None:
        machine = up(answer_timeout_s=100)
        machine.send([outgoing(101)], moment(1))
        machine.tick(moment(30))

        events = machine.tick(moment(40))

        assert [type(event) for event in events] == [ev.WentDown, ev.Unanswered, ev.Close]
        assert of(ev.Unanswered, events)[0].cause is ev.Cause.CONNECTION_LOST

    def test_somebody_who_wants_to_know_sends_an_echo_before_it_is_due_and_only_one(self) -> None:
        machine = up()
        echoes = written(machine.probe(moment(5)))

        assert [echo.fields[70] for echo in echoes] == ["301"]
        assert machine.probe(moment(6)) == []
        assert of(ev.EchoAnswered, machine.receive(answer_to(echoes[0]), moment(7))) == [ev.EchoAnswered(2)]

    def test_an_echo_refused_ends_the_session(self) -> None:
        machine = up()
        echo = written(machine.tick(moment(30)))[0]

        assert of(ev.Close, machine.receive(answer_to(echo, "91"), moment(31))) == [ev.Close(ev.Cause.ECHO_REFUSED)]

    def test_it_says_how_long_the_host_took(self) -> None:
        machine = up()
        echo = written(machine.tick(moment(30)))[0]

        assert of(ev.EchoAnswered, machine.receive(answer_to(echo), moment(30.25))) == [ev.EchoAnswered(0.25)]


class TestCarrying:
    def test_messages_go_out_as_one_write(self) -> None:
        events = up().send([outgoing(101), outgoing(102)], moment())

        assert [message.fields[11] for message in written(events)] == ["000101", "000102"]
        assert len(of(ev.Write, events)) == 1

    def test_the_window_is_never_exceeded(self) -> None:
        machine = up()
        machine.send([outgoing(stan) for stan in (101, 102, 103)], moment())

        assert machine.room == 1
        with pytest.raises(LocalProtocolError):
            machine.send([outgoing(104), outgoing(105)], moment())

    def test_nothing_is_sent_before_the_link_is_up(self) -> None:
        machine, _ = connected()

        with pytest.raises(LocalProtocolError):
            machine.send([outgoing()], moment())

    def test_two_messages_with_the_same_answer_are_never_in_flight(self) -> None:
        machine = up()
        machine.send([outgoing(101)], moment())

        with pytest.raises(LocalProtocolError):
            machine.send([outgoing(101)], moment())

    def test_answers_are_matched_by_content_not_by_order(self) -> None:
        machine = up()
        machine.send([outgoing(101), outgoing(102)], moment())

        events = machine.receive(answer_for(102) + answer_for(101), moment(0.5))

        assert [event.message.token for event in of(ev.Answered, events)] == ["entry-102", "entry-101"]
        assert len(machine.window) == 0

    def test_an_answer_may_come_byte_by_byte(self) -> None:
        machine = up()
        machine.send([outgoing(101)], moment())

        answered = [
            event for byte in answer_for(101) for event in of(ev.Answered, machine.receive(bytes([byte]), moment()))
        ]

        assert len(answered) == 1

    def test_a_second_answer_is_a_stray(self) -> None:
        machine = up()
        machine.send([outgoing(101)], moment())

        events = machine.receive(answer_for(101) * 2, moment())

        assert [type(event) for event in events] == [ev.Answered, ev.Stray]

    def test_an_answer_with_another_field_7_is_a_stray(self) -> None:
        machine = up()
        machine.send([outgoing(101)], moment())

        events = machine.receive(frame("0210", {**request_fields(101), 7: "1120120001", 39: "00"}), moment())

        assert [type(event) for event in events] == [ev.Stray]
        assert len(machine.window) == 1

    def test_silence_is_declared_at_the_deadline_and_not_before(self) -> None:
        machine = up(echo_interval_s=100)
        machine.send([outgoing(101)], moment(1))

        assert not of(ev.Unanswered, machine.tick(moment(30.9)))
        assert of(ev.Unanswered, machine.tick(moment(31)))[0].cause is ev.Cause.TIMEOUT
        assert machine.room == 4

    def test_an_answer_after_its_deadline_is_a_stray(self) -> None:
        machine = up(echo_interval_s=100)
        machine.send([outgoing(101)], moment())
        machine.tick(moment(30))

        assert [type(event) for event in machine.receive(answer_for(101), moment(31))] == [ev.Stray]


class TestGarbage:
    def test_an_unreadable_body_is_one_event_and_the_link_stays_up(self) -> None:
        machine = up()
        machine.send([outgoing(101)], moment())

        events = machine.receive(framing().frame(b"garbage") + answer_for(101), moment())

        assert [type(event) for event in events] == [ev.Stray, ev.Answered]
        assert of(ev.Stray, events)[0].mti is None
        assert machine.state is State.UP

    def test_a_broken_stream_ends_the_session_after_what_came_before_it(self) -> None:
        machine = up()
        machine.send([outgoing(101), outgoing(102)], moment())

        events = machine.receive(answer_for(101) + b"????" + answer_for(102), moment())

        assert [type(event) for event in events] == [ev.Answered, ev.WentDown, ev.Unanswered, ev.Close]

    def test_a_request_of_the_hosts_that_is_no_network_message_is_a_stray(self) -> None:
        events = up().receive(frame("0200", request_fields()), moment())

        assert [type(event) for event in events] == [ev.Stray]


class TestTheHostsOwnMessages:
    @pytest.mark.parametrize(("code", "answered"), [("301", "00"), ("201", "00"), ("001", "00"), ("777", "12")])
    def test_every_one_gets_an_answer(self, code: str, answered: str) -> None:
        fields = {7: "1120120000", 11: "900001", 12: "120000", 13: "1120", 41: "HOST", 70: code}

        events = up().receive(frame("0800", fields), moment())

        assert written(events) == [Message("0810", {**fields, 39: answered})]

    def test_a_cut_over_is_told_with_a_key_that_knows_it_again(self) -> None:
        machine = up()
        notice = frame("0800", {7: "1120120000", 11: "900001", 41: "HOST", 70: "201"})

        first, again = machine.receive(notice, moment()), machine.receive(notice, moment(1))

        assert of(ev.CutOver, first) == of(ev.CutOver, again) == [ev.CutOver("1120120000:900001")]

    def test_a_sign_off_stops_new_messages_and_waits_for_answers(self) -> None:
        machine = up()
        machine.send([outgoing(101)], moment())

        events = machine.receive(frame("0800", {11: "900001", 41: "HOST", 42: "HOST", 70: "002"}), moment())

        assert of(ev.WentDown, events)
        assert machine.room == 0
        assert not of(ev.Close, events)
        ended = machine.receive(answer_for(101), moment(1))
        assert [type(event) for event in ended] == [ev.Answered, ev.Close]


class TestLeaving:
    def test_it_waits_for_answers_then_signs_off_then_closes(self) -> None:
        machine = up()
        machine.send([outgoing(101)], moment())

        assert of(ev.WentDown, machine.sign_off(moment(1), 5))
        sign_off = written(machine.receive(answer_for(101), moment(2)))[0]
        assert sign_off.fields[70] == "002"
        events = machine.receive(answer_to(sign_off), moment(3))

        assert of(ev.Close, events) == [ev.Close(ev.Cause.SIGNED_OFF)]

    def test_its_patience_has_an_end(self) -> None:
        machine = up()
        machine.send([outgoing(101)], moment())
        machine.sign_off(moment(1), 5)

        assert written(machine.tick(moment(6)))[0].fields[70] == "002"
        events = machine.tick(moment(7))

        assert [type(event) for event in events] == [ev.Unanswered, ev.Close]

    def test_a_lost_connection_silences_what_is_in_flight(self) -> None:
        machine = up()
        machine.send([outgoing(101), outgoing(102)], moment())

        events = machine.disconnected()

        assert [type(event) for event in events] == [ev.WentDown, ev.Unanswered, ev.Unanswered]
        assert machine.state is State.CLOSED

    def test_the_next_session_starts_from_nothing(self) -> None:
        machine = up()
        machine.send([outgoing(101)], moment())
        machine.receive(b"00", moment())
        machine.disconnected()

        sign_on = written(machine.connected(moment(9)))[0]

        assert len(machine.window) == 0
        assert of(ev.Close, machine.receive(answer_to(sign_on), moment(9))) == []


def test_every_state_can_lose_its_connection() -> None:
    assert all((state, Step.DISCONNECTED) in TRANSITIONS for state in State)


def test_a_step_that_does_not_fit_is_our_own_fault() -> None:
    machine, _ = connected()

    with pytest.raises(LocalProtocolError):
        machine.connected(moment())


@pytest.mark.parametrize("name", FRAMINGS)
def test_two_machines_understand_each_other_in_every_framing(name: str) -> None:
    ours, theirs = FRAMINGS[name](8192), FRAMINGS[name](8192)
    body = encode(Message("0800", {11: "000001", 41: "ATM-001", 42: "X", 70: "301"}), BANK)

    received = list(theirs.feed(ours.frame(body)))
    returned = list(ours.feed(theirs.answer(received[0])))

    assert received == returned == [body]


class TestWhatAPersonAsks:
    def test_its_answer_comes_with_the_token_and_moves_nothing(self) -> None:
        machine, token = up(), object()

        (asked,) = written(machine.ask("sign_on", token, moment(1)))
        events = machine.receive(answer_to(asked, "05"), moment(3))

        (replied,) = of(ev.Replied, events)
        assert (replied.token, replied.elapsed_s) == (token, 2)
        assert machine.state is State.UP
        assert not of(ev.Close, events)

    def test_an_echo_is_one_whoever_asked_for_it(self) -> None:
        machine, token = up(), object()

        (asked,) = written(machine.ask("echo", token, moment(1)))
        events = machine.receive(answer_to(asked, "05"), moment(2))

        assert of(ev.Replied, events)
        assert of(ev.Close, events) == [ev.Close(ev.Cause.ECHO_REFUSED)]

    def test_without_an_answer_the_person_hears_so_and_the_link_stays_up(self) -> None:
        machine, token = up(echo_interval_s=1000, echo_timeout_s=10), object()
        machine.ask("sign_on", token, moment(1))

        events = machine.tick(moment(12))

        assert of(ev.Replied, events) == [ev.Replied(token, None, 0.0)]
        assert machine.state is State.UP

    def test_a_connection_that_is_lost_answers_nobody(self) -> None:
        machine, token = up(), object()
        machine.ask("sign_on", token, moment(1))

        assert of(ev.Replied, machine.disconnected()) == [ev.Replied(token, None, 0.0)]

    def test_nothing_is_asked_of_a_host_that_is_not_up(self) -> None:
        machine, _ = connected()
        with pytest.raises(LocalProtocolError):
            machine.ask("echo", object(), moment())
