"""What each process of a pool runs: a chunk of seeds. Django is configured there, not here."""

import gc
import sys

from tests.simulation import stage

Outcome = tuple[int, int, dict[str, int], list[str], float]


def run_chunk(chunk: range) -> list[Outcome]:
    """Run seeds; returns number, payments, faults, violations and virtual seconds of each."""
    stage.configure()
    from tests.simulation.run import run_seeds  # noqa: PLC0415  (needs Django)

    sys.unraisablehook = lambda _: None  # as in `run`, for what is thrown away at the end
    gc.freeze()
    return [(r.seed, r.payments, r.faults, r.violations, r.seconds) for r in run_seeds(chunk)]
