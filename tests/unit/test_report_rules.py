"""The rules of the reports: bands, percentiles, what success is, hours by a clock, and how long a period may be."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transactions.domain.money import MAX_AMOUNT
from transactions.domain.values import FINAL, Status
from transactions.reports import bands, hours
from transactions.reports.period import LONGEST, Asked, is_too_long, usual
from transactions.reports.shares import OF_TIMES, percentiles
from transactions.reports.success import ends_by

DAY = date(2026, 11, 21)


class TestBands:
    @given(st.integers(0, MAX_AMOUNT))
    def test_every_amount_lies_in_the_band_that_is_said(self, amount: int) -> None:
        low, end = bands.limits(bands.band_of(amount))

        assert low <= amount < end

    @given(st.integers(0, MAX_AMOUNT), st.integers(0, MAX_AMOUNT))
    def test_a_larger_amount_lies_in_no_lower_band(self, one: int, other: int) -> None:
        assert (one <= other) <= (bands.band_of(one) <= bands.band_of(other))

    def test_they_meet_without_a_gap(self) -> None:
        every = [bands.limits(band) for band in range(len(bands.BOUNDS) + 1)]

        assert [end for _, end in every[:-1]] == [low for low, _ in every[1:]]
        assert every[-1][1] > MAX_AMOUNT

    @pytest.mark.parametrize(
        ("amount", "currency", "called"),
        [
            (10_000_000, "IDR", "100,000 – 200,000"),
            (19_999_999, "IDR", "100,000 – 200,000"),
            (20_000_000, "IDR", "200,000 – 500,000"),
            (7, "USD", "0.05 – 0.1"),
            (1500, "JPY", "1,000 – 2,000"),
            (1500, "BHD", "1 – 2"),
            (0, "IDR", ""),
        ],
    )
    def test_a_band_is_called_in_its_currencys_unit(self, amount: int, currency: str, called: str) -> None:
        assert bands.called(bands.band_of(amount), currency) == called

    def test_a_band_in_which_nothing_lies_is_between_two(self) -> None:
        assert list(bands.spanned({3, 6})) == [3, 4, 5, 6]
        assert list(bands.spanned(set())) == []


class TestPercentiles:
    @given(st.lists(st.integers(0, 50), min_size=1), st.floats(0.01, 1).map(lambda share: round(share, 2)))
    def test_it_is_the_lowest_that_so_many_do_not_exceed(self, values: list[int], share: float) -> None:
        (found,) = percentiles(Counter(values), [share])

        def reached(value: int) -> bool:
            return 100 * sum(one <= value for one in values) >= round(100 * share) * len(values)

        assert found in values
        assert reached(found)
        assert not any(reached(lower) for lower in values if lower < found)

    @given(st.lists(st.integers(0, 10**12), min_size=1))
    def test_they_rise(self, values: list[int]) -> None:
        found = percentiles(Counter(values), OF_TIMES)

        assert found == sorted(found)
        assert min(values) <= found[0] <= found[-1] <= max(values)

    def test_of_nothing_there_are_none(self) -> None:
        assert percentiles({}, OF_TIMES) == []


@dataclass
class Counted:
    status: str
    payments: int = 1
    operation: str = "purchase"
    biller: str | None = None
    currency: str = "IDR"
    band: int = 1


class TestSuccess:
    def test_it_is_the_approved_of_the_ended_and_the_open_are_apart(self) -> None:
        counted = [Counted("approved", 6), Counted("declined", 1), Counted("expired", 1), Counted("queued", 9)]

        ends = ends_by(counted, lambda one: one.operation)["purchase"]

        assert (ends.approved, ends.ended, ends.open, ends.rate) == (6, 8, 9, 0.75)

    def test_where_nothing_ended_there_is_no_rate(self) -> None:
        assert ends_by([Counted("queued")], lambda one: one.operation)["purchase"].rate is None

    def test_what_has_no_biller_is_no_bill(self) -> None:
        counted = [Counted("approved"), Counted("approved", biller="PLN")]

        assert list(ends_by(counted, lambda one: one.biller)) == ["PLN"]

    @given(st.lists(st.tuples(st.sampled_from(list(Status)), st.integers(1, 9))))
    def test_every_payment_ended_or_is_open(self, stands: list[tuple[Status, int]]) -> None:
        found = ends_by([Counted(*stand) for stand in stands], lambda one: one.currency)

        total = sum(ends.ended + ends.open for ends in found.values())
        assert total == sum(payments for _, payments in stands)
        assert sum(ends.ended for ends in found.values()) == sum(n for status, n in stands if status in FINAL)


@dataclass
class Quarter:
    at: datetime
    payments: int
    ended: int = 0
    approved: int = 0


class TestHours:
    def test_they_are_the_viewers(self) -> None:
        at = datetime(2026, 11, 20, 18, 45, tzinfo=UTC)

        (jakarta,) = hours.hours([Quarter(at, 3)], ZoneInfo("Asia/Jakarta"))
        (kathmandu,) = hours.hours([Quarter(at, 3)], ZoneInfo("Asia/Kathmandu"))

        assert (jakarta.day, jakarta.hour) == (DAY, 1)
        assert (kathmandu.day, kathmandu.hour) == (DAY, 0)

    def test_an_hour_that_the_clock_shows_twice_is_one(self) -> None:
        first = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)

        (hour,) = hours.hours([Quarter(first, 1), Quarter(first + timedelta(hours=1), 2)], ZoneInfo("Europe/Berlin"))

        assert (hour.hour, hour.payments) == (2, 3)

    @given(st.lists(st.tuples(st.integers(0, 31 * 96 - 1), st.integers(1, 1000))))
    def test_none_is_lost_among_the_24(self, quarters: list[tuple[int, int]]) -> None:
        begin = datetime(2026, 10, 21, tzinfo=UTC)
        counted = [Quarter(begin + place * timedelta(minutes=15), payments) for place, payments in quarters]

        found = hours.hours(counted, UTC)
        over_days = hours.of_the_day(found)

        assert [one.hour for one in over_days] == list(range(24))
        assert sum(one.payments for one in over_days) == sum(one.payments for one in counted)
        assert [one.payments for one in hours.busiest(found, 3)] == sorted((o.payments for o in found), reverse=True)[
            :3
        ]


class TestPeriod:
    def test_both_days_are_whole_and_in_the_zone(self) -> None:
        asked = Asked(DAY, DAY, ZoneInfo("Asia/Jakarta"))

        assert asked.since == datetime(2026, 11, 20, 17, tzinfo=UTC)
        assert asked.until - asked.since == timedelta(days=1)

    def test_unasked_it_is_the_last_week(self) -> None:
        assert usual(DAY) == (date(2026, 11, 15), DAY)

    def test_the_longest_is_just_not_too_long(self) -> None:
        assert not is_too_long(DAY, DAY + timedelta(days=LONGEST - 1))
        assert is_too_long(DAY, DAY + timedelta(days=LONGEST))
