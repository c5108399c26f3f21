"""What may be asked of a payment. Time, numbers and dice come in with the command."""

import uuid
from datetime import date, datetime

import msgspec

from queueing.retry import USUAL, RetryPolicy
from transactions.domain.values import Answer, Instruction, MessageKind, Operation, Placement, ReasonCode, Status


class Accept(msgspec.Struct, frozen=True):
    """Take a client's payment; `note` is why a person orders it, `route` the rule that chose its link."""

    instruction: Instruction
    placement: Placement
    note: str | None = None
    route: str | None = None


class Dispatch(msgspec.Struct, frozen=True):
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


class Recall(msgspec.Struct, frozen=True):
    """Take a dispatched message back; `unsent_tries` counts the times it was given back unwritten."""

    attempt: int
    reason: ReasonCode
    at: datetime
    unsent_tries: int = 0
    roll: float = 0.5
    retries: RetryPolicy = USUAL
    accepted_at: datetime | None = None


class RecordAnswer(msgspec.Struct, frozen=True):
    """The host answered an attempt.

    `decisive` says that the queue let this answer decide; a late, duplicate or unmatched one is evidence only.
    """

    attempt: int
    answer: Answer
    decisive: bool
    at: datetime
    roll: float = 0.5
    retries: RetryPolicy = USUAL
    accepted_at: datetime | None = None


class RecordSilence(msgspec.Struct, frozen=True):
    """The link's holder declared that no answer to an attempt will count."""

    attempt: int
    reason: ReasonCode
    at: datetime
    roll: float = 0.5
    retries: RetryPolicy = USUAL


class Hold(msgspec.Struct, frozen=True):
    """Stop until a person has looked at it."""

    reason: ReasonCode
    attempt: int | None = None


class Retry(msgspec.Struct, frozen=True):
    """Go on now with what is held or waits for its time."""

    note: str


class Reverse(msgspec.Struct, frozen=True):
    """Undo what the host may have done with the attempt that a held payment hangs on."""

    note: str


class Resolve(msgspec.Struct, frozen=True):
    """A person settled with the bank what became of an attempt: `approved` stands, `reversed` is undone."""

    attempt: int
    outcome: Status
    evidence: str


class Cancel(msgspec.Struct, frozen=True):
    """End it before anything is sent."""

    reason: ReasonCode
    note: str = ""


class Expire(msgspec.Struct, frozen=True):
    """End it because its time is over."""

    at: datetime


class RecordChild(msgspec.Struct, frozen=True):
    """A capture, refund or void of this payment was approved."""

    child_id: uuid.UUID
    operation: Operation
    amount_minor: int


Command = (
    Accept
    | Dispatch
    | Recall
    | RecordAnswer
    | RecordSilence
    | Hold
    | Retry
    | Reverse
    | Resolve
    | Cancel
    | Expire
    | RecordChild
)
