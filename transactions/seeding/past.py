"""Makes plausible payments of the past: their events, and by the real fold and projections the rows they lead to.

Pure but for the dice, which are seeded. What is made here cannot drift from what is carried: it is the same code that
evolves, projects, chains and describes.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from processor.codec.describe import masked_fields
from processor.codec.dialects import DIALECTS, Dialect
from processor.codec.message import Message
from staff.masking import mask_pan
from transactions.domain import events as e
from transactions.domain.evolve import evolve
from transactions.domain.state import PaymentState
from transactions.domain.values import Instruction, MessageKind, Operation, Placement, ReasonCode
from transactions.iso8583 import Card, Wire, payment_message, reversal_message, rrn_of
from transactions.projections import attempt_columns, changing_columns, fixed_columns
from transactions.store import FIRST_HEAD, chained

#: by this what was seeded is told from what was carried
MARK: Final = "seed"
_ACTOR: Final = "ferryman"
_STANS: Final = 999_999
_LATEST: Final = timedelta(seconds=30)

_OPERATIONS: Final = (
    (Operation.PURCHASE, 58),
    (Operation.BILL_PAYMENT, 14),
    (Operation.WITHDRAWAL, 12),
    (Operation.TRANSFER, 8),
    (Operation.BALANCE_INQUIRY, 6),
    (Operation.DEPOSIT, 2),
)
#: response code -> how often; "" is silence, and what ended unsent has no answer at all
_ENDS: Final = (("00", 890), ("51", 40), ("05", 25), ("54", 12), ("61", 8), ("", 15), ("expired", 5), ("cancelled", 5))
_AMOUNTS: Final = (10_000, 25_000, 50_000, 75_000, 99_900, 100_000, 150_000, 249_000, 500_000, 1_250_000)
_BINS: Final = ("411111", "421345", "510510", "555555", "601100", "622126")
_BILLERS: Final = ("PLN", "PDAM", "TELKOM", "BPJS")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the payments are made: one link, its terminal, and the merchants."""

    link: str
    dialect_name: str
    terminal_id: str
    card_acceptor_id: str
    merchant_ids: Sequence[int]

    @property
    def dialect(self) -> Dialect:
        """The link's dialect."""
        return DIALECTS[self.dialect_name]


@dataclass(frozen=True, slots=True)
class Rows:
    """One payment as rows of the tables, by column."""

    payment: dict[str, Any]
    events: list[dict[str, Any]]
    attempts: list[dict[str, Any]]
    messages: list[dict[str, Any]]


class Past:
    """Makes payments, one after another in the order of their time."""

    def __init__(self, place: Place, dice: random.Random) -> None:
        self._place = place
        self._dice = dice
        self._operations = _weighted(_OPERATIONS)
        self._ends = _weighted(_ENDS)

    def payment(self, number: int, at: datetime) -> Rows:
        """Return the payment of a number, accepted at a moment."""
        return _Story(self._place, self._dice, number, at, self._pick(self._operations), self._pick(self._ends)).rows()

    def _pick(self, weighted: tuple[list[Any], list[int]]) -> Any:
        return self._dice.choices(weighted[0], cum_weights=weighted[1])[0]


