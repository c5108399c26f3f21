"""`make bench`: what a payment costs and how fast they go, beside this machine's floors, in one run.

Takes less than five minutes, leaves nothing running, writes var/bench.json.
"""

import time

from tests.bench.figures import Figure, table, write
from tests.bench.floors import floors
from tests.bench.installation import installation
from tests.bench.processes import Groups
from tests.stack import BASE

FOLDER = BASE / "var" / "bench"
RESULT = BASE / "var" / "bench.json"


def main() -> None:
    """Measure everything, in the order that disturbs least."""
    began = time.monotonic()
    with installation(FOLDER) as (stack, services):
        # only now: importing them reads the settings
        from tests.bench.claims import claims  # noqa: PLC0415
        from tests.bench.crossing import Crossing  # noqa: PLC0415

        lowest = _say("Floors of this machine", floors(stack.database_url, Groups(services)))
        crossing = Crossing(stack, services)
        crossing.start()
        figures = _say("Idle", [crossing.idle()])
        saturated, rate = crossing.saturated()
        figures += _say("Over HTTP", [*saturated, *crossing.half_rate(rate / 2), *crossing.waiting()])
        figures += _say("Behind the accept", crossing.behind())
        figures += _say("The link alone", crossing.windows())
        figures += _say("A long queue", [*claims(), *crossing.crowded()])
    write(RESULT, lowest, figures)
    print(table("All of it", figures), f"\n\n{time.monotonic() - began:.0f} s; {RESULT.relative_to(BASE)} has it.")


def _say(title: str, figures: list[Figure]) -> list[Figure]:
    print(table(title, figures) + "\n", flush=True)
    return figures


if __name__ == "__main__":
    main()
