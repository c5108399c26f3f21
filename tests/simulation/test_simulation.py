"""The simulation: a few seeds of it in every run of the tests, and that a seed is always the same story."""

import pytest

from tests.simulation.run import run_seed, run_seeds


def test_nothing_is_violated_in_a_few_seeds() -> None:
    results = list(run_seeds(range(1, 26)))

    assert {result.seed: result.violations for result in results if result.violations} == {}
    assert sum(result.payments for result in results) > 100
    assert sum(sum(result.faults.values()) for result in results) > 100


@pytest.mark.parametrize("number", [3, 7])
def test_the_same_seed_is_the_same_story(number: int) -> None:
    first, second = run_seed(number), run_seed(number, tracing=True)

    assert first.digest == second.digest
    assert second.trace
