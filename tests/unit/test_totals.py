"""A business date as the bank's host counts it: the settlement's own figures, by debit and credit."""

from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from processor.link.reconciliation import Totals
from transactions.domain.values import Operation, Outcome, Undoing
from transactions.reports.settlement import nets, tallies
from transactions.reports.totals import Gap, differs_in_reversed_only, gaps, totals


@dataclass
class Counted:
    operation: str
    amount: int = 100
    outcome: str = Outcome.APPROVED
    undoing: str = Undoing.NONE
    original: str | None = None
    attempts: int = 1
    currency: str = "IDR"


def of(*counted: Counted) -> Totals:
    return totals(counted)["IDR"]


def test_what_takes_is_a_debit_and_what_gives_a_credit() -> None:
    taking = [Counted(name) for name in ("purchase", "withdrawal", "transfer", "bill_payment", "capture")]

    found = of(*taking, Counted("refund", 30), Counted("deposit", 20), Counted("authorisation", 900))

    assert found == Totals(debits=5, debits_minor=500, credits=2, credits_minor=50)


def test_what_was_reversed_counts_twice_and_leaves_nothing() -> None:
    found = of(Counted("purchase", undoing=Undoing.ACCEPTED), Counted("refund", 30, undoing=Undoing.ACCEPTED))

    assert (found.debits, found.debit_reversals, found.credits, found.credit_reversals) == (1, 1, 1, 1)
    assert found.net_minor == 0


def test_a_void_is_a_reversal_and_one_that_was_undone_is_nothing() -> None:
    paid = Counted("purchase")

    assert of(paid, Counted("void", original="purchase")).debit_reversals_minor == 100
    assert of(paid, Counted("void", original="purchase", undoing=Undoing.ACCEPTED)).debit_reversals == 0
    assert of(paid, Counted("void", original="authorisation")).debit_reversals == 0
    assert of(Counted("refund"), Counted("void", original="refund")).credit_reversals == 1


def test_what_is_not_over_was_refused_or_was_undone_unseen_is_not_counted() -> None:
    found = of(
        Counted("purchase", outcome=Outcome.OPEN),
        Counted("purchase", outcome=Outcome.DECLINED),
        Counted("purchase", outcome=Outcome.UNKNOWN, undoing=Undoing.ACCEPTED),
        Counted("purchase", undoing=Undoing.OPEN),
    )

    assert found == Totals()


def test_currencies_stay_apart() -> None:
    found = totals([Counted("purchase"), Counted("purchase", 7, currency="JPY")])

    assert {currency: one.debits_minor for currency, one in found.items()} == {"IDR": 100, "JPY": 7}


@given(
    st.lists(
        st.builds(
            Counted,
            operation=st.sampled_from([one.value for one in Operation]),
            amount=st.integers(0, 10**12),
            outcome=st.sampled_from(Outcome),
            undoing=st.sampled_from(Undoing),
            original=st.sampled_from(["purchase", "refund", "authorisation", "capture"]),
            attempts=st.integers(1, 50),
            currency=st.sampled_from(["IDR", "JPY"]),
        )
    )
)
def test_the_net_is_the_settlement_reports_to_the_unit(counted: list[Counted]) -> None:
    assert {currency: one.net_minor for currency, one in totals(counted).items()} == nets(tallies(counted))


def test_a_gap_is_how_much_more_the_host_counts() -> None:
    ours, theirs = Totals(debits=3, debits_minor=300, credits=1), Totals(debits=5, debits_minor=200, credits=1)

    assert gaps(ours, theirs) == [Gap("debits", 2, -100)]
    assert gaps(ours, ours) == []


def test_what_the_host_counts_twice_is_told_from_a_net_that_happens_to_be_the_same() -> None:
    ours = Totals(debits=3, debits_minor=300)
    undone_unseen = Totals(debits=4, debits_minor=400, debit_reversals=1, debit_reversals_minor=100)
    both_ways = Totals(debits=4, debits_minor=400, credits=1, credits_minor=100)

    assert both_ways.net_minor == ours.net_minor
    assert differs_in_reversed_only(gaps(ours, undone_unseen))
    assert not differs_in_reversed_only(gaps(ours, both_ways))
    assert not differs_in_reversed_only(gaps(undone_unseen, ours))
