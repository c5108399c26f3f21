"""Who calls: a bearer key of one merchant, with scopes. Remembered for a few seconds, by its digest."""

import hashlib
import time
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from transactions.models import ApiKey

_MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class Client:
    """An authenticated caller; DRF's `user`."""

    merchant_id: int
    prefix: str
    scopes: frozenset[str]
    is_authenticated: bool = True

    @property
    def actor(self) -> str:
        """How this caller is named in events."""
        return f"api:{self.prefix}"


_remembered: dict[bytes, tuple[float, Client]] = {}


class BearerKey(BaseAuthentication):
    """`Authorization: Bearer <key>`."""

    def authenticate(self, request: Request) -> tuple[Client, None] | None:
        """Return the caller; None without a key, AuthenticationFailed with a wrong one."""
        # By META: `headers` would copy every header first, for each payment.
        parts = str(request.META.get("HTTP_AUTHORIZATION", "")).encode("latin-1").split()
        if not parts:
            return None
        if len(parts) != 2 or parts[0].lower() != b"bearer":
            raise AuthenticationFailed
        digest = hashlib.sha256(parts[1]).digest()
        known = _remembered.get(digest)
        if known is None or time.monotonic() - known[0] > settings.CACHE_SECONDS:
            known = (time.monotonic(), _client(parts[1]))
            if len(_remembered) >= _MOST_REMEMBERED:
                _remembered.clear()
            _remembered[digest] = known
        return known[1], None

    def authenticate_header(self, request: Request) -> str:
        """What a 401 asks for."""
        return "Bearer"


class HasScope(BasePermission):
    """The caller's key has the scope that the view names for the method."""

    def has_permission(self, request: Request, view: Any) -> bool:
        """Compare the view's scope with the key's."""
        client: Client | None = request.user  # type: ignore[assignment]
        return client is not None and view.scopes.get(request.method, "read") in client.scopes


def _client(key: bytes) -> Client:
    try:
        found: Any = ApiKey.objects.get_from_key(key.decode("ascii"))
    except (ApiKey.DoesNotExist, UnicodeDecodeError, ValueError):
        raise AuthenticationFailed from None
    if found.has_expired:
        raise AuthenticationFailed
    return Client(found.merchant_id, found.prefix, frozenset(found.scopes))
