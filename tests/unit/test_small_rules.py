"""Rules of a few lines: retry, reconnecting, matching, the rate of a key, money."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.codec.dialects import DIALECTS
from processor.codec.message import Message
from processor.link.backoff import reconnect_delay
from processor.link.matching import match_key
from queueing.retry import Failure, RetryPolicy, decide_retry
from tests.builders import BANK, request_fields
from transactions.api.throttle import Bucket
from transactions.domain.money import MAX_AMOUNT, Money, exponent, is_currency, letters_of, numeric_code

rolls = st.floats(0, 1, exclude_max=True)


@pytest.mark.parametrize(("tries", "seconds"), [(1, 1), (2, 2), (3, 4), (4, 8)])
def test_what_was_not_sent_is_tried_again_after_doubling_pauses(tries: int, seconds: float) -> None:
    assert decide_retry(Failure.UNSENT, tries, 0.5).after_s == seconds


@pytest.mark.parametrize(("failure", "limit"), [(Failure.UNSENT, 5), (Failure.HOST, 3)])
def test_tries_have_a_limit(failure: Failure, limit: int) -> None:
    assert decide_retry(failure, limit - 1, 0.5).again
    assert not decide_retry(failure, limit, 0.5).again


def test_limits_and_pauses_are_the_installations_to_set() -> None:
    policy = RetryPolicy(unsent=2, business=2, first_s=4, longest_s=6, total_s=60)

    assert decide_retry(Failure.BUSINESS, 1, 0.5, policy).after_s == 4
    assert not decide_retry(Failure.UNSENT, 2, 0.5, policy).again
    assert decide_retry(Failure.HOST, 2, 0.5, policy).after_s == 6
    assert not decide_retry(Failure.HOST, 2, 0.5, policy, since_s=55).again
    assert decide_retry(Failure.OWED, 99, 0.5, policy, since_s=1e9).again


def test_a_decline_for_the_customers_own_reasons_is_never_tried_again_by_itself() -> None:
    assert not decide_retry(Failure.BUSINESS, 1, 0.5).again


@given(tries=st.integers(1, 10_000), roll=rolls)
def test_what_is_owed_is_repeated_for_ever_and_ever_more_slowly(tries: int, roll: float) -> None:
    decision = decide_retry(Failure.OWED, tries, roll)

    assert decision.again
    assert 0.8 <= decision.after_s <= 360


@given(failures=st.integers(0, 10_000), roll=rolls)
def test_reconnecting_never_waits_more_than_half_a_minute(failures: int, roll: float) -> None:
    assert 0 < reconnect_delay(failures, roll) <= 30


def test_a_request_and_its_answer_have_the_same_key() -> None:
    request, answer = Message("0200", request_fields()), Message("0210", {**request_fields(), 39: "00"})

    assert match_key(request, BANK) == match_key(answer, BANK) == "02:000101:1120120000:ATM-001"


def test_a_reversal_has_another_key_than_its_original() -> None:
    assert match_key(Message("0420", request_fields()), BANK) != match_key(Message("0200", request_fields()), BANK)


def test_a_message_without_its_identity_has_no_key() -> None:
    assert match_key(Message("0210", {11: "000001"}), BANK) is None
    assert match_key(Message("0610", request_fields()), DIALECTS["iso87-ascii"]) is None


def test_a_bucket_lets_a_burst_through_and_then_its_rate() -> None:
    bucket = Bucket(rate=10, burst=2, now=0)

    assert [bucket.take(0), bucket.take(0)] == [0, 0]
    assert bucket.take(0) == pytest.approx(0.1)
    assert bucket.take(0.1) == 0


@pytest.mark.parametrize(
    ("money", "written"),
    [
        (Money(123456, "IDR"), "IDR 1,234.56"),
        (Money(5, "JPY"), "JPY 5"),
        (Money(1234567, "KWD"), "KWD 1,234.567"),
        (Money(-150, "IDR"), "IDR -1.50"),
    ],
)
def test_an_amount_is_written_in_its_currencys_form(money: Money, written: str) -> None:
    assert str(money) == written


@given(st.integers(-MAX_AMOUNT, MAX_AMOUNT), st.sampled_from(["IDR", "JPY", "KWD", "CLF"]))
def test_an_amount_can_be_read_back_from_what_is_written_whatever_its_sign(amount_minor: int, currency: str) -> None:
    letters, written = str(Money(amount_minor, currency)).split(" ")

    assert (letters, Decimal(written.replace(",", ""))) == (currency, Decimal(amount_minor).scaleb(-exponent(currency)))
    assert str(Money(-amount_minor, currency)) == f"{letters} {flipped(written)}"


def flipped(written: str) -> str:
    """The same amount on the other side of zero, which has one side."""
    if not written.strip("0."):
        return written
    return written.removeprefix("-") if written.startswith("-") else f"-{written}"


def test_currencies_are_those_of_iso_4217() -> None:
    assert numeric_code("IDR") == "360"
    assert letters_of("360") == "IDR"
    assert not is_currency("XAU")
    assert not is_currency("idr")
