"""`make drain`: a long queue carried to its end against an instant host: its rate, everybody's memory, every order.

Run as: python -m tests.bench.drain --payments 1000000
"""

import argparse
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import psycopg

from tests.bench.installation import installation
from tests.bench.processes import Groups, MemoryPeak
from tests.stack import BASE, PYTHON, Stack

FOLDER: Final = BASE / "var" / "drain"
LANES: Final = 1000
_STEPS: Final = 10
_SLOWEST: Final = 50  # payments a second, below which it is called stuck
_PROCESSES: Final = ("worker", "link", "beat")

#: Cheap at any size: the table's own count of rows that were deleted.
_ENDED: Final = "SELECT n_tup_del FROM pg_stat_user_tables WHERE relname = 'queueing_queueentry'"
_OPEN: Final = "SELECT EXISTS (SELECT 1 FROM queueing_queueentry) OR EXISTS (SELECT 1 FROM processor_inboundframe)"
_STATUSES: Final = "SELECT status, count(*) FROM transactions_payment GROUP BY 1"
#: Who went before the one accepted before it in its lane, or while that one was still out (Q2).
_OVERTAKEN: Final = """
SELECT count(*) FROM (
    SELECT a.taken_at, lag(a.answered_at) OVER lane AS before_answered, lag(a.taken_at) OVER lane AS before_taken
    FROM transactions_payment p JOIN transactions_attempt a ON a.payment_id = p.id WHERE p.lane IS NOT NULL
    WINDOW lane AS (PARTITION BY p.lane ORDER BY p.reference)
) AS steps WHERE taken_at <= before_taken OR taken_at < before_answered"""
_IN_LANES: Final = "SELECT count(*) FROM transactions_payment WHERE lane IS NOT NULL"
_BLOAT: Final = """
SELECT relname, n_dead_tup, pg_table_size(relid) / 2 ^ 20 AS mebibytes FROM pg_stat_user_tables
WHERE relname IN ('queueing_queueentry', 'processor_inboundframe', 'queueing_lane') ORDER BY 1"""


@dataclass(frozen=True, slots=True)
class Step:
    """How far it has come, when, and after how many seconds of CPU of each part of us."""

    ended: int
    at: float
    cpu: Mapping[str, float]

    def rate(self, before: "Step") -> float:
        """Payments a second since a step before."""
        return (self.ended - before.ended) / (self.at - before.at)

    def cost(self, before: "Step", part: str) -> float:
        """Milliseconds of CPU of a payment since then."""
        return 1000 * (self.cpu[part] - before.cpu[part]) / (self.ended - before.ended)


def main() -> None:
    """Fill, drain, check."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--payments", type=int, default=1_000_000)
    payments = arguments.parse_args().payments
    with installation(FOLDER) as (stack, services):
        from tests.bench.bulk import accept_in_bulk  # noqa: PLC0415  (importing it reads the settings)

        began = time.monotonic()
        accept_in_bulk(payments, lanes=LANES)
        print(f"accepted {payments:,} in {time.monotonic() - began:.0f} s, a tenth in {LANES:,} lanes", flush=True)
        stack.spawn("host", [PYTHON, "-m", "tests.bench.host", str(stack.simulator_port), "0"])
        stack.start(*_PROCESSES)
        groups = Groups({**services, **{name: stack.processes[name].pid for name in _PROCESSES}})
        with MemoryPeak(groups) as peak:
            _drain(stack, payments, groups)
        print("peak of each one's largest process, MiB: " + _listed(peak.mebibytes))
        _check(stack, payments)


def _drain(stack: Stack, payments: int, groups: Groups) -> None:
    """Say of every tenth its rate and what a payment of it cost: neither may grow with what lies behind."""
    began = time.monotonic()
    step = Step(0, began, groups.cpu())
    with psycopg.connect(stack.database_url, autocommit=True) as asking:
        while asking.execute(_OPEN).fetchone() == (True,):
            time.sleep(0.2)
            ended = int(asking.execute(_ENDED).fetchone()[0])  # type: ignore[index]
            assert time.monotonic() - began < 60 + payments / _SLOWEST, f"stuck after {ended}"
            if ended >= step.ended + payments / _STEPS:
                following = Step(ended, time.monotonic(), groups.cpu())
                cost = {name: following.cost(step, name) for name in step.cpu}
                bloat = ", ".join(f"{name} {dead:,} dead {size:.0f} MiB" for name, dead, size in asking.execute(_BLOAT))
                print(
                    f"{ended:>9,} ended at {following.at - began:5.0f} s, {following.rate(step):5.0f}/s; "
                    f"CPU of one {sum(cost.values()):.2f} ms: {_listed(cost, 2)}; {bloat}",
                    flush=True,
                )
                step = following
    took = time.monotonic() - began
    print(f"drained {payments:,} in {took:.0f} s: {payments / took:.0f} payments/s, start of the processes included")


def _check(stack: Stack, payments: int) -> None:
    """Everything was approved, and no lane was overtaken in."""
    with psycopg.connect(stack.database_url, autocommit=True) as asking:
        statuses: dict[str, int] = dict(asking.execute(_STATUSES).fetchall())
        assert statuses == {"approved": payments}, statuses
        in_lanes, overtaken = (asking.execute(query).fetchone() for query in (_IN_LANES, _OVERTAKEN))
    assert in_lanes == (len(range(0, payments, 10)),), in_lanes
    assert overtaken == (0,), f"{overtaken} payments went before their turn"
    print(f"all {payments:,} approved; {in_lanes[0]:,} of them in lanes, each in its turn and alone")


def _listed(figures: Mapping[str, float], digits: int = 0) -> str:
    return ", ".join(f"{name} {value:.{digits}f}" for name, value in figures.items())


if __name__ == "__main__":
    main()
