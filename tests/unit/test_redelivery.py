"""When a webhook that was not taken is sent again."""

import math
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from queueing.retry import WEBHOOK_TOTAL_S, decide_redelivery
from transactions.webhooks.patience import asked_s

ROLLS = st.floats(0, 1, exclude_max=True)
SIX_HOURS = 6 * 3600
AT = datetime(2026, 11, 21, 20, 0, tzinfo=UTC)


@given(st.lists(ROLLS, min_size=60, max_size=60))
def test_it_is_tried_for_three_days_and_then_no_more(rolls: list[float]) -> None:
    since_s, tries = 0.0, 1
    while (decision := decide_redelivery(tries, since_s, rolls[tries % 60])).again:
        assert decision.after_s > 0
        since_s += decision.after_s
        tries += 1

    assert math.isclose(since_s, WEBHOOK_TOTAL_S), "the last try is made when the three days are over"
    assert 15 <= tries <= 30


@given(st.integers(1, 1000), st.floats(0, WEBHOOK_TOTAL_S, exclude_max=True), ROLLS)
def test_pauses_grow_up_to_hours_and_are_spread(tries: int, since_s: float, roll: float) -> None:
    pause = decide_redelivery(tries, since_s, roll).after_s
    longest = min(5 * 3.0 ** min(tries - 1, 16), 6 * 3600)
    assert pause <= longest * 1.2
    assert pause >= min(longest * 0.8, WEBHOOK_TOTAL_S - since_s) * 0.999


def test_two_receivers_that_failed_together_are_not_tried_together() -> None:
    assert decide_redelivery(5, 100, 0.1).after_s != decide_redelivery(5, 100, 0.9).after_s


@given(st.integers(1, 1000), st.floats(0, WEBHOOK_TOTAL_S, exclude_max=True), ROLLS, st.floats(0, allow_nan=False))
def test_who_asks_for_quiet_has_it_up_to_the_longest_pause(
    tries: int, since_s: float, roll: float, asked: float
) -> None:
    usual = decide_redelivery(tries, since_s, roll).after_s
    pause = decide_redelivery(tries, since_s, roll, asked).after_s

    assert pause >= min(usual, WEBHOOK_TOTAL_S - since_s), "asking for less does not hurry"
    assert pause >= min(asked, SIX_HOURS, WEBHOOK_TOTAL_S - since_s)
    assert pause <= min(SIX_HOURS * 1.2, WEBHOOK_TOTAL_S - since_s)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("9" * 5000, math.inf),
        ("Sat, 21 Nov 2026 20:02:00 GMT", 120),
        ("Saturday, 21-Nov-26 20:02:00 GMT", 120),
        ("Sat Nov 21 20:02:00 2026", 120),
        ("Sat, 21 Nov 2026 19:00:00 GMT", 0),
        ("", 0),
        ("-5", 0),
        ("1.5", 0),
        ("soon", 0),
        ("\u0661\u0662", 0),
        ("Sat, 99 Nov 2026 20:02:00 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float) -> None:
    assert asked_s(503, header, AT) == seconds


@pytest.mark.parametrize(("code", "seconds"), [(429, 60), (503, 60), (500, 0), (301, 0), (200, 0)])
def test_only_too_many_and_not_now_are_asked_how_long(code: int, seconds: float) -> None:
    assert asked_s(code, "60", AT) == seconds


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_date_is_understood(until: datetime) -> None:
    waited = asked_s(429, format_datetime(until, usegmt=True), AT)
    assert waited == max(0.0, (until.replace(microsecond=0) - AT).total_seconds())


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2}, \d{1,20} [A-Z][a-z]{2} \d{1,20} \d{1,9}:\d\d:\d\d [-+]?\w{1,12}"))
def test_no_header_breaks_it(header: str) -> None:
    assert asked_s(503, header, AT) >= 0
