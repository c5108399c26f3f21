"""A link's health: four layers, each with what lowered it, and one score of them all."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.link.health import (
    WEIGHTS,
    Finding,
    Health,
    HealthState,
    Layer,
    NetworkReading,
    ProcessReading,
    ProtocolReading,
    ResourcesReading,
    judge,
    overall,
)

WELL = (
    ProcessReading(0.01, is_renewed=True),
    NetworkReading(is_connected=True, is_clear=True),
    ProtocolReading(is_up=True, echo_s=0.03, echo_timeout_s=10, unreadable=0),
    ResourcesReading(0.1, 0.0),
)


def health(layers: dict[str, Finding] | None = None, **changes: Any) -> Health:
    usual: dict[str, Any] = {"is_held": True, "is_up": True, "is_spared": False, "down_s": 0.0, "wanted": "open"}
    return overall(layers or {}, **{**usual, **changes})


def test_the_layers_make_a_whole() -> None:
    assert sum(WEIGHTS.values()) == 100
    assert set(WEIGHTS) == set(Layer)


@pytest.mark.parametrize("reading", WELL)
def test_a_layer_that_is_well_loses_nothing(reading: Any) -> None:
    assert judge(reading) == Finding(100)


@pytest.mark.parametrize(
    ("reading", "score", "words"),
    [
        (ProcessReading(0.0, is_renewed=False), 0, "lease"),
        (ProcessReading(0.5, is_renewed=True), 50, "late"),
        (NetworkReading(is_connected=False, is_clear=True), 0, "no connection"),
        (NetworkReading(is_connected=True, is_clear=False), 50, "does not take"),
        (ProtocolReading(is_up=False, echo_s=None, echo_timeout_s=10, unreadable=0), 0, "signed on"),
        (ProtocolReading(is_up=True, echo_s=4, echo_timeout_s=10, unreadable=0), 60, "echo took 4.0 s"),
        (ProtocolReading(is_up=True, echo_s=None, echo_timeout_s=10, unreadable=2), 40, "could not be read"),
        (ResourcesReading(0.9, 0.0), 11, "file descriptors"),
        (ResourcesReading(0.0, 0.5), 50, "waits to be filed"),
    ],
)
def test_what_lowers_a_layer_is_said(reading: Any, score: int, words: str) -> None:
    finding = judge(reading)

    assert abs(finding.score - score) <= 1
    assert words in finding.lowered_by[0]


def test_a_link_that_is_up_and_well_is_active() -> None:
    assert health() == Health(HealthState.ACTIVE, 100, ())


def test_a_slow_echo_degrades_it_in_proportion_and_says_so() -> None:
    slow = {"protocol": Finding(30, ("the last echo took 7.0 s",))}
    assert health(slow) == Health(HealthState.DEGRADED, 76, ("the last echo took 7.0 s",))


def test_a_breaker_that_is_not_closed_degrades_it() -> None:
    assert health(is_spared=True).state is HealthState.DEGRADED
    assert health(is_spared=True).score == 50


def test_down_it_connects_for_a_while_and_then_has_failed() -> None:
    assert health(is_up=False, down_s=5).state is HealthState.CONNECTING
    assert health(is_up=False, down_s=31) == Health(HealthState.FAILED, 0, ())
    assert health(is_up=False, down_s=5, wanted="closed").state is HealthState.FAILED


def test_one_that_nobody_holds_has_failed() -> None:
    assert health(is_held=False).state is HealthState.FAILED


@given(
    st.one_of(
        st.builds(ProcessReading, st.floats(0, 1e6), st.booleans()),
        st.builds(ProtocolReading, st.booleans(), st.floats(0, 1e6), st.floats(0.1, 3600), st.integers(0, 10**6)),
        st.builds(ResourcesReading, st.floats(0, 10), st.floats(0, 1000)),
    )
)
def test_a_score_is_from_0_to_100(reading: Any) -> None:
    finding = judge(reading)
    assert 0 <= finding.score <= 100
    assert bool(finding.lowered_by) is (finding.score < 100)
