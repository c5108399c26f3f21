"""The web server's entry: pages with all that a browser needs, the API with nothing that it does not.

Threads share a pool of database connections.
"""

import ctypes
import os
import signal
from collections.abc import Callable, Iterable
from typing import Any, Final

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("DATABASE_POOL", os.environ.get("WEB_THREADS", "32"))

import django
from django.conf import settings
from django.core.handlers.wsgi import WSGIHandler

from config.garbage import collect_less

_PR_SET_PDEATHSIG: Final = 1
#: what needs no session, no page and no line in the log
_PLAIN: Final = ("/api/v1/", "/health/", "/metrics")


class ApiHandler(WSGIHandler):
    """Django with the API's own middleware: no session, no cookie, no CSRF token, half the CPU."""

    def load_middleware(self, is_async: bool = False) -> None:  # noqa: FBT001  (Django's signature)
        """Load API_MIDDLEWARE in place of MIDDLEWARE; this runs once, before any request."""
        for_pages = settings.MIDDLEWARE
        settings.MIDDLEWARE = settings.API_MIDDLEWARE
        try:
            super().load_middleware(is_async)
        finally:
            settings.MIDDLEWARE = for_pages


def _die_with_the_server() -> None:
    """A worker must not go on answering when the server that started it was killed."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


_die_with_the_server()
django.setup(set_prefix=False)
_api: Final = ApiHandler()
_pages: Final = WSGIHandler()
collect_less()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request."""
    handler = _api if environ["PATH_INFO"].startswith(_PLAIN) else _pages
    return handler(environ, start_response)
