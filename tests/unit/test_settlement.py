"""What a business date came to: every attempt counts once, and money counts the way it moved."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transactions.domain.values import Operation, Outcome, Undoing
from transactions.reports.settlement import Standing, nets, sign_of, standing, tallies


@dataclass
class Counted:
    operation: str
    amount: int
    outcome: str = Outcome.APPROVED
    undoing: str = Undoing.NONE
    original: str | None = None
    attempts: int = 1
    currency: str = "IDR"


def net(*counted: Counted) -> int:
    return nets(tallies(counted)).get("IDR", 0)


def test_what_was_approved_less_what_was_reversed() -> None:
    kept, undone = Counted("purchase", 500), Counted("purchase", 200, undoing=Undoing.ACCEPTED)

    (tally,) = tallies([kept, undone])

    assert (tally.approved_minor, tally.reversed_minor, tally.net_minor) == (700, 200, 500)
    assert (tally.approved, tally.reversed, tally.net) == (2, 1, 1)


def test_what_nobody_answered_and_was_undone_moved_nothing() -> None:
    (tally,) = tallies([Counted("purchase", 500, Outcome.UNKNOWN, Undoing.ACCEPTED)])

    assert (tally.approved, tally.reversed, tally.undone, tally.net_minor) == (0, 0, 1, 0)


def test_an_approval_that_is_being_undone_is_open_and_no_part_of_the_net() -> None:
    (tally,) = tallies([Counted("purchase", 500, undoing=Undoing.OPEN)])

    assert (tally.open, tally.net_minor) == (1, 0)


def test_a_capture_takes_and_a_refund_gives_back() -> None:
    assert net(Counted("authorisation", 900), Counted("capture", 700), Counted("refund", 300)) == 400


@pytest.mark.parametrize(("original", "left"), [("purchase", 0), ("capture", 0), ("authorisation", 500)])
def test_a_void_moves_back_what_its_original_moved(original: str, left: int) -> None:
    voided = [Counted("authorisation", 500), Counted("capture", 500)] if original != "purchase" else []
    first = voided or [Counted("purchase", 500)]

    assert net(*first, Counted("void", 500, original=original)) == left


def test_currencies_are_never_added_up() -> None:
    found = tallies([Counted("purchase", 500), Counted("purchase", 7, currency="JPY")])

    assert nets(found) == {"IDR": 500, "JPY": 7}


def test_what_never_left_is_no_line() -> None:
    assert tallies([Counted("purchase", 500, Outcome.UNSENT)]) == []


@given(st.sampled_from(Outcome), st.sampled_from(Undoing))
def test_money_stands_only_where_the_bank_approved_and_nothing_undoes_it(outcome: Outcome, undoing: Undoing) -> None:
    assert standing(outcome, undoing).stands is (outcome is Outcome.APPROVED and undoing is Undoing.NONE)


@given(
    st.lists(
        st.builds(
            Counted,
            operation=st.sampled_from([one.value for one in Operation if one is not Operation.VOID]),
            amount=st.integers(0, 10**12),
            outcome=st.sampled_from(Outcome),
            undoing=st.sampled_from(Undoing),
            attempts=st.integers(1, 50),
        )
    )
)
def test_every_attempt_is_counted_once(counted: list[Counted]) -> None:
    shown = sum(tally.net + tally.reversed + tally.undone + tally.declined + tally.open for tally in tallies(counted))
    nothing = sum(one.attempts for one in counted if standing(one.outcome, one.undoing) is Standing.NOTHING)

    assert shown + nothing == sum(one.attempts for one in counted)


def test_every_operation_has_a_sign() -> None:
    assert {sign_of(operation, "purchase") for operation in Operation} == {-1, 0, 1}
