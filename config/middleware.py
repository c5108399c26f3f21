"""The one middleware of the API: a request id in the logs and in the answer, and what every answer carries."""

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

import structlog
import uuid_utils
from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter

from processor.codec.describe import mask_text

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_FOR_CLIENTS: Final = "/api/"
_RESPONSES: Final = Counter("ferryman_api_responses", "Answers of the API and of health.", ["method", "status"])
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


@lru_cache(maxsize=256)
def _counter(method: str, status: int) -> Counter:
    return _RESPONSES.labels(method if method in _METHODS else "other", status)
