"""Runs seeds one after another in this process."""

import gc
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final
from unittest.mock import patch

from tests.simulation.seed import Result, Seed
from tests.simulation.stage import curtain

_COLLECT_EVERY: Final = 10


def run_seed(number: int, *, tracing: bool = False) -> Result:
    """Run one seed."""
    with _quiet(), curtain():
        return Seed(number, tracing=tracing).run()


def run_seeds(numbers: Iterable[int], forced: Sequence[str] = ()) -> Iterator[Result]:
    """Run several; `forced` faults are in each of them."""
    with _quiet(), curtain():
        for count, number in enumerate(numbers):
            yield Seed(number, forced=forced).run()
            if count % _COLLECT_EVERY == 0:
                gc.collect()


@contextmanager
def _quiet() -> Iterator[None]:
    """The coroutines of killed processes never end, and say so when they are thrown away."""
    gc.disable()
    with patch.object(sys, "unraisablehook", lambda _: None):
        try:
            yield
        finally:
            gc.collect()
            gc.enable()
