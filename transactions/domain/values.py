"""The words of the domain: operations, statuses, reasons, and what a payment is made of."""

import uuid
from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum

import msgspec


class Operation(StrEnum):
    """What a client asks for."""

    PURCHASE = "purchase"
    WITHDRAWAL = "withdrawal"
    BALANCE_INQUIRY = "balance_inquiry"
    DEPOSIT = "deposit"
    TRANSFER = "transfer"
    BILL_PAYMENT = "bill_payment"
    AUTHORISATION = "authorisation"
    CAPTURE = "capture"
    REFUND = "refund"
    VOID = "void"

    @property
    def moves_money(self) -> bool:
        """False where silence changes nothing on any account (M4)."""
        return self is not Operation.BALANCE_INQUIRY

    @property
    def is_child(self) -> bool:
        """True for what acts on an earlier payment and cannot be asked for alone."""
        return self in (Operation.CAPTURE, Operation.REFUND, Operation.VOID)

    @property
    def expires(self) -> bool:
        """False for what is sent however late (M13): it tells, or is asked again until it is answered."""
        return self not in (Operation.CAPTURE, Operation.VOID)

    @property
    def customer_waits(self) -> bool:
        """True where somebody stands at a counter: such a payment is stale after a minute."""
        return self in (
            Operation.PURCHASE,
            Operation.WITHDRAWAL,
            Operation.BALANCE_INQUIRY,
            Operation.AUTHORISATION,
        )


