"""Failpoints act where they are told to, and nowhere without the key of the tests."""

import pytest

from queueing.failpoints import read

TESTS_KEY = "0f" * 32


def test_a_place_is_passed_over_until_its_turn() -> None:
    assert read({"MASTER_KEY": TESTS_KEY, "FAILPOINTS": "written:exit:3,filed:stop:1"}) == {
        "written": ("exit", 2),
        "filed": ("stop", 0),
    }


def test_without_the_published_key_there_are_none() -> None:
    assert read({"MASTER_KEY": "a1" * 32, "FAILPOINTS": "written:exit:1"}) == {}
    assert read({"FAILPOINTS": "written:exit:1"}) == {}


def test_a_misspelt_action_is_refused() -> None:
    with pytest.raises(ValueError, match="exit, stop"):
        read({"MASTER_KEY": TESTS_KEY, "FAILPOINTS": "written:explode:1"})
