"""The one middleware of the API: a request id in the logs and in the answer, and what every answer carries."""

import re
from collections.abc import Callable
from typing import Final

import structlog
import uuid_utils
from django.http import HttpRequest, HttpResponse

_TAKEN_OVER: Final = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")


class RequestId:
    """Takes a client's X-Request-ID over when it is harmless, makes one otherwise."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Bind the id for everything that is logged while the request is answered."""
        offered = request.META.get("HTTP_X_REQUEST_ID", "")
        request_id = offered if _TAKEN_OVER.match(offered) else str(uuid_utils.uuid7())
        structlog.contextvars.clear_contextvars()
        structlog.contextvars.bind_contextvars(request_id=request_id)
        response = self._get_response(request)
        response.headers["X-Request-ID"] = request_id
        response.headers["Content-Length"] = str(len(response.content))
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response
