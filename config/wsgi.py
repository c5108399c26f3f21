"""The web server's entry: pages with all that a browser needs, the API with nothing that it does not.

Threads share a pool of database connections.
"""

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterable
from typing import Any, Final

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("DATABASE_POOL", os.environ.get("WEB_THREADS", "32"))

import django
from django.core.handlers.wsgi import WSGIHandler

from config.garbage import collect_less
from config.handler import ApiHandler
from queueing import heartbeat

_PR_SET_PDEATHSIG: Final = 1
#: what needs no session, no page and no line in the log
_PLAIN: Final = ("/api/v1/", "/health/", "/metrics")


def _die_with_the_server() -> None:
    """A worker ends at once when the server that started it was killed; asked to, it would wait for its threads."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    server = multiprocessing.parent_process()
    if server and os.getppid() != server.pid:
        sys.exit("the web server ended before this worker began")


_die_with_the_server()
django.setup(set_prefix=False)
_api: Final = ApiHandler()
_pages: Final = WSGIHandler()
collect_less()
heartbeat.begin("web")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer a request."""
    handler = _api if environ["PATH_INFO"].startswith(_PLAIN) else _pages
    return handler(environ, start_response)
