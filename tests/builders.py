"""Things tests are made of, each with a default for everything that a test does not speak of."""

import uuid
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from msgspec.structs import replace

from processor.codec.dialects import DIALECTS, Dialect
from processor.codec.message import Message, encode
from processor.link.events import Moment, Outgoing
from processor.link.profile import Profile
from transactions.domain import events as e
from transactions.domain.evolve import fold
from transactions.domain.state import PaymentState
from transactions.domain.values import Answer, Instruction, MessageKind, Operation, Placement, ReasonCode, Verdict

NOON: Final = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)
PAN: Final = "4111111111111111"
PAYMENT_ID: Final = uuid.UUID("01a1fa9b-da2a-70fa-b3c9-2c3572a64829")
BANK: Final = DIALECTS["bank-ascii87"]


def instruction(operation: Operation = Operation.PURCHASE, **changes: Any) -> Instruction:
    """A purchase of 12,500.00 rupiah."""
    usual = Instruction(operation, 1_250_000, "IDR", "ATM-001", "TRM-ISS001", masked_pan="411111******1111")
    return replace(usual, **changes)


def placement(**changes: Any) -> Placement:
    """First merchant, link bank, good for an hour."""
    usual = Placement(
        merchant_id=1,
        link="bank",
        lane=None,
        priority=5,
        expires_at=NOON + timedelta(hours=1),
        idempotency_key="key-1",
        fingerprint="f" * 64,
        fingerprint_key="k" * 8,
        request_id="request-1",
    )
    return replace(usual, **changes)


def accepted(operation: Operation = Operation.PURCHASE, **changes: Any) -> e.Accepted:
    """A payment's first event."""
    return e.Accepted(instruction(operation), placement(**changes))


def dispatched(attempt: int = 1, **changes: Any) -> e.Dispatched:
    """A request made ready at noon."""
    usual = e.Dispatched(
        attempt=attempt,
        kind=MessageKind.REQUEST,
        mti="0200",
        stan=100 + attempt,
        transmitted_at=NOON,
        terminal_id="ATM-001",
        rrn=f"632412000{100 + attempt}",
        link="bank",
        business_date=date(2026, 11, 20),
        digest=f"digest-{attempt}",
    )
    return replace(usual, **changes)


def reversal_dispatched(attempt: int = 2, reverses: int = 1, repeat: int = 0) -> e.Dispatched:
    """A reversal made ready."""
    mti = "0421" if repeat else "0420"
    return dispatched(attempt, kind=MessageKind.REVERSAL, mti=mti, reverses=reverses, repeat=repeat)


def reversal_required(attempt: int = 1, reason: ReasonCode = ReasonCode.HOST_TIMEOUT) -> e.ReversalRequired:
    """An attempt nobody answered."""
    return e.ReversalRequired(attempt, reason)


def payment(*events: e.Event) -> PaymentState:
    """Fold events into a payment; without Accepted, a usual one comes first."""
    story: Sequence[e.Event] = events if events and isinstance(events[0], e.Accepted) else (accepted(), *events)
    return fold(PAYMENT_ID, story)


def answer(verdict: Verdict = Verdict.APPROVED, code: str = "00", **details: Any) -> Answer:
    """What the host said."""
    return Answer(verdict, code, **details)


def profile(dialect: Dialect = BANK, **changes: Any) -> Profile:
    """A link with a window of 4 and short patience."""
    usual = Profile(
        dialect=dialect,
        framing="ascii4",
        terminal_id="ATM-001",
        card_acceptor_id="TRM-ISS001",
        time_zone=UTC,
        window=4,
        answer_timeout_s=30,
        echo_interval_s=30,
        echo_timeout_s=10,
    )
    return replace(usual, **changes)


def moment(seconds: float = 0.0) -> Moment:
    """So many seconds after noon."""
    return Moment(seconds, NOON + timedelta(seconds=seconds))


def outgoing(stan: int = 101, token: object = None) -> Outgoing:
    """A purchase as the machine is given it."""
    message = Message("0200", request_fields(stan))
    return Outgoing(token or f"entry-{stan}", f"02:{stan:06d}:1120120000:ATM-001", "0200", encode(message, BANK))


def request_fields(stan: int = 101) -> dict[int, str]:
    """The fields of a purchase at noon."""
    return {
        2: PAN,
        3: "000000",
        4: "000001250000",
        7: "1120120000",
        11: f"{stan:06d}",
        12: "120000",
        13: "1120",
        37: f"632412{stan:06d}",
        41: "ATM-001",
        42: "TRM-ISS001",
        49: "360",
    }
