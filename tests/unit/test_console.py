"""What staff may ask of a link, and what it refuses as it stands."""

from typing import Any

import pytest

from processor.link.console import MEANINGS, WORDS, Footing, Verb, misfit, refusal
from processor.link.roster import Roster
from processor.link.wishes import Wanted


def footing(**changes: Any) -> Footing:
    usual: dict[str, Any] = {
        "wanted": Wanted.OPEN,
        "is_up": True,
        "is_spared": False,
        "hosts": ("a:1", "b:2"),
        "turn": 0,
        "preferred": 0,
        "messages": ("echo", "sign_on"),
    }
    return Footing(**{**usual, **changes})


def fitting(verb: Verb) -> Any:
    totals = {"business_date": "2026-11-20", "currency": "360", "totals": {}}
    given = {Verb.FAIL_OVER: {"endpoint": 2}, Verb.SEND: {"message": "echo"}, Verb.RECONCILE: totals}
    return given.get(verb, {})


def test_every_verb_has_a_sentence_for_people() -> None:
    assert set(MEANINGS) == set(Verb)


@pytest.mark.parametrize("verb", sorted(set(WORDS) - {Verb.RESET_BREAKER}))
def test_a_link_that_is_up_refuses_nothing_that_fits(verb: Verb) -> None:
    assert refusal(verb, fitting(verb), footing()) is None


@pytest.mark.parametrize("verb", [Verb.ECHO, Verb.SEND, Verb.DRAIN, Verb.RECONCILE])
def test_a_link_that_is_down_asks_the_bank_nothing(verb: Verb) -> None:
    assert "Nothing was sent" in (refusal(verb, fitting(verb), footing(is_up=False)) or "")


@pytest.mark.parametrize("verb", [Verb.PAUSE, Verb.RESUME, Verb.FAIL_OVER, Verb.RELOAD])
def test_a_closed_link_is_established_first(verb: Verb) -> None:
    closed = footing(is_up=False, wanted=Wanted.CLOSED)
    assert "establish it first" in (refusal(verb, fitting(verb), closed) or "")


@pytest.mark.parametrize("verb", [Verb.ESTABLISH, Verb.SIGN_ON, Verb.CLOSE])
def test_a_closed_link_can_be_established_and_closed_again(verb: Verb) -> None:
    assert refusal(verb, {}, footing(is_up=False, wanted=Wanted.CLOSED)) is None


def test_a_breaker_that_is_closed_is_not_reset() -> None:
    assert refusal(Verb.RESET_BREAKER, {}, footing()) is not None
    assert refusal(Verb.RESET_BREAKER, {}, footing(is_spared=True)) is None


def test_the_host_that_carries_and_is_preferred_is_no_other() -> None:
    assert "a:1 carries already" in (refusal(Verb.FAIL_OVER, {"endpoint": 1}, footing()) or "")
    assert refusal(Verb.FAIL_OVER, {"endpoint": 1}, footing(preferred=1)) is None


@pytest.mark.parametrize(
    ("verb", "parameters"),
    [
        (Verb.FAIL_OVER, {}),
        (Verb.FAIL_OVER, {"endpoint": 0}),
        (Verb.FAIL_OVER, {"endpoint": 3}),
        (Verb.FAIL_OVER, {"endpoint": True}),
        (Verb.FAIL_OVER, {"endpoint": "1"}),
        (Verb.SEND, {"message": "sign_off"}),
        (Verb.SEND, {}),
        (Verb.PAUSE, {"endpoint": 1}),
    ],
)
def test_parameters_that_do_not_fit_are_refused_before_anything_is_asked(verb: Verb, parameters: Any) -> None:
    assert misfit(verb, parameters, 2, ("echo",))


class TestAHostThatStaffPrefer:
    def test_it_has_the_next_turn_and_is_gone_back_to(self) -> None:
        roster = Roster(3, failback_s=60)
        roster.came_up(0)

        roster.prefer(2)
        assert roster.is_moving
        roster.ended(came_up=True)
        assert (roster.turn, roster.is_moving) == (2, False)

        roster.ended(came_up=False)
        roster.came_up(100)
        assert roster.turn == 0
        assert roster.wants_to_look(160)

    def test_the_one_that_carries_is_not_looked_for(self) -> None:
        roster = Roster(2, failback_s=60)
        roster.ended(came_up=False)
        roster.came_up(0)

        roster.prefer(1)

        assert not roster.is_moving
        assert not roster.wants_to_look(1000)

    def test_between_two_sessions_it_is_next(self) -> None:
        roster = Roster(2, failback_s=60)
        roster.prefer(1)
        roster.begin()
        assert (roster.turn, roster.is_moving) == (1, False)
