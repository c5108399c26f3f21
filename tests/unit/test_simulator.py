"""The other party: what the simulated bank does with money, and that it remembers."""

from pathlib import Path
from typing import Any

import pytest

from processor.codec.message import Message
from processor.keys.software import encrypt_pin_block, iso0_pin_block
from processor.simulator.accounts import Books
from processor.simulator.scenarios import BEHAVIOURS, DECLINES, Behaviour
from processor.simulator.switch import Desk, HostKeys, Switch
from tests.builders import BANK, PAN, request_fields

SIGN_ON = Message("0800", {11: "000001", 41: "ATM-001", 42: "X", 70: "001"})
PIN_KEY = bytes(16)


def bank(**settings: Any) -> tuple[Switch, Desk]:
    switch = Switch(BANK, Books(None), HostKeys(pin=PIN_KEY))
    for name, value in settings.items():
        setattr(switch.settings, name, value)
    desk = Desk()
    switch.handle(SIGN_ON, desk)
    return switch, desk


def request(stan: int = 101, amount: str = "000000010000", **fields: str) -> Message:
    given = {int(name.removeprefix("f")): value for name, value in fields.items()}
    return Message("0200", {**request_fields(stan), 4: amount, **given})


def reversal_of(original: Message, stan: int = 202, mti: str = "0420") -> Message:
    fields = {**original.fields, 11: f"{stan:06d}", 90: f"0200{original.fields[11]}{original.fields[7]}" + "0" * 22}
    return Message(mti, fields)


def follow_up(original: Message, mti: str, stan: int, amount: str = "000000010000", **fields: str) -> Message:
    """What names an earlier message: 0220 a capture, 0400 a void, 0200 with 200000 a refund."""
    given = {int(name.removeprefix("f")): value for name, value in fields.items()}
    named = {90: f"{original.mti}{original.fields[11]}{original.fields[7]}" + "0" * 22}
    return Message(mti, {**original.fields, 4: amount, 11: f"{stan:06d}", **named, **given})


def code(switch: Switch, desk: Desk, message: Message) -> str:
    answer = switch.handle(message, desk).answer
    assert answer is not None
    return answer.fields[39]


def test_nothing_financial_before_sign_on() -> None:
    switch, _ = bank()

    assert code(switch, Desk(), request()) == "91"


def test_a_sign_on_may_be_refused() -> None:
    switch, _ = bank(refuse_sign_on=True)
    desk = Desk()

    assert code(switch, desk, SIGN_ON) == "05"
    assert not desk.signed_on


def test_a_purchase_takes_the_money_once() -> None:
    switch, desk = bank()
    before = switch.books.balance("card-1111")

    assert code(switch, desk, request()) == "00"
    assert code(switch, desk, request()) == "94"
    assert switch.books.balance("card-1111") == before - 10_000


def test_a_deposit_gives_and_a_balance_inquiry_moves_nothing() -> None:
    switch, desk = bank()
    before = switch.books.balance("1")

    assert code(switch, desk, request(f3="210000", f102="1")) == "00"
    answer = switch.handle(request(102, f3="310000", f102="1"), desk).answer

    assert answer is not None
    assert answer.fields[54] == f"001360{before + 10_000:012d}"
    assert switch.books.balance("1") == before + 10_000


def test_without_the_money_there_is_51() -> None:
    switch, desk = bank()

    assert code(switch, desk, request(amount="999999999900")) == "51"


def test_a_reversal_gives_the_money_back_once() -> None:
    switch, desk = bank()
    before = switch.books.balance("card-1111")
    switch.handle(request(), desk)

    assert code(switch, desk, reversal_of(request())) == "00"
    assert code(switch, desk, reversal_of(request(), mti="0421")) == "94"
    assert switch.books.balance("card-1111") == before


def test_a_repeated_reversal_undoes_what_was_approved_meanwhile() -> None:
    switch, desk = bank()
    before = switch.books.balance("card-1111")

    assert code(switch, desk, reversal_of(request())) == "25"
    switch.handle(request(), desk)
    switch.handle(reversal_of(request(), mti="0421"), desk)

    assert switch.books.balance("card-1111") == before


@pytest.mark.parametrize("ending", sorted(DECLINES))
def test_some_amounts_are_declined(ending: str) -> None:
    switch, desk = bank()

    assert code(switch, desk, request(amount=f"0000000100{ending}")) == ending
    assert not switch.books.balances()


@pytest.mark.parametrize("ending", sorted(BEHAVIOURS))
def test_some_amounts_are_approved_and_answered_badly(ending: str) -> None:
    switch, desk = bank()

    decision = switch.handle(request(amount=f"0000000100{ending}"), desk)

    assert decision.behaviour is BEHAVIOURS[ending] is not Behaviour.ANSWER
    assert switch.books.balances()


