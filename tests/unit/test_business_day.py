"""The host's business date as its answers tell it: read, compared with ours, and taken over only forwards."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.codec.dates import read_date, write_date
from processor.codec.dialects import DIALECTS
from processor.codec.message import Message, decode, encode
from processor.link import business_day
from processor.link import events as ev
from processor.link.business_day import MOST_AHEAD, BusinessDay
from processor.link.machine import Machine
from processor.simulator.accounts import Books
from processor.simulator.switch import Desk, Switch
from tests.builders import BANK, moment, outgoing, request_fields
from tests.unit.test_machine import frame, of, up

TODAY = date(2026, 11, 20)
days = st.dates(date(1990, 1, 1), date(2100, 12, 31))


@given(day=days, near=days, digits=st.sampled_from([4, 6]))
def test_a_date_is_read_as_the_nearest_that_it_names(day: date, near: date, digits: int) -> None:
    text = write_date(day, digits)

    read = read_date(text, near)

    assert read is not None
    assert write_date(read, digits) == text
    assert abs(read - near) <= abs(day - near)


@pytest.mark.parametrize(
    ("text", "near", "day"),
    [
        ("0101", date(2026, 12, 31), date(2027, 1, 1)),
        ("1231", date(2027, 1, 1), date(2026, 12, 31)),
        ("0229", date(2028, 3, 1), date(2028, 2, 29)),
        ("000101", date(2099, 12, 31), date(2100, 1, 1)),
    ],
)
def test_a_year_that_is_left_out_turns_with_the_calendar(text: str, near: date, day: date) -> None:
    assert read_date(text, near) == day


@pytest.mark.parametrize(
    "text", ["", "0000", "1301", "0230", "0229", "112", "11200", "１１２０", "ab12", "-101", "+1+1"]
)
def test_what_names_no_day_is_none(text: str) -> None:
    assert read_date(text, date(2026, 6, 1)) is None


class TestWhatAnAnswerTells:
    def test_a_newer_date_is_news_once(self) -> None:
        day = BusinessDay()
        day.begin(TODAY)

        assert day.hear("1121", TODAY) == date(2026, 11, 21)
        assert day.hear("1120", TODAY) is None
        assert day.hear("1121", TODAY) is None

    @pytest.mark.parametrize("told", ["1120", "1119", "1128", "0520", "9999", None])
    def test_ours_an_older_one_one_far_ahead_and_none_are_no_news(self, told: str | None) -> None:
        day = BusinessDay()
        day.begin(TODAY)

        assert day.hear(told, TODAY) is None

    def test_after_a_long_pause_the_calendar_says_how_far_is_far(self) -> None:
        day = BusinessDay()
        day.begin(TODAY - timedelta(days=90))

        assert day.hear("1120", TODAY) == TODAY

    def test_before_ours_is_known_nothing_is_news(self) -> None:
        assert BusinessDay().hear("1121", TODAY) is None

    @given(told=st.lists(st.one_of(days.map(lambda day: write_date(day, 4)), st.text(max_size=5)), max_size=30))
    def test_it_never_goes_back_and_never_leaps_too_far(self, told: list[str]) -> None:
        day, ours = BusinessDay(), TODAY
        day.begin(ours)

        for text in told:
            if (news := day.hear(text, TODAY)) is not None:
                assert ours < news <= max(ours, TODAY) + MOST_AHEAD
                ours = news


def answer(stan: int, told: str | None = "1121") -> bytes:
    fields = {**request_fields(stan), 39: "00"} | ({15: told} if told else {})
    return frame("0210", fields)


def machine_of(stans: list[int]) -> Machine:
    machine = up()
    machine.business_day.begin(TODAY)
    machine.send([outgoing(stan) for stan in stans], moment())
    return machine


def test_the_link_says_when_an_answer_tells_of_a_cut_over_it_missed() -> None:
    machine = machine_of([101, 102])

    events = machine.receive(answer(101) + answer(102), moment())

    assert [type(event) for event in events] == [ev.Answered, ev.BusinessDateTold, ev.Answered]
    assert of(ev.BusinessDateTold, events) == [ev.BusinessDateTold(date(2026, 11, 21))]


def test_an_answer_that_nobody_waits_for_tells_nothing() -> None:
    assert not of(ev.BusinessDateTold, machine_of([101]).receive(answer(999), moment()))


def test_what_was_told_before_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    monkeypatch.setattr(business_day, "read_date", lambda text, near: read.append(text))
    machine = machine_of([101, 102, 103])

    machine.receive(answer(101, "1120") + answer(102, "1120") + answer(103, "1120"), moment())

    assert read == ["1120"]


@pytest.mark.parametrize("name", DIALECTS)
def test_the_simulated_bank_tells_its_date_in_every_dialect(name: str) -> None:
    dialect = DIALECTS[name]
    switch = Switch(dialect, Books(None))
    switch.books.open_day(date(2026, 11, 21))
    fields = {number: value for number, value in request_fields().items() if number not in dialect.local_time}
    asked = Message(dialect.mti["request"], {**fields, **dialect.constants.get("request", {})})

    said = switch.handle(asked, Desk(signed_on=True)).answer

    assert said is not None
    told = decode(encode(said, dialect), dialect).get(15)
    assert told is not None
    assert read_date(told, TODAY) == date(2026, 11, 21)
    assert switch.handle(Message("0800", {11: "000001", 70: "301"}), Desk()).answer.get(15) is None  # type: ignore[union-attr]


def test_a_bank_that_keeps_no_date_tells_none() -> None:
    said = Switch(BANK, Books(None)).handle(Message("0200", request_fields()), Desk(signed_on=True)).answer

    assert said is not None
    assert said.get(15) is None
