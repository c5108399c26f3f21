"""The event store: appends events, and moves the read model with them in the same statement.

Owns the hash chain and optimistic concurrency: what comes from an outdated version is dropped, row by row,
never the batch. Decides nothing.
"""

import hashlib
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from django.db import transaction

from queueing.database import rows
from queueing.doorbell import WEBHOOKS, ring
from queueing.failpoints import reach
from queueing.statements import ENQUEUE
from transactions.domain import commands as c
from transactions.domain import events as e
from transactions.domain.decide import decide
from transactions.domain.evolve import evolve
from transactions.domain.state import PaymentState
from transactions.domain.values import message_kind
from transactions.outbox import IS_TOLD, TELL, message
from transactions.projections import attempt_columns, attempt_of, changing_columns, fixed_columns, state_of

FIRST_HEAD: Final = bytes(32)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_encode: Final = msgspec.json.Encoder(order="sorted").encode

_CHANGING: Final = tuple(
    "status version reason response_code authorisation_code accepted_attempt rrn host_rrn captured_amount "
    "refunded_amount voided_by".split()
)
_ATTEMPT: Final = (
    "payment_id uuid, number smallint, kind text, mti text, stan int, transmitted_at timestamptz, terminal_id text, "
    "rrn text, link text, business_date date, digest text, reverses smallint, repeats smallint, outcome text, "
    "undoing text, response_code text, authorisation_code text, host_rrn text, "
    "epoch int, taken_at timestamptz, answered_at timestamptz"
)
_ATTEMPT_NAMES: Final = tuple(column.split()[0] for column in _ATTEMPT.split(", "))
_ATTEMPT_CHANGING: Final = tuple(
    "mti digest repeats outcome undoing response_code authorisation_code host_rrn epoch taken_at answered_at".split()
)

#: What acceptance settles of a payment, column by column.
NEW: Final = (
    "id uuid, merchant_id bigint, idempotency_key text, fingerprint text, fingerprint_key text, request_id text, "
    "operation text, amount bigint, currency text, masked_pan text, card_last4 text, sealed_card bytea, "
    "source_account text, destination_account text, biller text, customer_number text, terminal_id text, "
    "card_acceptor_id text, original jsonb, link text, lane text, priority smallint, expires_at timestamptz, "
    "reference text, metadata jsonb, head bytea"
)
NEW_NAMES: Final = ", ".join(column.split()[0] for column in NEW.split(", "))
_NEW_VALUES: Final = ", ".join("%({})s::{}".format(*column.split()) for column in NEW.split(", "))

_ACCEPT: Final = f"""
WITH accepted AS (
    INSERT INTO transactions_payment ({NEW_NAMES}, status, version, created_at, updated_at)
    VALUES ({_NEW_VALUES}, 'queued', 1, %(at)s::timestamptz, %(at)s::timestamptz)
    ON CONFLICT (merchant_id, idempotency_key) DO NOTHING
    RETURNING id
), event AS (
    INSERT INTO transactions_event (payment_id, version, type, data, actor, at, hash)
    SELECT id, 1, 'Accepted', %(event)s::jsonb, %(actor)s::text, %(at)s::timestamptz, %(head)s::bytea FROM accepted
), {ENQUEUE}
SELECT id FROM accepted"""