def test_reversals_can_be_refused_or_met_with_silence() -> None:
    switch, desk = bank(reversals="57")
    assert code(switch, desk, reversal_of(request())) == "57"

    switch, desk = bank(reversals="silent")
    assert switch.handle(reversal_of(request()), desk).answer is None


@pytest.mark.parametrize(("pin", "answered"), [("1234", "00"), ("0000", "55")])
def test_the_pin_0000_is_wrong(pin: str, answered: str) -> None:
    switch, desk = bank()
    block = encrypt_pin_block(PIN_KEY, iso0_pin_block(pin, PAN)).hex().upper()

    assert code(switch, desk, request(f123=block)) == answered


def test_an_unknown_message_is_invalid() -> None:
    switch, desk = bank()

    assert code(switch, desk, Message("0600", request_fields())) == "12"
    assert code(switch, desk, Message("0800", {11: "1", 70: "888"})) == "12"


def test_its_books_survive_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "books.jsonl"
    with Books.kept_in(path) as books:
        switch, desk = Switch(BANK, books), Desk(signed_on=True)
        switch.handle(request(101), desk)
        switch.handle(request(102), desk)
        switch.handle(reversal_of(request(101)), desk)

    with Books.kept_in(path) as again:
        assert again.balances() == books.balances()
        assert code(Switch(BANK, again), Desk(signed_on=True), request(102)) == "94"
        assert code(Switch(BANK, again), Desk(signed_on=True), reversal_of(request(101), mti="0421")) == "94"


def test_its_books_hold_no_card_number(tmp_path: Path) -> None:
    with Books.kept_in(tmp_path / "books.jsonl") as books:
        Switch(BANK, books).handle(request(), Desk(signed_on=True))

    assert PAN not in (tmp_path / "books.jsonl").read_text()


class TestWhatFollowsAPayment:
    def test_an_authorisation_holds_and_its_capture_takes_of_that(self) -> None:
        switch, desk = bank()
        before = switch.books.balance("card-1111")
        authorised = Message("0100", request().fields)
        assert code(switch, desk, authorised) == "00"

        assert code(switch, desk, follow_up(authorised, "0220", 102, "000000004000")) == "00"
        assert switch.books.balance("card-1111") == before - 10000
        assert code(switch, desk, follow_up(authorised, "0220", 103, "000000007000")) == "00"
        assert switch.books.balance("card-1111") == before - 11000

    def test_a_refund_gives_back_what_was_paid_and_no_more(self) -> None:
        switch, desk = bank()
        before = switch.books.balance("card-1111")
        paid = request()
        assert code(switch, desk, paid) == "00"
        refunds = [follow_up(paid, "0200", stan, "000000006000", f3="200000") for stan in (102, 103)]

        assert [code(switch, desk, refund) for refund in refunds] == ["00", "13"]
        assert switch.books.balance("card-1111") == before - 4000
        assert code(switch, desk, reversal_of(refunds[0])) == "00"
        assert switch.books.balance("card-1111") == before - 10000

    def test_a_void_undoes_the_whole_once_and_is_known_when_it_is_repeated(self) -> None:
        switch, desk = bank()
        before = switch.books.balance("card-1111")
        paid = request()
        assert code(switch, desk, paid) == "00"

        assert code(switch, desk, follow_up(paid, "0400", 102)) == "00"
        assert code(switch, desk, follow_up(paid, "0401", 102)) == "94"
        assert code(switch, desk, follow_up(paid, "0400", 103)) == "25"
        assert switch.books.balance("card-1111") == before

    def test_what_was_captured_is_not_voided_and_a_refusal_stays_one(self) -> None:
        switch, desk = bank()
        authorised = Message("0100", request().fields)
        code(switch, desk, authorised)
        code(switch, desk, follow_up(authorised, "0220", 102))

        assert code(switch, desk, follow_up(authorised, "0400", 103)) == "12"
        assert code(switch, desk, follow_up(authorised, "0401", 103)) == "12"

    def test_what_follows_survives_a_restart(self, tmp_path: Path) -> None:
        paid = request()
        with Books.kept_in(tmp_path / "books") as books:
            switch = Switch(BANK, books)
            desk = Desk(signed_on=True)
            code(switch, desk, paid)
            code(switch, desk, follow_up(paid, "0200", 102, "000000010000", f3="200000"))
        with Books.kept_in(tmp_path / "books") as books:
            switch = Switch(BANK, books)
            assert code(switch, Desk(signed_on=True), follow_up(paid, "0200", 103, "000000000001", f3="200000")) == "13"
