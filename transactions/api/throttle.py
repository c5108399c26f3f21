"""How fast one key may call one web process: a bucket of tokens, refilled steadily."""

import threading
import time
from typing import Any

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle


class Bucket:
    """Holds `burst` tokens, gains `rate` a second."""

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now
        self._lock = threading.Lock()

    def take(self, now: float, tokens: int = 1) -> float:
        """Take tokens, where there is one at all, and return 0; or return the seconds until there is one.

        What was taken beyond what there was is a debt: a batch may go when one payment may, and is paid off afterwards.
        """
        with self._lock:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
            self._at = now
            if self._tokens < 1:
                return (1 - self._tokens) / self._rate
            self._tokens -= tokens
            return 0.0


_buckets: dict[str, Bucket] = {}


class KeyRate(BaseThrottle):
    """One bucket a key."""

    def __init__(self) -> None:
        self._wait = 0.0

    def allow_request(self, request: Request, view: Any, tokens: int = 1) -> bool:
        """Take tokens of the caller's bucket."""
        now = time.monotonic()
        prefix = request.user.prefix  # type: ignore[union-attr]
        bucket = _buckets.get(prefix)
        if bucket is None:
            bucket = _buckets.setdefault(prefix, Bucket(settings.RATE_LIMIT, settings.RATE_BURST, now))
        self._wait = bucket.take(now, tokens)
        return self._wait == 0

    def wait(self) -> float:
        """Return the seconds for Retry-After."""
        return self._wait
