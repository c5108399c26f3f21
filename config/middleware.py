"""The one middleware of the API: a request id in the logs and in the answer, and what every answer carries.

And those of the pages: times in the zone of who looks, and nothing read that is larger than a page takes.
"""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final
from urllib.parse import unquote
from zoneinfo import ZoneInfo, available_timezones

import structlog
import uuid_utils
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from prometheus_client import Counter

from staff.masking import mask_text
from transactions.reports.host_lines import MOST_BYTES

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_FOR_CLIENTS: Final = "/api/"
_RESPONSES: Final = Counter("ferryman_api_responses", "Answers of the API and of health.", ["method", "status"])
_ZONES: Final = frozenset(available_timezones())
#: a form's other fields and what stands between them
_AROUND: Final = 64 * 2**10
_TAKEN_OVER: Final = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


class RequestId:
    """Takes a client's X-Request-ID over when it is harmless, makes one otherwise."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Bind the id for everything that is logged while the request is answered."""
        offered = request.META.get("HTTP_X_REQUEST_ID", "")
        harmless = _TAKEN_OVER.match(offered) and mask_text(offered) == offered
        request_id = offered if harmless else str(uuid_utils.uuid7())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        if request.path.startswith(_FOR_CLIENTS):
            request.get_host()  # refuses a name that is none of ALLOWED_HOSTS; probes come by address
        response = self._get_response(request)
        _counter(request.method or "", response.status_code).inc()
        response.headers["X-Request-ID"] = request_id
        response.headers["Content-Length"] = str(len(response.content))
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response


class ViewersZone:
    """Writes a page's times in the zone that the viewer's browser named (`zone.js`); in UTC until it did."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer in the viewer's zone."""
        named = unquote(request.COOKIES.get("zone", ""))
        if named not in _ZONES:
            return self._get_response(request)
        with timezone.override(ZoneInfo(named)):
            return self._get_response(request)


class BoundedBody:
    """Refuses what is larger than its page takes, by the length that it names, before any of it is read or spooled."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, or refuse with 413; a body without a length is none (WSGI)."""
        length = request.META.get("CONTENT_LENGTH") or "0"
        most = _most(request.path)
        if length.isdecimal() and int(length) <= most + _AROUND:
            return self._get_response(request)
        if not request.user.is_authenticated:
            return HttpResponse(_("Too large"), "text/plain", 413)
        again = request.path if request.path == reverse("admin:hostfile_upload") else ""
        context = {"title": _("Too large"), "most_mb": most // 2**20, "again": again}
        context = {**admin.site.each_context(request), **context}
        return TemplateResponse(request, "413.html", context, status=413).render()


def _most(path: str) -> int:
    """Return how many bytes a page takes: one of them takes the bank's files."""
    form = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    return MOST_BYTES if path == reverse("admin:hostfile_upload") else form


@lru_cache(maxsize=256)
def _counter(method: str, status: int) -> Counter:
    return _RESPONSES.labels(method if method in _METHODS else "other", status)
