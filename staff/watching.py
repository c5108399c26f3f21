"""Hears what no page says of itself: sign-ins, sign-outs, refusals, and that one changed one's own password."""

from collections.abc import Callable
from typing import Any

from axes.signals import user_locked_out
from django.contrib.auth.models import AbstractUser
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from staff.audit import Actor, Result, Subject, actor_of, record


class WatchAdmin:
    """Middleware: what the admin refuses leaves a trace, whichever page refused it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, and write down what is worth it; a NUL in an address is nobody's search, and no database takes it."""
        if "%00" in request.META.get("QUERY_STRING", "") and request.path.startswith(reverse("admin:index")):
            raise BadRequest
        response = self._get_response(request)
        if request.path.startswith(reverse("admin:index")):
            _note(request, response)
        return response


def _note(request: HttpRequest, response: HttpResponse) -> None:
    if response.status_code == 403:
        page = Subject("page", request.path)
        record("open_page", actor_of(request), Result.REFUSED, subject=page, detail={"method": request.method})
    changed = request.method == "POST" and response.status_code == 302
    if changed and request.path == reverse("admin:password_change"):
        record("change_own_password", actor_of(request))


def _signed_in(request: HttpRequest, user: AbstractUser, **_: Any) -> None:
    record("sign_in", actor_of(request, user))


def _signed_out(request: HttpRequest, user: AbstractUser | None, **_: Any) -> None:
    if user:
        record("sign_out", actor_of(request, user))


def _failed(credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    """Whose name was given is what matters; that it exists is not said."""
    record("sign_in", _claimed(str(credentials.get("username", "")), request), Result.FAILED)


def _locked_out(request: HttpRequest, username: str | None, **_: Any) -> None:
    record("sign_in", _claimed(username or "", request), Result.REFUSED, why="too many failures; locked for a while")


def _claimed(name: str, request: HttpRequest | None) -> Actor:
    if request is None:
        return Actor(name or "nobody")
    seen = actor_of(request)
    return Actor(name or "nobody", seen.address, seen.agent)


def listen() -> None:
    """Hear the framework's events."""
    user_logged_in.connect(_signed_in, dispatch_uid="staff.signed_in")
    user_logged_out.connect(_signed_out, dispatch_uid="staff.signed_out")
    user_login_failed.connect(_failed, dispatch_uid="staff.failed")
    user_locked_out.connect(_locked_out, dispatch_uid="staff.locked_out")