#: The ids stand beside the join with them: the server keeps a plan for long, and one that it made for a small table
#: would read all of a large one.
_APPENDING: Final = f"""
WITH won AS (
    UPDATE transactions_payment p
    SET {", ".join(f"{name} = c.{name}" for name in _CHANGING)}, balances = c.balances, head = c.head,
        updated_at = c.at, ended_at = coalesce(p.ended_at, c.ended_at)
    FROM json_to_recordset(%(payments)s::json) AS c(
        id uuid, expected int, status text, version int, reason text, response_code text, authorisation_code text,
        accepted_attempt smallint, rrn text, host_rrn text, captured_amount bigint, refunded_amount bigint,
        voided_by uuid, balances jsonb, head bytea, at timestamptz, ended_at timestamptz)
    WHERE p.id = ANY(%(ids)s::uuid[]) AND p.id = c.id AND p.version = c.expected
    RETURNING p.id
), events AS (
    INSERT INTO transactions_event (payment_id, version, type, data, actor, at, hash)
    SELECT n.payment_id, n.version, n.type, n.data, n.actor, n.at, n.hash
    FROM json_to_recordset(%(events)s::json) AS n(
        payment_id uuid, version int, type text, data jsonb, actor text, at timestamptz, hash bytea)
    JOIN won ON won.id = n.payment_id
), attempts AS (
    INSERT INTO transactions_attempt AS a ({", ".join(_ATTEMPT_NAMES)})
    SELECT {", ".join(f"n.{name}" for name in _ATTEMPT_NAMES)}
    FROM json_to_recordset(%(attempts)s::json) AS n({_ATTEMPT})
    JOIN won ON won.id = n.payment_id
    ON CONFLICT (payment_id, number) DO UPDATE
    SET {", ".join(f"{name} = coalesce(excluded.{name}, a.{name})" for name in _ATTEMPT_CHANGING)}
)"""
_WON: Final = "\nSELECT id FROM won"
_APPEND: Final = _APPENDING + _WON
#: The same, with messages to webhook endpoints (H1): no further round trip.
_APPEND_AND_TELL: Final = _APPENDING + TELL + _WON

_PAYMENTS: Final = f"""
SELECT id, merchant_id, idempotency_key, fingerprint, fingerprint_key, request_id, operation, amount, currency,
    masked_pan, sealed_card, source_account, destination_account, biller, customer_number, terminal_id,
    card_acceptor_id, original, link, lane, priority, expires_at, reference, metadata, status, version, head, reason,
    response_code, authorisation_code, accepted_attempt, balances, captured_amount, refunded_amount, voided_by,
    created_at, {IS_TOLD} AS is_told
FROM transactions_payment p WHERE id = ANY(%(ids)s::uuid[]) ORDER BY id FOR NO KEY UPDATE"""

_ATTEMPTS: Final = f"""
SELECT {", ".join(_ATTEMPT_NAMES)} FROM transactions_attempt
WHERE payment_id = ANY(%(ids)s::uuid[]) ORDER BY payment_id, number"""


class Loaded(msgspec.Struct, frozen=True):
    """A payment as stored, locked for this transaction."""

    state: PaymentState
    head: bytes
    sealed_card: bytes | None
    accepted_at: datetime
    #: True when its merchant has a webhook endpoint
    is_told: bool = False


class Observed(msgspec.Struct, frozen=True):
    """What only the wire knows of an attempt."""

    attempt: int
    epoch: int | None
    taken_at: datetime | None
    answered_at: datetime | None


class Change(msgspec.Struct, frozen=True):
    """Events to append to a payment, and the state they lead to."""

    before: Loaded
    events: Sequence[e.Event]
    after: PaymentState
    actor: str
    at: datetime
    observed: Sequence[Observed] = ()

    @classmethod
    def deciding(
        cls, before: Loaded, *commands: c.Command, actor: str, at: datetime, observed: Sequence[Observed] = ()
    ) -> "Change":
        """Return what commands do to a payment, one after another; raises NotAllowed."""
        state, events = before.state, []
        for command in commands:
            for event in decide(state, command):
                state = evolve(state, event)
                events.append(event)
        return cls(before, events, state, actor, at, observed)

    @property
    def ended(self) -> bool:
        """True when the payment ended with this change."""
        return self.after.status.is_final and not self.before.state.status.is_final


def chained(head: bytes, payment_id: uuid.UUID, version: int, kind: str, data: Any, actor: str, at: datetime) -> bytes:
    """Return the hash of an event: SHA-256 over the one before it and everything this one says."""
    micros = round((at - _EPOCH).total_seconds() * 1_000_000)
    return hashlib.sha256(head + _encode([str(payment_id), version, kind, data, actor, micros])).digest()


def accept(
    state: PaymentState, event: e.Accepted, *, actor: str, at: datetime, sealed_card: bytes | None, pin: bytes | None
) -> bool:
    """Store a new payment, its first event and its queue entry in one statement; False if the key is taken (I1)."""
    row = new_row(state, event, actor=actor, at=at, sealed_card=sealed_card, pin=pin)
    written = {name: _json(row[name]) for name in ("original", "metadata", "event")}
    reach("before_accept")
    stored = bool(rows(_ACCEPT, {**row, **written, "actor": actor, "at": at}))
    reach("accepted")
    return stored


