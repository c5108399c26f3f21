"""Services and settings for the tests, before Django reads any: embedded ones, unless the environment names others."""

import os
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from tests.stack import services

_closing: Final = ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Start what the tests need, once."""
    folder = Path(_closing.enter_context(tempfile.TemporaryDirectory(prefix="ferryman-", ignore_cleanup_errors=True)))
    folder.chmod(0o711)
    (folder / "static").mkdir()
    database_url, broker_url = _closing.enter_context(services(folder / "services", durable=False))
    os.environ |= {
        "DATABASE_URL": database_url,
        "BROKER_URL": broker_url,
        "STATE_DIR": str(folder),
        "SECRET_KEY": "for tests only",
        "MASTER_KEY": "0f" * 32,
        "ALLOWED_HOSTS": "testserver,127.0.0.1",
        "SECURE_COOKIES": "0",
        "CACHE_SECONDS": "0",
        "LOG_LEVEL": "ERROR",
    }


def pytest_unconfigure() -> None:
    """Stop it."""
    _closing.close()
