"""Memory that grows while the host is stuck is named; what a process needs to warm up is not."""

from typing import cast

import pytest

from tests.faults.stack import ProxiedFerry
from tests.faults.stuck import Samples


def grown(readings: list[float]) -> list[str]:
    return Samples(cast("ProxiedFerry", None), mebibytes={"web": readings}).grown()


@pytest.mark.parametrize(
    "readings",
    [
        [120.0] * 300,
        [90.0] * 30 + [120.0] * 270,
        [120.0 + number % 7 for number in range(300)],
    ],
)
def test_flat(readings: list[float]) -> None:
    assert grown(readings) == []


def test_a_leak_of_a_kilobyte_a_payment_at_two_hundred_a_second() -> None:
    assert grown([120.0 + second * 200 / 1024 for second in range(300)]) == [
        "the memory of web grew from 143 to 178 MiB"
    ]