def new_row(
    state: PaymentState, event: e.Accepted, *, actor: str, at: datetime, sealed_card: bytes | None, pin: bytes | None
) -> dict[str, Any]:
    """Return a new payment's columns, its first event, and what its queue entry says."""
    kind, data = e.event_to_data(event)
    return {
        **fixed_columns(state),
        "event": data,
        "head": chained(FIRST_HEAD, state.id, 1, kind, data, actor, at),
        "sealed_card": sealed_card,
        "pin": pin,
        # A request is never sent late (M13); an advice tells what has happened, however late.
        "send_before": state.placement.expires_at if state.instruction.operation.expires else None,
        "kind": message_kind(state.instruction.operation).value,
        "lane_key": state.placement.lane and f"{state.placement.merchant_id}/{state.placement.lane}",
    }


def load(ids: Collection[uuid.UUID]) -> dict[uuid.UUID, Loaded]:
    """Lock payments in the order of their ids and return them with their attempts."""
    if not ids:
        return {}
    wanted = {"ids": list(ids)}
    payments = rows(_PAYMENTS, wanted)
    attempts: dict[uuid.UUID, list[Any]] = {}
    for row in rows(_ATTEMPTS, wanted):
        attempts.setdefault(row.payment_id, []).append(attempt_of(row))
    return {
        row.id: Loaded(
            state_of(row, tuple(attempts.get(row.id, ()))), row.head, row.sealed_card, row.created_at, row.is_told
        )
        for row in payments
    }


def append(changes: Iterable[Change]) -> set[uuid.UUID]:
    """Append events and move the read model; returns the payments that were still at the version expected.

    Payments that end are told to their merchants' webhook endpoints in the same statement.
    """
    payments: list[Mapping[str, Any]] = []
    events: list[Mapping[str, Any]] = []
    attempts: list[Mapping[str, Any]] = []
    messages: list[Mapping[str, Any]] = []
    for change in changes:
        head = _append_events(change, events)
        payments.append(_payment(change, head))
        attempts.extend(_attempts(change))
        if change.ended and change.before.is_told:
            messages.append(message(change.after, change.before.accepted_at, change.at))
    if not payments:
        return set()
    parameters = {
        "ids": [payment["id"] for payment in payments],
        "payments": _json(payments),
        "events": _json(events),
        "attempts": _json(attempts),
    }
    if not messages:
        return {row.id for row in rows(_APPEND, parameters)}
    transaction.on_commit(lambda: ring(WEBHOOKS))
    return {row.id for row in rows(_APPEND_AND_TELL, {**parameters, "messages": _json(messages)})}


def _append_events(change: Change, events: list[Mapping[str, Any]]) -> bytes:
    head, version, payment_id = change.before.head, change.before.state.version, change.before.state.id
    for event in change.events:
        version += 1
        kind, data = e.event_to_data(event)
        head = chained(head, payment_id, version, kind, data, change.actor, change.at)
        events.append(
            {
                "payment_id": payment_id,
                "version": version,
                "type": kind,
                "data": data,
                "actor": change.actor,
                "at": change.at,
                "hash": _bytea(head),
            }
        )
    return head


def _payment(change: Change, head: bytes) -> Mapping[str, Any]:
    return {
        "id": change.after.id,
        "expected": change.before.state.version,
        "head": _bytea(head),
        "at": change.at,
        "ended_at": change.at if change.ended else None,
        **changing_columns(change.after),
    }


def _attempts(change: Change) -> Iterable[Mapping[str, Any]]:
    observed = {seen.attempt: seen for seen in change.observed}
    known = {attempt.number: attempt for attempt in change.before.state.attempts}
    for attempt in change.after.attempts:
        seen = observed.get(attempt.number)
        if seen is None and known.get(attempt.number) == attempt:
            continue
        row = {"payment_id": change.after.id, **attempt_columns(attempt)}
        if seen is not None:
            row |= {"epoch": seen.epoch, "taken_at": seen.taken_at, "answered_at": seen.answered_at}
        yield row


def _bytea(value: bytes) -> str:
    return f"\\x{value.hex()}"


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
