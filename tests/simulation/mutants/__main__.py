"""`python -m tests.simulation.mutants`: deliberate defects, each of which the simulation must catch.

One that no seed catches is a hole in the checks, and ends this with 1.
"""

import argparse
import multiprocessing
import os
import sys
from functools import partial

from tests.simulation.mutants.hunt import MOST_SEEDS, hunt, names


def main() -> int:
    """Hunt them all; returns 1 when one survives."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.mutants", description=__doc__)
    parser.add_argument("names", nargs="*", help="of mutants; all without")
    parser.add_argument("--most", type=int, default=MOST_SEEDS, help="seeds that a mutant may live through")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    hunted = asked.names or names()
    alive = []
    with multiprocessing.get_context("spawn").Pool(asked.jobs) as pool:
        for name, number, what in pool.imap_unordered(partial(hunt, most=asked.most), hunted):
            print(f"{name:40} {f'seed {number}: {what[:110]}' if number else 'SURVIVES'}", flush=True)
            if not number:
                alive.append(name)
    print(f"{len(hunted)} mutants, {len(alive)} survive{': ' if alive else ''}{', '.join(alive)}")
    return bool(alive)


if __name__ == "__main__":
    sys.exit(main())
