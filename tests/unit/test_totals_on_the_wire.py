"""Our totals as a 0500, and what the 0510 of a host says of them."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.codec.dialects import DIALECTS, Dialect
from processor.codec.errors import DecodeError, EncodeError
from processor.codec.message import Message, decode, encode
from processor.keys.signing import mac_fits, signed
from processor.link import events as ev
from processor.link.console import Verb, misfit
from processor.link.machine import Machine
from processor.link.network import MakeRequest
from processor.link.reconciliation import (
    Outcome,
    Reconciliation,
    Totals,
    read_answer,
    read_parameters,
    read_totals,
    reconciliation_request,
    written,
)
from processor.simulator.accounts import Books
from processor.simulator.switch import Desk, HostKeys, Switch
from tests.builders import BANK, moment, profile, request_fields
from tests.unit.test_machine import frame, of, up
from tests.unit.test_machine import written as sent_by
from tests.unit.test_simulator import code, follow_up, reversal_of

OURS = Totals(debits=3, debits_minor=1_250_000, debit_reversals=1, debit_reversals_minor=50_000, credits=1)
ASKED = Reconciliation(date(2026, 11, 20), "360", OURS)
KEY = bytes(16)
SPEAKING = [dialect for dialect in DIALECTS.values() if "reconciliation" in dialect.mti]
counts = st.integers(0, 10**10 - 1)
sums = st.integers(0, 10**15)


def make(asked: Reconciliation = ASKED) -> MakeRequest:
    return lambda _, stan, now, link: reconciliation_request(asked, stan, now, link)


def request(asked: Reconciliation = ASKED) -> Message:
    return reconciliation_request(asked, 7, moment(), profile())


def answer(fields: dict[int, str], *, with_totals: Totals | None = None) -> Message:
    given = written(with_totals, BANK) if with_totals else {}
    return Message("0510", {**given, 7: "1120120000", 11: "000007", 41: "ATM-001", **fields})


def test_a_0500_carries_the_date_the_currency_and_every_total() -> None:
    assert request() == Message(
        "0500",
        {
            7: "1120120000",
            11: "000007",
            15: "1120",
            41: "ATM-001",
            42: "TRM-ISS001",
            50: "360",
            74: "0000000001",
            75: "0000000000",
            76: "0000000003",
            77: "0000000001",
            86: "0000000000000000",
            87: "0000000000000000",
            88: "0000000001250000",
            89: "0000000000050000",
            97: "D0000000001200000",
        },
    )


@pytest.mark.parametrize("dialect", SPEAKING, ids=[dialect.name for dialect in SPEAKING])
@given(numbers=st.tuples(counts, counts, counts, counts), amounts=st.tuples(sums, sums, sums, sums))
def test_totals_cross_the_wire_unchanged(dialect: Dialect, numbers: tuple[int, ...], amounts: tuple[int, ...]) -> None:
    totals = Totals(*numbers, *amounts)
    asked = Reconciliation(date(2026, 11, 20), "360", totals)

    body = encode(reconciliation_request(asked, 7, moment(), profile(dialect)), dialect)

    assert read_totals(decode(body, dialect)) == totals


def test_packed_digits_leave_the_sign_of_the_net_a_byte_of_its_own() -> None:
    dialect = DIALECTS["iso87-binary"]
    net = encode(Message("0500", {97: "D0000000001200000"}), dialect)[-9:]

    assert net == b"D" + bytes.fromhex("0000000001200000")


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
@pytest.mark.parametrize("net", ["X0000000001200000", "0000000000120000", "C000000000120000E"])
def test_a_net_without_its_side_is_refused(dialect: Dialect, net: str) -> None:
    with pytest.raises(EncodeError, match="97"):
        encode(Message("0500", {97: net}), dialect)
    good = encode(Message("0500", {97: "D0000000001200000"}), dialect)
    with pytest.raises(DecodeError):
        decode(good.replace("D".encode(dialect.text_encoding), "E".encode(dialect.text_encoding)), dialect)


@pytest.mark.parametrize(
    ("fields", "theirs", "outcome"),
    [
        ({39: "00", 66: "1"}, OURS, Outcome.IN_BALANCE),
        ({39: "00", 66: "1"}, None, Outcome.IN_BALANCE),
        ({39: "00"}, OURS, Outcome.IN_BALANCE),
        ({39: "00", 66: "2"}, Totals(debits=4), Outcome.OUT_OF_BALANCE),
        ({39: "95"}, None, Outcome.OUT_OF_BALANCE),
        # its totals decide, whatever it says of them
        ({39: "00", 66: "1"}, Totals(debits=4), Outcome.OUT_OF_BALANCE),
        ({39: "00", 66: "3"}, None, Outcome.NOT_COMPARED),
        ({39: "96"}, None, Outcome.NOT_COMPARED),
        ({39: "00"}, None, Outcome.UNREADABLE),
        ({39: "00", 66: "1", 15: "1119"}, OURS, Outcome.UNREADABLE),
        ({39: "00", 66: "1", 50: "840"}, OURS, Outcome.UNREADABLE),
    ],
)
def test_what_an_answer_says(fields: dict[int, str], theirs: Totals | None, outcome: Outcome) -> None:
    assert read_answer(answer(fields, with_totals=theirs), ASKED, BANK).outcome is outcome


@pytest.mark.parametrize("wrong", [{97: "C0000000001200000"}, {97: "D0000000001200001"}, {76: ""}])
def test_totals_that_do_not_add_up_to_their_net_are_none(wrong: dict[int, str]) -> None:
    assert read_totals(Message("0510", {**written(OURS, BANK), **wrong})) is None


PARAMETERS: dict[str, Any] = {"business_date": "2026-11-20", "currency": "360", "totals": {"debits": 3}}


def test_parameters_are_plain_numbers_and_fit_a_message() -> None:
    assert read_parameters(PARAMETERS) == Reconciliation(date(2026, 11, 20), "360", Totals(debits=3))
    assert misfit(Verb.RECONCILE, PARAMETERS, 1, ()) is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"business_date": "20 November"},
        {"currency": "IDR"},
        {"totals": {"debits": -1}},
        {"totals": {"debits": 10**10}},
        {"totals": {"debits_minor": 10**16 - 1, "credit_reversals_minor": 10**16 - 1}},
        {"totals": {"payments": 1}},
        {"more": 1},
    ],
)
def test_parameters_that_do_not_fit_are_refused(wrong: dict[str, Any]) -> None:
    assert misfit(Verb.RECONCILE, {**PARAMETERS, **wrong}, 1, ())


class TestTheMachine:
    def ask(self, machine: Machine) -> Message:
        return sent_by(machine.ask("reconciliation", "token", moment(1), make()))[0]

    def test_a_0510_answers_who_asked_and_moves_nothing(self) -> None:
        machine = up()
        asked = self.ask(machine)
        kept = {number: asked.fields[number] for number in (7, 11, 41)}

        events = machine.receive(frame("0510", {**kept, 39: "00", 66: "1"}), moment(2))

        (reply,) = of(ev.Replied, events)
        assert (reply.token, reply.body is not None, machine.room) == ("token", True, 4)
        assert [event.mti for event in of(ev.NetworkMessage, events)] == ["0510"]

    @pytest.mark.parametrize(("patience_s", "silent_after_s"), [(12, 12), (300, 30)])
    def test_silence_is_said_in_time_for_the_next_command_and_a_late_answer_is_a_stray(
        self, patience_s: float, silent_after_s: float
    ) -> None:
        machine = up(answer_timeout_s=patience_s, echo_interval_s=900)
        asked = self.ask(machine)

        assert not of(ev.Replied, machine.tick(moment(silent_after_s)))
        (reply,) = of(ev.Replied, machine.tick(moment(silent_after_s + 1)))
        assert reply.body is None
        late = {number: asked.fields[number] for number in (7, 11, 41)}
        assert of(ev.Stray, machine.receive(frame("0510", {**late, 39: "00"}), moment(14)))


class TestTheHost:
    """What the simulated bank counts, asked with what we believe."""

    def said(self, switch: Switch, desk: Desk, totals: Totals, key: bytes | None = None) -> dict[int, str]:
        asked = request(Reconciliation(date(2026, 11, 20), "360", totals))
        decision = switch.handle(signed(asked, BANK, key) if key else asked, desk)
        assert decision.answer is not None
        assert key is None or mac_fits(decision.answer, BANK, [key])
        return dict(decision.answer.fields)

    def bank(self, **settings: Any) -> tuple[Switch, Desk]:
        books = Books(None)
        books.open_day(date(2026, 11, 20))
        switch, desk = Switch(BANK, books), Desk(signed_on=True)
        for name, value in settings.items():
            setattr(switch.settings, name, value)
        return switch, desk

    def work(self, switch: Switch, desk: Desk) -> None:
        """A purchase, one reversed, one voided, a refund, an authorisation and its capture: 100.00 each."""
        amount = {4: "000000010000"}
        paid, undone, voided = (Message("0200", {**request_fields(stan), **amount}) for stan in (101, 102, 103))
        held = Message("0100", {**request_fields(104), **amount})
        messages = [paid, undone, voided, held, reversal_of(undone, 202), follow_up(voided, "0400", 203)]
        messages += [follow_up(paid, "0200", 204, f3="200000"), follow_up(held, "0220", 205)]
        assert {code(switch, desk, message) for message in messages} == {"00"}

    def test_it_counts_as_we_do(self) -> None:
        switch, desk = self.bank()
        self.work(switch, desk)
        ours = Totals(
            debits=4,
            debits_minor=40_000,
            debit_reversals=2,
            debit_reversals_minor=20_000,
            credits=1,
            credits_minor=10_000,
        )

        assert self.said(switch, desk, ours)[66] == "1"
        said = self.said(switch, desk, Totals())
        assert said[66] == "2"
        assert read_totals(Message("0510", said)) == ours
        assert said[97] == "D0000000000010000"

    def test_another_date_or_currency_has_its_own_totals(self) -> None:
        switch, desk = self.bank()
        self.work(switch, desk)

        for asked in (
            Reconciliation(date(2026, 11, 19), "360", Totals()),
            Reconciliation(date(2026, 11, 20), "840", Totals()),
        ):
            decision = switch.handle(request(asked), desk)
            assert decision.answer is not None
            assert decision.answer.fields[66] == "1"

    def test_it_can_be_off_by_an_amount(self) -> None:
        switch, desk = self.bank(totals_off_by=125_000)

        said = self.said(switch, desk, Totals())

        assert (said[66], said[76], said[88]) == ("2", "0000000001", "0000000000125000")

    def test_a_host_that_signs_believes_nobody_who_does_not(self) -> None:
        switch, desk = self.bank()
        switch.keys = HostKeys(mac=KEY)

        assert self.said(switch, desk, Totals(), KEY)[66] == "1"
        assert code(switch, desk, request()) == "63"
