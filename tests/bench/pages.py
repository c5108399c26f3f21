"""`make pages`: every page of the back office among millions of payments: how long it takes and what it asks.

Loads payments by `manage.py seed`, or measures the database that DATABASE_URL names, in which it loads what is missing;
what it adds besides is taken back. Each page is asked for several times, as the web server asks: the median counts.
Run as: python -m tests.bench.pages --payments 5000000
"""

import argparse
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import django

from tests.bench.installation import installation, settled
from tests.stack import BASE, Stack

FOLDER: Final = BASE / "var" / "pages"


def main() -> None:
    """Load, ask, tell; fails when a page takes too long."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--payments", type=int, default=200_000)
    arguments.add_argument("--times", type=int, default=9, help="how often each page is asked for")
    arguments.add_argument("--only", default="", help="pages whose name has this in it")
    given = arguments.parse_args()
    os.environ["DATABASE_POOL"] = "4"  # sessions as the web server's: how the planner is told to plan
    with _place():
        # only now: importing them reads the settings
        from tests.bench.asking import Asking, told  # noqa: PLC0415
        from tests.bench.past import crowd, load, samples  # noqa: PLC0415
        from tests.bench.sights import sights  # noqa: PLC0415

        load(given.payments)
        with crowd():
            asking = Asking(given.times)
            wanted = [sight for sight in sights(samples()) if given.only in sight.name]
            seen = [asking.ask(sight) for sight in wanted]
    print(told(seen))
    late = [one.sight.name for one in seen if one.is_late]
    if late:
        sys.exit(f"Too slow: {', '.join(late)}.")


@contextmanager
def _place() -> Iterator[None]:
    """Use the database that is named, or one of our own."""
    if os.environ.get("DATABASE_URL") and os.environ.get("BROKER_URL"):
        settled(Stack(FOLDER / "state", os.environ["DATABASE_URL"], os.environ["BROKER_URL"]))
        django.setup()
        yield
    else:
        with installation(FOLDER):
            yield


if __name__ == "__main__":
    main()
