"""`make bench`: what a payment costs and how fast they go, beside this machine's floors, in one run.

Takes less than five minutes, leaves nothing running, writes var/bench.json.
"""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

import django
import psutil

from config import embedded
from tests.bench.figures import Figure, table, write
from tests.bench.floors import floors
from tests.bench.processes import Groups
from tests.stack import BASE, Stack

FOLDER = BASE / "var" / "bench"
RESULT = BASE / "var" / "bench.json"


def main() -> None:
    """Measure everything, in the order that disturbs least."""
    began = time.monotonic()
    with _installation() as (stack, services):
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


@contextmanager
def _installation() -> Iterator[tuple[Stack, dict[str, int]]]:
    """A new one, with durable services of its own, and this process as part of it."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    try:
        with embedded.running(FOLDER / "services", durable=True) as place:
            stack = Stack(FOLDER / "state", place.database_url, place.broker_url)
            stack.settings |= {"BACKLOG_LIMIT": "10000000", "LOG_LEVEL": "WARNING"}
            os.environ.update(stack.environment, DJANGO_SETTINGS_MODULE="config.settings")
            stack.prepare()
            django.setup()
            try:
                yield stack, _services()
            finally:
                stack.stop()
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


def _services() -> dict[str, int]:
    """Process ids of the database server and the broker: our children."""
    children = {child.name(): child.pid for child in psutil.Process().children()}
    return {"postgres": children["postgres"], "valkey": children["valkey-server"]}


def _say(title: str, figures: list[Figure]) -> list[Figure]:
    print(table(title, figures) + "\n", flush=True)
    return figures


if __name__ == "__main__":
    main()
