"""Looks for the first seed that catches a mutant."""

import gc
import sys
from typing import Final

from tests.simulation import stage

MOST_SEEDS: Final = 300


def names() -> list[str]:
    """Return the names of all mutants."""
    from tests.simulation.mutants import link, queue, settling  # noqa: PLC0415  (they register themselves)
    from tests.simulation.mutants.registry import MUTANTS  # noqa: PLC0415

    return [name for name, made in MUTANTS.items() if made.__module__ in (m.__name__ for m in (link, queue, settling))]


def hunt(name: str, most: int = MOST_SEEDS) -> tuple[str, int, str]:
    """Return the mutant's name, the first seed that catches it (0 for none) and what was violated."""
    stage.configure()
    names()
    from tests.simulation.mutants.registry import FORCED, living  # noqa: PLC0415
    from tests.simulation.run import run_seeds  # noqa: PLC0415  (needs Django)

    sys.unraisablehook = lambda _: None  # as in `run`, for what is thrown away at the end
    gc.freeze()
    with living(name):
        for result in run_seeds(range(1, most + 1), FORCED.get(name, ())):
            if result.violations:
                return name, result.seed, result.violations[0]
    return name, 0, ""
