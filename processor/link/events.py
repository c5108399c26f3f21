"""What the link machine is given and what it says back. Plain values; nothing here acts."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, twice: a monotonic clock for every decision, and UTC for what a message carries."""

    monotonic: float
    utc: datetime


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A financial message to write: its key on the wire, and a token the caller knows it by."""

    token: object
    key: str
    mti: str
    body: bytes


class Cause(StrEnum):
    """Why something ended."""

    TIMEOUT = "timeout"
    CONNECTION_LOST = "connection_lost"
    TAKEN_OVER = "taken_over"
    SIGN_ON_REFUSED = "sign_on_refused"
    SIGN_ON_TIMEOUT = "sign_on_timeout"
    ECHO_TIMEOUT = "echo_timeout"
    ECHO_REFUSED = "echo_refused"
    FRAMING = "framing"
    HOST_SIGNED_OFF = "host_signed_off"
    SIGNED_OFF = "signed_off"


class Event:
    """Something the driver must do or record."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Write(Event):
    """Hand these bytes to the kernel."""

    frame: bytes


@dataclass(frozen=True, slots=True)
class Close(Event):
    """Close the socket; nothing more can come of this session."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class WentUp(Event):
    """Signed on and the last echo answered (F4)."""


@dataclass(frozen=True, slots=True)
class WentDown(Event):
    """Financial messages may not be written any more."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class Answered(Event):
    """The host answered a financial message, whatever it said."""

    message: Outgoing
    body: bytes
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Unanswered(Event):
    """A written message will get no answer that counts: silence."""

    message: Outgoing
    cause: Cause


@dataclass(frozen=True, slots=True)
class Stray(Event):
    """A body nothing in flight asked for: late, duplicate, unmatched or unreadable."""

    body: bytes
    mti: str | None


@dataclass(frozen=True, slots=True)
class EchoAnswered(Event):
    """The host answered an echo."""

    elapsed_s: float


@dataclass(frozen=True, slots=True)
class CutOver(Event):
    """The host's business date moves on; `key` tells a repeated notice from a new one."""

    key: str


@dataclass(frozen=True, slots=True)
class NetworkMessage(Event):
    """A network management message was sent or received; for the journal."""

    outward: bool
    mti: str
    body: bytes
