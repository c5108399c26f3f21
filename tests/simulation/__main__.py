"""`python -m tests.simulation`: many seeds on all cores, or one with its trace."""

import argparse
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator

from tests.simulation import stage
from tests.simulation.cores import run_chunk


def main() -> int:
    """Run; returns 1 when something does not hold."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many seeds, from --from on")
    parser.add_argument("--from", type=int, default=1, dest="first")
    parser.add_argument("--seed", type=int, help="one seed only")
    parser.add_argument("--trace", action="store_true", help="print every step of it")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    asked = parser.parse_args()
    if asked.seed is not None:
        return _one(asked.seed, tracing=asked.trace)
    return _many(asked.first, asked.seeds, asked.jobs)


def _one(number: int, *, tracing: bool) -> int:
    stage.configure()
    sys.unraisablehook = lambda _: None  # as in `run`, for what is thrown away at the end
    from tests.simulation.run import run_seed  # noqa: PLC0415  (needs Django)

    result = run_seed(number, tracing=tracing)
    print("\n".join(result.trace))
    print(f"seed {number}: {result.payments} payments, {result.seconds:.0f} s, trace {result.digest[:16]}")
    print("\n".join(f"  {what}" for what in result.violations) or "  nothing is violated")
    return bool(result.violations)


def _chunks(first: int, count: int) -> Iterator[range]:
    for begin in range(first, first + count, 25):
        yield range(begin, min(begin + 25, first + count))


def _many(first: int, count: int, jobs: int) -> int:
    began = time.monotonic()
    payments, failed, simulated = 0, [], 0.0
    faults: Counter[str] = Counter()
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for results in pool.imap_unordered(run_chunk, _chunks(first, count)):
            for number, paid, injected, violations, seconds in results:
                payments += paid
                simulated += seconds
                faults.update(injected)
                if violations:
                    failed.append(number)
                    print(f"seed {number} FAILED; replay: make simulate SEED={number}")
                    print("\n".join(f"    {what}" for what in violations[:5]), flush=True)
    took = time.monotonic() - began
    print(f"{count} seeds in {took:.0f} s ({count / took:.1f} seeds/s): {payments} payments, {simulated / 3600:.1f} h "
          f"of virtual time, {sum(faults.values())} faults of {len(faults)} kinds injected")  # fmt: skip
    for name, times in sorted(faults.items()):
        print(f"  {times:7d}  {name}")
    print(f"violations in {len(failed)} seeds: {sorted(failed)[:20]}" if failed else "violations: none")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
