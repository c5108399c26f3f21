"""What staff want of a link, whoever holds it and however often that changes. Plain values."""

import enum

import msgspec


class Wanted(enum.StrEnum):
    """Open carries payments; paused stays signed on and sends reversals only; closed has no connection."""

    OPEN = "open"
    PAUSED = "paused"
    CLOSED = "closed"


class Wish(msgspec.Struct, frozen=True):
    """What is wanted, and the host that is preferred as HOST:PORT (the first one for ""); the highest number holds."""

    number: int = 0
    wanted: Wanted = Wanted.OPEN
    endpoint: str = ""