class _Story:
    """One payment while it is told."""

    def __init__(
        self, place: Place, dice: random.Random, number: int, at: datetime, operation: Operation, end: str
    ) -> None:
        self._place, self._dice, self._number, self._end = place, dice, number, end
        self._operation = operation
        self._accepted_at = self._at = at
        self._id = UUID(
            int=(int(at.timestamp() * 1000) << 80)
            | (7 << 76)
            | (dice.getrandbits(12) << 64)
            | (2 << 62)
            | dice.getrandbits(62)
        )
        self._id_text = str(self._id)
        self._card = Card(f"{dice.choice(_BINS)}{dice.randrange(10**6):06d}{int(9999 * dice.random() ** 2):04d}")
        self._head = FIRST_HEAD
        self._state: PaymentState | None = None
        self._events: list[dict[str, Any]] = []
        self._messages: list[dict[str, Any]] = []
        self._observed: dict[int, tuple[datetime, datetime | None]] = {}

    def rows(self) -> Rows:
        """Tell it to its end."""
        self._happen(e.Accepted(self._instruction(), self._placement()), f"api:{MARK}")
        if self._end == "cancelled":
            self._later(5)
            self._happen(e.Cancelled(ReasonCode.CANCELLED_BY_CLIENT), f"api:{MARK}")
        elif self._end == "expired":
            self._later(60)
            self._happen(e.Expired())
        elif self._end or not self._operation.moves_money:
            self._answered(self._end or "05")
        else:
            self._silent()
        return self._rows()

    def _answered(self, code: str) -> None:
        stan = self._dispatch(1, MessageKind.REQUEST)
        took = self._exchange(1, code)
        approved = f"{(self._number * 7919) % 10**6:06d}" if code == "00" else None
        host_rrn = self._host_rrn(stan)
        self._answer(1, code, approved, host_rrn, took)
        if code == "00":
            self._happen(e.Approved(1, code, approved, host_rrn))
        else:
            self._happen(e.Declined(ReasonCode.DECLINED_BY_HOST, code, 1, host_rrn))

    def _silent(self) -> None:
        """The bank did not answer, and accepted the reversal."""
        self._dispatch(1, MessageKind.REQUEST)
        taken_at = self._at
        self._at += _LATEST
        self._observed[1] = (taken_at, None)
        self._happen(e.ReversalRequired(1, ReasonCode.HOST_TIMEOUT))
        stan = self._dispatch(2, MessageKind.REVERSAL, reverses=1)
        took = self._exchange(2, "00")
        self._answer(2, "00", None, self._host_rrn(stan), took)
        self._happen(e.Reversed(1, 2, "00"))

    def _dispatch(self, attempt: int, kind: MessageKind, reverses: int | None = None) -> int:
        assert self._state  # noqa: S101
        self._later(0.03)
        stan = (self._number * 2 + attempt - 1) % _STANS + 1
        at = self._at.replace(microsecond=0)
        undone = self._state.attempt(reverses) if reverses else None
        wire = Wire(stan, at, undone.rrn if undone else rrn_of(stan, at), UTC)
        instruction = self._state.instruction
        if undone:
            message = reversal_message(instruction, self._card, undone, wire, 0, self._place.dialect)
        else:
            message = payment_message(instruction, self._card, None, wire, 0, self._place.dialect)
        self._happen(
            e.Dispatched(
                attempt=attempt,
                kind=kind,
                mti=message.mti,
                stan=stan,
                transmitted_at=at,
                terminal_id=instruction.terminal_id,
                rrn=wire.rrn,
                link=self._place.link,
                business_date=(self._at if undone is None else self._accepted_at).date(),
                digest=f"{self._dice.getrandbits(256):064x}",
                reverses=reverses,
            )
        )
        self._later(0.01)
        self._sent = message
        self._say(message, attempt, outward=True)
        return stan

    def _exchange(self, attempt: int, code: str) -> float:
        """Wait for the bank as long as it takes."""
        taken_at = self._at
        took = min(0.012 * self._dice.lognormvariate(0.8, 0.9), _LATEST.total_seconds())
        self._at += timedelta(seconds=took)
        self._observed[attempt] = (taken_at, self._at)
        return took

    def _answer(self, attempt: int, code: str, authorised: str | None, host_rrn: str, took: float) -> None:
        asked = self._sent
        kept = {number: asked.fields[number] for number in (2, 3, 4, 7, 11, 41, 49) if number in asked.fields}
        given = {37: host_rrn, 39: code, **({38: authorised} if authorised else {})}
        mti = f"{asked.mti[:2]}{int(asked.mti[2]) + 1}0"
        self._say(Message(mti, {**kept, **given}), attempt, outward=False)
        self._later(0.01)

    def _host_rrn(self, stan: int) -> str:
        return f"S{self._at:%j%H}{stan:06d}"

    def _say(self, message: Message, attempt: int, *, outward: bool) -> None:
        self._messages.append(
            {
                "link": self._place.link,
                "epoch": 0,
                "outward": outward,
                "mti": message.mti,
                "at": self._at,
                "payment_id": self._id_text,
                "attempt": attempt,
                "fields": masked_fields(message),
                "remark": "",
            }
        )

    def _happen(self, event: e.Event, actor: str = _ACTOR) -> None:
        self._state = evolve(self._state, event, self._id)
        kind, data = e.event_to_data(event)
        version = len(self._events) + 1
        self._head = chained(self._head, self._id, version, kind, data, actor, self._at)
        self._events.append(
            {
                "payment_id": self._id_text,
                "version": version,
                "type": kind,
                "data": data,
                "actor": actor,
                "at": self._at,
                "hash": self._head,
            }
        )

    def _later(self, at_most_s: float) -> None:
        self._at += timedelta(seconds=at_most_s * (0.1 + 0.9 * self._dice.random()))

    def _instruction(self) -> Instruction:
        number, operation = self._number, self._operation
        is_bill = operation is Operation.BILL_PAYMENT
        has_accounts = operation is Operation.TRANSFER
        return Instruction(
            operation=operation,
            amount_minor=self._amount(),
            currency="IDR",
            terminal_id=self._place.terminal_id,
            card_acceptor_id=self._place.card_acceptor_id,
            masked_pan=mask_pan(self._card.pan),
            source_account=f"10{number % 10**8:08d}" if has_accounts else None,
            destination_account=f"20{number % 10**8:08d}" if has_accounts else None,
            biller=self._dice.choice(_BILLERS) if is_bill else None,
            customer_number=f"{number % 10**10:010d}" if is_bill else None,
        )

    def _amount(self) -> int:
        if not self._operation.moves_money:
            return 0
        usual = self._dice.random() < 0.6
        return 100 * (self._dice.choice(_AMOUNTS) if usual else self._dice.randrange(1_000, 5_000_000))

    def _placement(self) -> Placement:
        key = f"{MARK}-{self._id.hex}"
        return Placement(
            merchant_id=self._dice.choice(self._place.merchant_ids),
            link=self._place.link,
            lane=None,
            priority=5,
            expires_at=self._accepted_at + timedelta(seconds=60),
            idempotency_key=key,
            fingerprint=self._id.hex,
            fingerprint_key=MARK,
            request_id=MARK,
            reference=f"order-{self._number}",
        )

    def _rows(self) -> Rows:
        assert self._state  # noqa: S101
        times = {"created_at": self._accepted_at, "updated_at": self._at, "ended_at": self._at}
        return Rows(
            payment={
                **fixed_columns(self._state),
                **changing_columns(self._state),
                "head": self._head,
                **times,
            },
            events=self._events,
            attempts=list(self._attempts(self._state)),
            messages=self._messages,
        )

    def _attempts(self, state: PaymentState) -> Iterator[dict[str, Any]]:
        for attempt in state.attempts:
            taken_at, answered_at = self._observed[attempt.number]
            seen = {"epoch": 0, "taken_at": taken_at, "answered_at": answered_at}
            yield {"payment_id": self._id_text, **attempt_columns(attempt), **seen}


def _weighted(choices: Sequence[tuple[Any, int]]) -> tuple[list[Any], list[int]]:
    values = [value for value, _ in choices]
    sums, total = [], 0
    for _, weight in choices:
        total += weight
        sums.append(total)
    return values, sums
