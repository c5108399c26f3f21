"""Reads `Retry-After`: how long a receiver that answers 429 or 503 wants to be left alone (RFC 9110, 10.2.3).

Pure: the header and the time come in, seconds go out. What is no such header asks for nothing.
"""

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_ASKING: Final = (429, 503)


def asked_s(response_code: int, retry_after: str, at: datetime) -> float:
    """Return for how many seconds from `at` the receiver wants nothing; 0 where it does not say."""
    text = retry_after.strip()
    if response_code not in _ASKING or not text.isascii():
        return 0.0
    if text.isdigit():
        return float(text)  # of any length: what is too much is infinite, and bounded by who waits
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return 0.0
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - at).total_seconds())
