"""What happened to a payment, as plain values, and the one serialiser that writes and reads them.

Owns the names and versions that the event table keeps for ever. An event is never changed once shipped:
a new shape is a new version with an entry in `_UPCASTERS`.
"""

import uuid
from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Any, Final

import msgspec

from transactions.domain.errors import UnknownEvent
from transactions.domain.values import Balance, Instruction, MessageKind, Operation, Placement, ReasonCode, Status


class Accepted(msgspec.Struct, frozen=True):
    """A client's payment is ours to carry."""

    instruction: Instruction
    placement: Placement
    #: why a person ordered it
    note: str | None = None
    #: the rule of the routing table that chose its link
    route: str | None = None


class Dispatched(msgspec.Struct, frozen=True):
    """A message was made and may be written from now on; repeat 0 is its first time."""

    attempt: int
    kind: MessageKind
    mti: str
    stan: int
    transmitted_at: datetime
    terminal_id: str
    rrn: str
    link: str
    business_date: date
    digest: str
    reverses: int | None = None
    repeat: int = 0


class Recalled(msgspec.Struct, frozen=True):
    """A dispatched message was taken back before it was written: provably never sent."""

    attempt: int
    reason: ReasonCode
    not_before: datetime | None = None


class Approved(msgspec.Struct, frozen=True):
    """The host approved; the payment rests on this attempt."""

    attempt: int
    response_code: str
    authorisation_code: str | None = None
    host_rrn: str | None = None
    balances: tuple[Balance, ...] = ()


class AttemptDeclined(msgspec.Struct, frozen=True):
    """The host declined for a passing reason; another attempt follows."""

    attempt: int
    response_code: str
    not_before: datetime
    host_rrn: str | None = None


class Declined(msgspec.Struct, frozen=True):
    """The payment ended declined."""

    reason: ReasonCode
    response_code: str
    attempt: int | None = None
    host_rrn: str | None = None


class Failed(msgspec.Struct, frozen=True):
    """The payment ended and nothing moved."""

    reason: ReasonCode
    attempt: int | None = None


class ReversalRequired(msgspec.Struct, frozen=True):
    """What the host did with this attempt is unknown or unwanted: it is to be undone (M4, M6)."""

    attempt: int
    reason: ReasonCode
    response_code: str | None = None
    authorisation_code: str | None = None
    host_rrn: str | None = None
    #: why a person ordered it
    note: str | None = None
    #: True where the answer that does not count tells of an approval all the same: the host had it (M7)
    approval: bool | None = None


class Unaccepted(msgspec.Struct, frozen=True):
    """A reversal or an advice was not accepted yet; it is written again (M5)."""

    attempt: int
    reason: ReasonCode
    not_before: datetime
    response_code: str | None = None


class Reversed(msgspec.Struct, frozen=True):
    """The host accepted the reversal `by` of the attempt."""

    attempt: int
    by: int
    response_code: str


class AnswerNoted(msgspec.Struct, frozen=True):
    """An answer came that decides nothing: late, or a duplicate."""

    attempt: int
    response_code: str | None = None
    #: True where it tells of an approval of what is being undone: the host had it (M7)
    approval: bool | None = None


class Held(msgspec.Struct, frozen=True):
    """A person has to look at it; nothing is sent meanwhile."""

    reason: ReasonCode
    attempt: int | None = None
    response_code: str | None = None


class RetryRequested(msgspec.Struct, frozen=True):
    """Staff asked to go on now with what is held or waits for its time."""

    note: str


class Resolved(msgspec.Struct, frozen=True):
    """A person settled with the bank what became of an attempt."""

    attempt: int
    outcome: Status
    evidence: str


class Cancelled(msgspec.Struct, frozen=True):
    """Ended before anything of it was sent."""

    reason: ReasonCode
    note: str = ""


class Expired(msgspec.Struct, frozen=True):
    """Ended unsent because its time was over (M13)."""

    reason: ReasonCode = ReasonCode.EXPIRED_UNSENT


class ChildApproved(msgspec.Struct, frozen=True):
    """A capture, refund or void of this payment was approved."""

    child_id: uuid.UUID
    operation: Operation
    amount_minor: int


Event = (
    Accepted
    | Dispatched
    | Recalled
    | Approved
    | AttemptDeclined
    | Declined
    | Failed
    | ReversalRequired
    | Unaccepted
    | Reversed
    | AnswerNoted
    | Held
    | RetryRequested
    | Resolved
    | Cancelled
    | Expired
    | ChildApproved
)

EVENT_TYPES: Final[Mapping[str, type[Event]]] = {kind.__name__: kind for kind in Event.__args__}

_VERSION: Final = "v"
_VERSIONS: Final[Mapping[str, int]] = dict.fromkeys(EVENT_TYPES, 1)
_UPCASTERS: Final[Mapping[tuple[str, int], Callable[[dict[str, Any]], dict[str, Any]]]] = {}


def event_to_data(event: Event) -> tuple[str, dict[str, Any]]:
    """Return the event's type and its JSON-ready content, with the version of its shape."""
    name = type(event).__name__
    content: dict[str, Any] = msgspec.to_builtins(event)
    content = {key: value for key, value in content.items() if value is not None}
    return name, {_VERSION: _VERSIONS[name], **content}


def event_from_data(name: str, content: Mapping[str, Any]) -> Event:
    """Return the event as today's code knows it; raises UnknownEvent for one from newer code."""
    kind = EVENT_TYPES.get(name)
    fields = dict(content)
    version = fields.pop(_VERSION, None)
    if kind is None or not isinstance(version, int) or version > _VERSIONS[name]:
        raise UnknownEvent
    for older in range(version, _VERSIONS[name]):
        fields = _UPCASTERS[name, older](fields)
    try:
        return msgspec.convert(fields, kind)
    except msgspec.ValidationError:
        raise UnknownEvent(f"the content of a {name} event does not have the shape its version promises") from None
