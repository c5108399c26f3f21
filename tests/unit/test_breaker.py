"""The breaker: a host that does not answer is spared, tried by an echo, then by a few, and trusted again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.link.breaker import Breaker, BreakerPolicy, BreakerState

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
POLICY = BreakerPolicy(failures=3, rate=50, volume=10, window_s=60, open_s=30, successes=2)


@pytest.fixture
def moves() -> list[BreakerState]:
    return []


@pytest.fixture
def breaker(moves: list[BreakerState]) -> Breaker:
    return Breaker(POLICY, moves.append)


def opened(breaker: Breaker, at: float = 0) -> Breaker:
    for _ in range(POLICY.failures):
        breaker.failed(at)
    assert breaker.state is OPEN
    return breaker


def test_failures_in_a_row_open_it_and_an_answer_between_them_does_not(breaker: Breaker) -> None:
    breaker.failed(1)
    breaker.failed(2)
    breaker.answered(3)
    breaker.failed(4)
    assert breaker.state is CLOSED

    breaker.failed(5)
    breaker.failed(6)
    assert (breaker.state, breaker.room(64)) == (OPEN, 0)


def test_a_rate_of_failures_opens_it_once_there_were_enough_messages(breaker: Breaker) -> None:
    for second in range(9):
        (breaker.failed if second % 2 else breaker.answered)(second)
    assert breaker.state is CLOSED

    breaker.failed(9)
    assert breaker.state is OPEN


def test_what_was_long_ago_does_not_count(breaker: Breaker) -> None:
    for second in range(8):
        (breaker.failed if second % 2 else breaker.answered)(second)
    breaker.answered(100)
    breaker.failed(101)
    assert breaker.state is CLOSED


def test_an_echo_tries_it_only_after_its_time(breaker: Breaker) -> None:
    opened(breaker, at=10)
    breaker.echoed(39.9)
    assert (breaker.state, round(breaker.seconds_left(39), 1)) == (OPEN, 1.0)

    breaker.echoed(40)
    assert (breaker.state, breaker.room(64)) == (HALF_OPEN, 2)


def test_a_few_answers_close_it(breaker: Breaker, moves: list[BreakerState]) -> None:
    opened(breaker).echoed(30)
    breaker.answered(31)
    assert breaker.room(64) == 1
    breaker.answered(32)

    assert moves == [OPEN, HALF_OPEN, CLOSED]
    assert breaker.room(64) == 64


def test_one_failure_while_it_is_tried_opens_it_for_another_while(breaker: Breaker) -> None:
    opened(breaker).echoed(30)
    breaker.failed(31)

    breaker.echoed(60.9)
    assert breaker.state is OPEN
    breaker.echoed(61)
    assert breaker.state is HALF_OPEN


def test_late_answers_and_failures_do_not_move_an_open_breaker(breaker: Breaker) -> None:
    opened(breaker)
    breaker.failed(20)
    breaker.answered(21)

    assert (breaker.state, breaker.seconds_left(20)) == (OPEN, 10)


@given(st.lists(st.tuples(st.sampled_from(["answered", "failed", "echoed"]), st.floats(0, 40)), max_size=200))
def test_nothing_goes_out_while_it_is_open_and_never_more_than_the_window(story: list[tuple[str, float]]) -> None:
    moves: list[BreakerState] = []
    breaker, now = Breaker(POLICY, moves.append), 0.0
    for word, seconds in story:
        now += seconds
        getattr(breaker, word)(now)
        room = breaker.room(64)
        assert room == {CLOSED: 64, OPEN: 0}.get(breaker.state, room)
        assert breaker.state is not HALF_OPEN or 1 <= room <= POLICY.successes
        assert breaker.state is OPEN or breaker.seconds_left(now) == 0
    followers = {CLOSED: {OPEN}, OPEN: {HALF_OPEN}, HALF_OPEN: {OPEN, CLOSED}}
    assert all(after in followers[before] for before, after in zip([CLOSED, *moves], moves, strict=False))
