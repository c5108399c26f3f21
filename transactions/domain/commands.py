"""What may be asked of a payment. Time, numbers and dice come in with the command."""

import uuid
from dataclasses import dataclass
from datetime import date, datetime

from transactions.domain.values import Answer, Instruction, MessageKind, Operation, Placement, ReasonCode


@dataclass(frozen=True, slots=True)
class Accept:
    """Take a client's payment."""

    instruction: Instruction
    placement: Placement


@dataclass(frozen=True, slots=True)
class Dispatch:
    """Make a message ready to be written: a new attempt, or what is owed of an old one again."""

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


@dataclass(frozen=True, slots=True)
class Recall:
    """Take a dispatched message back; `unsent_tries` counts the times it was given back unwritten."""

    attempt: int
    reason: ReasonCode
    at: datetime
    unsent_tries: int = 0
    roll: float = 0.5


@dataclass(frozen=True, slots=True)
class RecordAnswer:
    """The host answered an attempt.

    `decisive` says that the queue let this answer decide; a late, duplicate or unmatched one is evidence only.
    """

    attempt: int
    answer: Answer
    decisive: bool
    at: datetime
    roll: float = 0.5


@dataclass(frozen=True, slots=True)
class RecordSilence:
    """The link's holder declared that no answer to an attempt will count."""

    attempt: int
    reason: ReasonCode
    at: datetime
    roll: float = 0.5


@dataclass(frozen=True, slots=True)
class Hold:
    """Stop until a person has looked at it."""

    reason: ReasonCode
    attempt: int | None = None


@dataclass(frozen=True, slots=True)
class Retry:
    """Go on now with what is held or waits for its time."""

    note: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """End it before anything is sent."""

    reason: ReasonCode
    note: str = ""


@dataclass(frozen=True, slots=True)
class Expire:
    """End it because its time is over."""

    at: datetime


@dataclass(frozen=True, slots=True)
class RecordChild:
    """A capture, refund or void of this payment was approved."""

    child_id: uuid.UUID
    operation: Operation
    amount_minor: int


Command = Accept | Dispatch | Recall | RecordAnswer | RecordSilence | Hold | Retry | Cancel | Expire | RecordChild
