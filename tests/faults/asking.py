"""Asks the database by one of our ways and waits: `python -m tests.faults.asking WAY`, on a machine that is cut off.

Says `asking`, and then what became of it.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

import django
import psycopg
from django.conf import settings
from django.db import DatabaseError, connection, transaction

from processor.keys.pan_vault import vault_of
from processor.lease import connect
from processor.store import LinkStore
from queueing.database import rows
from transactions.waiting import Waits

#: longer than any test waits
_LONG = "SELECT pg_sleep(100)"


def say(word: str) -> None:
    """Tell whoever started this."""
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


def pages_and_workers() -> None:
    """A statement on the connection that Django keeps for a thread."""
    connection.ensure_connection()
    say("asking")
    rows(_LONG)


def locks() -> None:
    """A transaction that has locked something and is not heard of again."""
    with transaction.atomic():
        rows("SELECT pg_advisory_xact_lock(8583)")
        say("asking")
        time.sleep(100)


def lease() -> None:
    """A renewal."""
    with connect(settings.DATABASE_DIRECT_URL) as opened:
        opened.execute("SET statement_timeout = 0")
        say("asking")
        opened.execute(_LONG)


def link() -> None:
    """What the holder takes and files by."""

    async def ask() -> None:
        store: Any = LinkStore(settings.DATABASE_DIRECT_URL, "bank", 1, vault_of(settings.MASTER_KEY))
        await store._run("take", "SET statement_timeout = 0", {})
        say("asking")
        await store._run("take", _LONG, {})

    asyncio.run(ask())


def listening() -> None:
    """The one connection that waits for payments' ends, idle."""

    class Told(Waits):
        """Says when it begins to listen."""

        def _listen(self, listening: "psycopg.Connection[Any]") -> None:
            say("asking")
            try:
                super()._listen(listening)
            except psycopg.Error as error:
                say(f"lost {type(error).__name__}")
                sys.exit()

    Told(1)._listen_for_ever()


WAYS: dict[str, Callable[[], None]] = {ask.__name__: ask for ask in (pages_and_workers, locks, lease, link, listening)}

if __name__ == "__main__":
    django.setup()
    try:
        WAYS[sys.argv[1]]()
    except (DatabaseError, psycopg.Error) as lost:
        say(f"lost {type(lost).__name__}")
