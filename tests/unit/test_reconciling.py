"""The bank's lines and our attempts: each lands in exactly one finding, and what differs is said."""

import io
import uuid
from collections import Counter
from contextlib import suppress
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transactions.reports import host_lines
from transactions.reports.host_lines import Line, WrongFile, read
from transactions.reports.matching import Ours, Verdict, match
from transactions.reports.settlement import Standing

DAY = date(2026, 11, 20)


def line(number: int = 2, **changes: Any) -> Line:
    given: dict[str, Any] = {"rrn": "632511000001", "stan": 1, "local_date": DAY, "amount_minor": 100}
    return Line(
        **{"number": number, **given, "currency": "IDR", "operation": "purchase", "is_approved": True, **changes}
    )


def ours(**changes: Any) -> Ours:
    given: dict[str, Any] = {"payment_id": uuid.UUID(int=1), "rrns": ("632511000001",), "stan": 1, "local_date": DAY}
    rest = {"amount_minor": 100, "currency": "IDR", "operation": "purchase", "standing": Standing.APPROVED}
    return Ours(**{**given, **rest, **changes})


def verdicts(attempts: list[Ours], lines: list[Line]) -> list[str]:
    return [str(finding.verdict) for finding in match(attempts, lines)]


BACK: dict[str, Any] = {"operation": "reversal", "number": 3}


@pytest.mark.parametrize(
    ("attempt", "lines", "expected"),
    [
        ({}, [{}], "agrees"),
        ({}, [], "ours_only"),
        ({}, [{"amount_minor": 99}], "amount"),
        ({}, [{"currency": "USD"}], "amount"),
        ({}, [{"is_approved": False}], "state"),
        ({}, [{"operation": "refund"}], "state"),
        ({}, [{}, BACK], "state"),
        ({}, [{}, {**BACK, "is_approved": False}], "agrees"),
        ({"standing": Standing.REVERSED}, [{}, BACK], "agrees"),
        ({"standing": Standing.REVERSED}, [{}], "state"),
        ({"standing": Standing.UNDONE}, [], "agrees"),
        ({"standing": Standing.UNDONE}, [BACK], "agrees"),
        ({"standing": Standing.DECLINED}, [], "agrees"),
        ({"standing": Standing.DECLINED}, [{"is_approved": False, "amount_minor": 7}], "agrees"),
        ({"standing": Standing.DECLINED}, [{}], "state"),
        ({"standing": Standing.OPEN}, [{}], "state"),
        ({"operation": "balance_inquiry", "amount_minor": 0}, [], "agrees"),
        ({"rrns": ("000000000000",)}, [{"rrn": ""}], "agrees"),
        ({"rrns": ("000000000000", "632511000001"), "stan": 9}, [{}], "agrees"),
    ],
)
def test_one_attempt(attempt: dict[str, Any], lines: list[dict[str, Any]], expected: str) -> None:
    assert verdicts([ours(**attempt)], [line(**{"number": 2, **one}) for one in lines]) == [expected]


def test_a_void_and_its_payment_each_find_their_line() -> None:
    voided = ours(is_voided=True)
    void = ours(payment_id=uuid.UUID(int=2), operation="void", stan=2)

    assert verdicts([voided, void], [line(2), line(**BACK)]) == ["agrees", "agrees"]
    assert verdicts([void, voided], [line(2), line(**BACK)]) == ["agrees", "agrees"]


def test_the_same_line_twice_is_theirs_the_second_time() -> None:
    assert verdicts([ours()], [line(2), line(3)]) == ["agrees", "theirs_only"]


def test_the_line_that_differs_least_is_taken() -> None:
    first, *rest = match([ours()], [line(2, amount_minor=7), line(3)])

    assert (first.verdict, first.lines[0].number, len(rest)) == (Verdict.AGREES, 3, 1)


_rrns = st.sampled_from(["", "632511000001", "632511000002"])
_lines = st.lists(
    st.builds(
        line,
        rrn=_rrns,
        stan=st.sampled_from([None, 1, 2]),
        amount_minor=st.sampled_from([100, 200]),
        operation=st.sampled_from(["purchase", "refund", "void", "reversal"]),
        is_approved=st.booleans(),
    ),
    max_size=8,
)
_ours = st.lists(
    st.builds(
        ours,
        payment_id=st.uuids(),
        rrns=st.lists(_rrns.filter(bool), max_size=2).map(tuple),
        stan=st.sampled_from([1, 2]),
        amount_minor=st.sampled_from([100, 200]),
        operation=st.sampled_from(["purchase", "refund", "void", "balance_inquiry"]),
        standing=st.sampled_from(Standing),
        is_voided=st.booleans(),
    ),
    max_size=8,
    unique_by=lambda one: one.payment_id,
)


