"""What the link machine is given and what it says back. Plain values; nothing here acts."""

from datetime import date, datetime
from enum import StrEnum

import msgspec


class Moment(msgspec.Struct, frozen=True):
    """Now, twice: a monotonic clock for every decision, and UTC for what a message carries."""

    monotonic: float
    utc: datetime


class Outgoing(msgspec.Struct, frozen=True):
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
    CLOSED_BY_STAFF = "closed_by_staff"


class Event(msgspec.Struct, frozen=True):
    """Something the driver must do or record."""


class Write(Event, frozen=True):
    """Hand these bytes to the kernel."""

    frame: bytes


class Close(Event, frozen=True):
    """Close the socket; nothing more can come of this session."""

    cause: Cause


class WentUp(Event, frozen=True):
    """Signed on and the last echo answered (F4)."""


class WentDown(Event, frozen=True):
    """Financial messages may not be written any more."""

    cause: Cause


class Answered(Event, frozen=True):
    """The host answered a financial message, whatever it said."""

    message: Outgoing
    body: bytes
    elapsed_s: float


class Unanswered(Event, frozen=True):
    """A written message will get no answer that counts: silence."""

    message: Outgoing
    cause: Cause


class Stray(Event, frozen=True):
    """A body nothing in flight asked for: late, duplicate, unmatched or unreadable."""

    body: bytes
    mti: str | None


class Replied(Event, frozen=True):
    """The host answered what a person asked of it; no body when it did not."""

    token: object
    body: bytes | None
    elapsed_s: float


class EchoAnswered(Event, frozen=True):
    """The host answered an echo."""

    elapsed_s: float


class CutOver(Event, frozen=True):
    """The host's business date moves on; `key` tells a repeated notice from a new one."""

    key: str


class BusinessDateTold(Event, frozen=True):
    """An answer tells a newer business date than ours: the notice of its cut-over was lost."""

    day: date


class NetworkMessage(Event, frozen=True):
    """A network management message was sent or received; for the journal."""

    outward: bool
    mti: str
    body: bytes
