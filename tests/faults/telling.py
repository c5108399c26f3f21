"""What must hold of webhooks (H1): what there was to tell and what was heard in, sentences about what is wrong out."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID


@dataclass(slots=True)
class Heard:
    """All requests under one `webhook-id`."""

    times: int = 0
    #: what their bodies were; one, if the id is stable
    digests: set[str] = field(default_factory=set)
    #: how many of them were answered 2xx
    taken: int = 0


@dataclass(frozen=True, slots=True)
class Telling:
    """Both sides: what there was to tell, and what was heard."""

    ended: Sequence[Any]
    messages: Sequence[Any]
    deliveries: Sequence[Any]
    heard: Mapping[str, Heard]


def h1_every_end_is_a_message(telling: Telling) -> Iterator[str]:
    """Whatever ended has a message that says how."""
    told = defaultdict(set)
    for message in telling.messages:
        told[message.payment_id].add(message.type)
    for payment in telling.ended:
        if f"payment.{payment.status}" not in told[payment.id]:
            yield f"payment {payment.id} ended {payment.status} and its messages are {sorted(told[payment.id])}"


def h1_delivered_or_seen_to_be_given_up(telling: Telling) -> Iterator[str]:
    """Every message has its deliveries; each that is delivered was taken by the receiver once."""
    states = defaultdict(list)
    for delivery in telling.deliveries:
        states[delivery.message_id].append(delivery.state)
    for message in telling.messages:
        for state in states[message.id] or ["not there"]:
            if state not in ("delivered", "exhausted"):
                yield f"a delivery of {message.id} is {state}"
        heard, delivered = telling.heard.get(webhook_id(message.id), Heard()), states[message.id].count("delivered")
        if heard.taken < delivered:
            yield f"{message.id} is delivered {delivered} times, and the receiver took {heard.taken} of {heard.times}"


def h1_nothing_is_told_that_was_not_committed(telling: Telling) -> Iterator[str]:
    """Whatever was heard is a message, in its own words, every time."""
    digests = {webhook_id(message.id): digest(message.body.encode()) for message in telling.messages}
    for name, heard in telling.heard.items():
        if name not in digests:
            yield f"{name} was heard and is no message"
        elif heard.digests != {digests[name]}:
            yield f"{name} was heard in {len(heard.digests)} wordings, not all its own"


CHECKS: Final = (
    h1_every_end_is_a_message,
    h1_delivered_or_seen_to_be_given_up,
    h1_nothing_is_told_that_was_not_committed,
)


def violations(telling: Telling) -> list[str]:
    """Return everything that does not hold, with the name of its check."""
    return [f"{check.__name__}: {what}" for check in CHECKS for what in check(telling)]


def webhook_id(message_id: UUID) -> str:
    """Return what a receiver is given as the id of a message."""
    return f"msg_{message_id.hex}"


def digest(body: bytes) -> str:
    """Return what stands for a body."""
    return hashlib.sha256(body).hexdigest()