@given(_ours, _lines)
def test_every_line_of_both_sides_lands_in_exactly_one_finding(attempts: list[Ours], lines: list[Line]) -> None:
    numbered = [line(n, **{name: getattr(one, name) for name in _NAMES}) for n, one in enumerate(lines, 2)]

    found = list(match(attempts, numbered))

    assert Counter(one.ours for one in found if one.ours) == Counter(attempts)
    assert sorted(one.number for finding in found for one in finding.lines) == [one.number for one in numbered]
    for finding in found:
        assert (finding.verdict is Verdict.THEIRS_ONLY) is (finding.ours is None)
        assert finding.verdict is not Verdict.OURS_ONLY or not finding.lines


_NAMES = ("rrn", "stan", "local_date", "amount_minor", "currency", "operation", "is_approved")
HEAD = "rrn,stan,local_date,amount,currency,operation,response\n"
GOOD = "632511000001,1,2026-11-20,1.00,IDR,purchase,00\n"


def lines(body: str | bytes) -> list[Line]:
    return list(read(io.BytesIO(body.encode() if isinstance(body, str) else body)))


def wrong(body: str | bytes) -> list[tuple[int, str, str]]:
    with pytest.raises(WrongFile) as refused:
        lines(body)
    return [(one.line, one.column, one.code) for one in refused.value.wrongs]


class TestReading:
    def test_a_line(self) -> None:
        assert lines(HEAD + GOOD) == [line()]

    def test_columns_in_any_order_beside_others_and_with_a_mark(self) -> None:
        body = "\ufeffpan,Response,operation,currency,amount,rrn\n4111111111111111,51,transfer,392,500,632511000001\n\n"

        (found,) = lines(body)

        assert (found.currency, found.amount_minor, found.is_approved, found.stan) == ("JPY", 500, False, None)

    @pytest.mark.parametrize(
        ("cells", "column"),
        [
            ("4111111111111111,1,2026-11-20,1.00,IDR,purchase,00", "rrn"),
            (",1,,1.00,IDR,purchase,00", "rrn"),
            (",1234567,2026-11-20,1.00,IDR,purchase,00", "stan"),
            (",1,20-11-2026,1.00,IDR,purchase,00", "local_date"),
            (",1,2026-02-30,1.00,IDR,purchase,00", "local_date"),
            ("632511000001,,,1.001,IDR,purchase,00", "amount"),
            ("632511000001,,,-1,IDR,purchase,00", "amount"),
            ("632511000001,,,1e3,IDR,purchase,00", "amount"),
            ("632511000001,,,٣,IDR,purchase,00", "amount"),
            ("632511000001,,,1.5,JPY,purchase,00", "amount"),
            ("632511000001,,,999999999999,IDR,purchase,00", "amount"),
            ("632511000001,,,1,XXX,purchase,00", "currency"),
            ("632511000001,,,1,IDR,gift,00", "operation"),
            ("632511000001,,,1,IDR,purchase,0", "response"),
            ("632511000001,,", ""),
        ],
    )
    def test_a_wrong_cell_is_told_by_its_place(self, cells: str, column: str) -> None:
        assert [one[:2] for one in wrong(HEAD + GOOD + cells)] == [(3, column)]

    def test_what_cannot_be_a_file(self) -> None:
        assert wrong("")[0][2] == "missing"
        assert wrong(HEAD)[0][2] == "empty"
        assert wrong("rrn,rrn,amount\n")[0][2] == "twice"
        assert wrong(b"\xff\xfe")[0][2] == "not_utf8"
        assert wrong(HEAD + '"never closed')[0][2] == "not_csv"
        assert wrong(HEAD + "x" * 20_000)[0][2] == "not_csv"

    def test_more_lines_than_a_day_has(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(host_lines, "MOST_LINES", 3)

        assert len(lines(HEAD + GOOD * 3)) == 3
        assert wrong(HEAD + GOOD * 4)[0][2] == "too_many_lines"

    def test_only_the_first_wrong_lines_are_told(self) -> None:
        assert len(wrong(HEAD + ",,,,,,\nx,,,,,,\n" * 500)) == 20

    @given(st.binary(max_size=300))
    def test_whatever_comes_is_read_or_refused(self, body: bytes) -> None:
        for whole in (body, HEAD.encode() + body):
            with suppress(WrongFile):
                assert lines(whole)
