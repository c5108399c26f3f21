"""One new installation for a measurement, with durable services of its own; leaves nothing behind."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
import psutil

from config import embedded
from tests.stack import Stack


@contextmanager
def installation(folder: Path) -> Iterator[tuple[Stack, dict[str, int]]]:
    """Yield it with its services' process ids; this process is a part of it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        with embedded.running(folder / "services", durable=True) as place:
            stack = settled(Stack(folder / "state", place.database_url, place.broker_url))
            stack.prepare()
            django.setup()
            try:
                yield stack, _services()
            finally:
                stack.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def settled(stack: Stack) -> Stack:
    """Make this process a part of it."""
    stack.settings |= {"BACKLOG_LIMIT": "10000000", "LOG_LEVEL": "WARNING"}
    os.environ.update(stack.environment, DJANGO_SETTINGS_MODULE="config.settings")
    (stack.folder / "static").mkdir(exist_ok=True)
    return stack


def _services() -> dict[str, int]:
    """Process ids of the database server and the broker: our children."""
    children = {child.name(): child.pid for child in psutil.Process().children()}
    return {"postgres": children["postgres"], "valkey": children["valkey-server"]}
