"""What a wish of staff or a client means for a payment as it is now: which entry it is about, and the command.

Pure. Services carry it out under locks; pages ask the same rules what to offer, and why not.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgspec

from transactions.domain import commands as c
from transactions.domain.children import NOTHING, Reserved, child_instruction
from transactions.domain.decide import decide
from transactions.domain.errors import NotAllowed
from transactions.domain.state import PaymentState
from transactions.domain.values import Operation, ReasonCode, Status

#: what is provably not with the bank
NOT_TAKEN: Final = ("waiting", "blocked", "ready", "dispatched", "held")
_RELEASABLE: Final = ("held", "waiting")
_RESOLVABLE: Final = ("held", "waiting", "ready", "dispatched")


class Entry(Protocol):
    """What is owed for a payment, from SQL or from Django."""

    id: int
    state: str
    attempt: int | None
    reverses: int | None


class Wish(msgspec.Struct, frozen=True):
    """The entry that is concerned, and what is asked of the payment."""

    entry: Any
    command: c.Command


class Standing(msgspec.Struct, frozen=True):
    """A payment to look at: its state, what is owed for it, and what its open children hold of it."""

    state: PaymentState
    entries: Sequence[Any] = ()
    reserved: Reserved = NOTHING


#: entries come in the order of their ids: a payment's own before one beside it
Wishing = Callable[[PaymentState, Sequence[Any]], Wish]
#: what would be done, tried on a payment as it stands; raises NotAllowed where it is not possible
Trial = Callable[[Standing], object]


def cancelling(state: PaymentState, entries: Sequence[Entry], reason: ReasonCode, note: str) -> Wish:
    """End it before anything is sent; raises NotAllowed once it was taken."""
    if state.status.is_final:
        raise NotAllowed(f"The payment has ended already ({state.status}); it cannot be cancelled.")
    entry = _first(entries)
    if entry is None or entry.state not in NOT_TAKEN:
        raise NotAllowed("The payment is on its way to the bank and cannot be cancelled any more.")
    return Wish(entry, c.Cancel(reason, note))


def retrying(state: PaymentState, entries: Sequence[Entry], note: str) -> Wish:
    """Go on now with what is held or waits for its time; raises NotAllowed for anything else."""
    entry = _first(entries, _RELEASABLE)
    if entry is None:
        raise NotAllowed("Nothing of this payment is on hold or waiting for its time.")
    return Wish(entry, c.Retry(note))


def reversing(state: PaymentState, entries: Sequence[Entry], note: str) -> Wish:
    """Undo what the bank may have done with a payment on hold; raises NotAllowed for any other."""
    entry = _first(entries, ("held",))
    if entry is None or entry.attempt is None:
        raise NotAllowed("Only a payment on hold that the bank may have carried out is reversed.")
    return Wish(entry, c.Reverse(note))


def resolving(state: PaymentState, entries: Sequence[Entry], outcome: Status, evidence: str) -> Wish:
    """End what hangs as a person settled it; raises NotAllowed where nothing hangs or it is on the wire."""
    entry = _first(entries, _RESOLVABLE)
    subject = entry and (entry.reverses or entry.attempt)
    if not entry or not subject:
        raise NotAllowed("Nothing of this payment waits for a person, or it is with the bank just now: look again.")
    return Wish(entry, c.Resolve(subject, outcome, evidence))


def trial(wishing: Wishing) -> Trial:
    """Return a wish about the payment itself, to be tried."""
    return lambda standing: decide(standing.state, wishing(standing.state, standing.entries).command)


def following(operation: Operation, amount_minor: int | None) -> Trial:
    """Return a capture, refund or void, to be tried; without an amount it is of all that is left."""
    return lambda standing: child_instruction(standing.state, operation, amount_minor, standing.reserved)


def left(standing: Standing, operation: Operation) -> int | None:
    """Return how much a capture or refund can be of, in minor units; None where none can follow."""
    try:
        return child_instruction(standing.state, operation, None, standing.reserved).amount_minor
    except NotAllowed:
        return None


def objection(standing: Standing, wanted: Trial) -> str:
    """Return why a wish is not possible now, as a sentence; empty when it is."""
    try:
        wanted(standing)
    except NotAllowed as error:
        return str(error)
    return ""


def _first(entries: Sequence[Entry], states: Sequence[str] = ()) -> Any:
    return next((entry for entry in entries if not states or entry.state in states), None)
