"""What became of a link, step by step. Plain values."""

from datetime import datetime

import msgspec


class HistoryStep(msgspec.Struct, frozen=True):
    """The link's state changed: to what, where and why, and how long the one before lasted."""

    at: datetime
    state: str
    endpoint: str = ""
    cause: str = ""
    after_ms: int | None = None
