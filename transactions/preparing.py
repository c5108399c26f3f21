"""Makes one message of one queue entry: which attempt it is, its fields, its signature, its key on the wire.

No database here: the entry and the payment come in, a command and a sealed frame go out.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any

import msgspec

from processor.codec.errors import EncodeError
from processor.codec.message import Message, encode
from processor.keys.errors import KeyProblem
from processor.keys.signing import signed
from processor.keys.store import LinkKeys
from processor.link.matching import match_key
from processor.links import LinkConfig, LiveLink
from queueing.failpoints import reach
from queueing.queue import DispatchedFrame
from transactions.domain import commands as c
from transactions.domain.errors import ImpossibleEvent
from transactions.domain.state import PaymentState
from transactions.domain.values import Attempt, Instruction, MessageKind, Operation
from transactions.iso8583 import Wire, carries_mac, payment_message, reversal_message, rrn_of
from transactions.sealing import open_card, open_pin, seal_frame
from transactions.store import Loaded


class Situation(msgspec.Struct, frozen=True):
    """What is the same for every message of a batch."""

    config: LinkConfig
    live: LiveLink
    keys: LinkKeys
    #: now, to the second: field 7 has no finer one
    at: datetime
    draw_stan: Callable[[], int]


class Prepared(msgspec.Struct, frozen=True):
    """What is to be recorded of a message, what is to be queued, and the message itself, in the clear."""

    command: c.Dispatch
    frame: DispatchedFrame
    message: Message


def needs_stan(entry: Any) -> bool:
    """True unless the message is written again under the STAN it had (M5)."""
    return entry.attempt is None or entry.kind == MessageKind.REQUEST


def prepare(entry: Any, loaded: Loaded, situation: Situation) -> Prepared:
    """Return what is to be recorded and sent for an entry; raises CodecError or KeyProblem when it cannot be."""
    state, config = loaded.state, situation.config
    earlier = None if needs_stan(entry) else _attempt(state, entry.attempt)
    undone = _attempt(state, entry.reverses) if entry.kind == MessageKind.REVERSAL else None
    wire = _wire(earlier, _rrn_of_original(undone, state.instruction), situation)
    repeat = entry.takes if earlier else 0
    message = _message(entry, loaded, undone, wire, repeat, situation)
    if mac_key := _mac_key(state, situation):
        message = signed(message, config.dialect, mac_key)
    reach("encoding")
    body = encode(message, config.dialect)
    key = match_key(message, config.dialect)
    if key is None:
        raise EncodeError("the message has no terminal, so its answer could not be told from another's")
    command = c.Dispatch(
        attempt=earlier.number if earlier else state.next_attempt,
        kind=MessageKind(entry.kind),
        mti=message.mti,
        stan=wire.stan,
        transmitted_at=wire.transmitted_at,
        terminal_id=state.instruction.terminal_id,
        rrn=wire.rrn,
        link=config.name,
        business_date=(undone or earlier or situation.live).business_date,
        digest=hashlib.sha256(body).hexdigest(),
        reverses=entry.reverses,
        repeat=repeat,
    )
    frame = DispatchedFrame(entry.id, command.attempt, seal_frame(body, state.id), key, message.mti)
    return Prepared(command, frame, message)


def _wire(earlier: Attempt | None, rrn: str | None, situation: Situation) -> Wire:
    """A repeat keeps what identifies it; a reversal has its own STAN and field 7 and its original's RRN (M5)."""
    if earlier:
        return Wire(earlier.stan, earlier.transmitted_at, earlier.rrn, situation.config.time_zone)
    stan = situation.draw_stan()
    return Wire(stan, situation.at, rrn or rrn_of(stan, situation.at), situation.config.time_zone)


def _rrn_of_original(undone: Attempt | None, instruction: Instruction) -> str | None:
    """A reversal and a void echo field 37 of what they undo."""
    if undone:
        return undone.rrn
    return instruction.original.rrn if instruction.original and instruction.operation is Operation.VOID else None


def _message(
    entry: Any, loaded: Loaded, undone: Attempt | None, wire: Wire, repeat: int, situation: Situation
) -> Message:
    state, dialect = loaded.state, situation.config.dialect
    card = open_card(loaded.sealed_card, state.id) if loaded.sealed_card else None
    if undone:
        return reversal_message(state.instruction, card, undone, wire, repeat, dialect)
    pin_block = open_pin(entry.pin, state.id) if entry.pin else None
    return payment_message(state.instruction, card, pin_block, wire, repeat, dialect)


def _mac_key(state: PaymentState, situation: Situation) -> bytes | None:
    if not carries_mac(state.instruction, situation.config.dialect):
        return None
    if situation.keys.sign_with is None:
        raise KeyProblem("the link has no MAC key, and this operation must be signed")
    return situation.keys.sign_with


def _attempt(state: PaymentState, number: int) -> Attempt:
    attempt = state.attempt(number)
    if attempt is None:
        raise ImpossibleEvent(f"the queue speaks of attempt {number}, which the payment does not know")
    return attempt