class Status(StrEnum):
    """Where a payment stands. `on_hold` is open, never an end (M3)."""

    QUEUED = "queued"
    IN_FLIGHT = "in_flight"
    REVERSING = "reversing"
    ON_HOLD = "on_hold"
    APPROVED = "approved"
    DECLINED = "declined"
    REVERSED = "reversed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """True once the payment has ended; it is never reopened."""
        return self in FINAL


FINAL = frozenset({Status.APPROVED, Status.DECLINED, Status.REVERSED, Status.EXPIRED, Status.CANCELLED, Status.FAILED})


class ReasonCode(StrEnum):
    """Why something is as it is, for machines; `REASONS` has the sentence for people."""

    DECLINED_BY_HOST = "declined_by_host"
    RETRIES_EXHAUSTED = "retries_exhausted"
    HOST_TIMEOUT = "host_timeout"
    CONNECTION_LOST = "connection_lost"
    LINK_TAKEN_OVER = "link_taken_over"
    WRONG_ANSWER = "wrong_answer"
    BAD_MAC = "bad_mac"
    OUTCOME_UNKNOWN = "outcome_unknown"
    DUPLICATE_REFUSED = "duplicate_refused"
    PARTIAL_APPROVAL = "partial_approval"
    LATE_APPROVAL = "late_approval"
    REVERSAL_DECLINED = "reversal_declined"
    REVERSAL_REFUSED = "reversal_refused"
    REVERSAL_RETRIED = "reversal_retried"
    APPROVED_THEN_NOT_FOUND = "approved_then_not_found"
    CANNOT_BE_ENCODED = "cannot_be_encoded"
    CANNOT_BE_SETTLED = "cannot_be_settled"
    ENTRY_MISSING = "entry_missing"
    LANE_HELD = "lane_held"
    EXPIRED_UNSENT = "expired_unsent"
    REVERSED_BY_STAFF = "reversed_by_staff"
    RESOLVED_BY_STAFF = "resolved_by_staff"
    CANCELLED_BY_CLIENT = "cancelled_by_client"
    CANCELLED_BY_STAFF = "cancelled_by_staff"
    LINK_UNAVAILABLE = "link_unavailable"
    LINK_CHANGED = "link_changed"


def _(sentence: str) -> str:
    """Mark a sentence for translators; where it is shown, it is translated."""
    return sentence


REASONS: Mapping[ReasonCode, str] = {
    ReasonCode.DECLINED_BY_HOST: _("The bank declined. No money moved."),
    ReasonCode.RETRIES_EXHAUSTED: _("Every allowed try failed and none moved money."),
    ReasonCode.HOST_TIMEOUT: _("The bank did not answer in time; a reversal undoes whatever it did."),
    ReasonCode.CONNECTION_LOST: _("The connection broke before the bank answered; a reversal undoes whatever it did."),
    ReasonCode.LINK_TAKEN_OVER: _(
        "The worker holding the connection was replaced before the answer was read; "
        "a reversal undoes whatever the bank did."
    ),
    ReasonCode.WRONG_ANSWER: _("The bank's answer does not match the request; a reversal undoes whatever it did."),
    ReasonCode.BAD_MAC: _("The bank's answer is not signed as it must be; a reversal undoes whatever it did."),
    ReasonCode.OUTCOME_UNKNOWN: _("The bank does not know the outcome; a reversal undoes whatever it did."),
    ReasonCode.DUPLICATE_REFUSED: _(
        "The bank took the first write for a duplicate; a reversal undoes whatever it did."
    ),
    ReasonCode.PARTIAL_APPROVAL: _("The bank approved only a part, which is not taken; a reversal undoes it."),
    ReasonCode.LATE_APPROVAL: _("The bank approved after the payment was settled otherwise; a reversal undoes that."),
    ReasonCode.REVERSAL_DECLINED: _("The bank has not accepted the reversal yet; it is repeated until it does."),
    ReasonCode.REVERSAL_REFUSED: _("The bank refuses the reversal. A person must settle this with the bank."),
    ReasonCode.REVERSAL_RETRIED: _("The reversal was on hold, and staff had it sent again."),
    ReasonCode.APPROVED_THEN_NOT_FOUND: _(
        "The bank approved, and says that it has nothing to reverse. A person must settle this with the bank."
    ),
    ReasonCode.CANNOT_BE_ENCODED: _("The payment cannot be written as a message of this link. Nothing was sent."),
    ReasonCode.ENTRY_MISSING: _("Nothing in the queue stood for this payment. A person must look at it."),
    ReasonCode.LANE_HELD: _("The payment before it in its lane is on hold, and a person has to settle that one first."),
    ReasonCode.CANNOT_BE_SETTLED: _("The bank's answer could not be worked on. A person must look at it."),
    ReasonCode.EXPIRED_UNSENT: _("The payment expired before it could be sent. No money moved."),
    ReasonCode.REVERSED_BY_STAFF: _("Staff ordered the reversal of what the bank may have done."),
    ReasonCode.RESOLVED_BY_STAFF: _("Staff settled this with the bank, on the evidence they noted."),
    ReasonCode.CANCELLED_BY_CLIENT: _("Cancelled before it was sent. No money moved."),
    ReasonCode.CANCELLED_BY_STAFF: _("Cancelled by staff before it was sent. No money moved."),
    ReasonCode.LINK_UNAVAILABLE: _("The link to the bank went down before this was sent. No money moved."),
    ReasonCode.LINK_CHANGED: _("The link's configuration changed before this was sent; it is prepared anew."),
}


class MessageKind(StrEnum):
    """What a message is to the host."""

    REQUEST = "request"
    ADVICE = "advice"
    REVERSAL = "reversal"


def message_kind(operation: Operation) -> MessageKind:
    """A capture tells what happened at the counter, and a void is asked again as itself (0401) until it is answered.

    A void is a reversal, and no bank knows the reversal of one. Everything else asks once.
    """
    return MessageKind.ADVICE if operation in (Operation.CAPTURE, Operation.VOID) else MessageKind.REQUEST


class Outcome(StrEnum):
    """What became of one attempt."""

    OPEN = "open"
    #: provably never on the wire
    UNSENT = "unsent"
    APPROVED = "approved"
    DECLINED = "declined"
    #: maybe done, maybe not: its reversal settles it
    UNKNOWN = "unknown"
    #: a balance inquiry nobody answered: nothing to undo
    ABANDONED = "abandoned"


class Undoing(StrEnum):
    """Where the reversal of an attempt stands."""

    NONE = "none"
    OPEN = "open"
    ACCEPTED = "accepted"


class Verdict(StrEnum):
    """What an answer means, once its MAC and its echoes were checked."""

    APPROVED = "approved"
    DECLINED = "declined"
    #: declined for good, for a passing reason: worth another attempt (M8)
    TRANSIENT = "transient"
    #: no answer that counts: wrong MAC, wrong amount, 68, 94 on a first write ... (M4)
    INVALID = "invalid"
    #: a reversal that will never be taken: 12, 30 or 57 (M5)
    REFUSED = "refused"
    #: a reversal of what the host does not have: 25, final only where nothing overtook anything (M7)
    NOT_FOUND = "not_found"


class Balance(msgspec.Struct, frozen=True):
    """One additional amount of field 54."""

    account_type: str | None
    amount_type: str
    currency: str
    amount_minor: int


class Answer(msgspec.Struct, frozen=True):
    """What the host said, read and judged."""

    verdict: Verdict
    response_code: str | None = None
    reason: ReasonCode | None = None
    authorisation_code: str | None = None
    host_rrn: str | None = None
    balances: tuple[Balance, ...] = ()
    #: the host says that it carried the message out, at least in part, whether that counts or not
    approves: bool = False


class Original(msgspec.Struct, frozen=True):
    """The attempt of an earlier payment that a child acts on (fields 37, 38 and 90)."""

    payment_id: uuid.UUID
    operation: Operation
    mti: str
    stan: int
    transmitted_at: datetime
    rrn: str
    authorisation_code: str | None


class Instruction(msgspec.Struct, frozen=True):
    """What is to be done. Card numbers are masked here; the clear ones rest sealed beside it."""

    operation: Operation
    amount_minor: int
    currency: str
    terminal_id: str
    card_acceptor_id: str
    masked_pan: str | None = None
    source_account: str | None = None
    destination_account: str | None = None
    biller: str | None = None
    customer_number: str | None = None
    original: Original | None = None


class Attempt(msgspec.Struct, frozen=True):
    """One STAN + field 7 + terminal, for one message."""

    number: int
    kind: MessageKind
    mti: str
    stan: int
    transmitted_at: datetime
    terminal_id: str
    rrn: str
    link: str
    business_date: date
    digest: str
    #: which attempt this reversal undoes
    reverses: int | None = None
    #: how often it was written again after the first time (0421, 0221)
    repeats: int = 0
    outcome: Outcome = Outcome.OPEN
    undoing: Undoing = Undoing.NONE
    response_code: str | None = None
    authorisation_code: str | None = None
    host_rrn: str | None = None


class Placement(msgspec.Struct, frozen=True):
    """Where a payment stands in the queue, and whose it is."""

    merchant_id: int
    link: str
    lane: str | None
    priority: int
    expires_at: datetime
    idempotency_key: str
    fingerprint: str
    fingerprint_key: str
    request_id: str
    reference: str | None = None
    metadata: Mapping[str, str | int | bool | None] = msgspec.field(default_factory=dict)
