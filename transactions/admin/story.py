"""A payment's story: its events and its messages in the order in which they happened, in words.

Pure: rows come in, what a page shows goes out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from processor.codec.describe import FieldDescription, describe, describe_mti
from processor.codec.dialects import Dialect
from transactions.admin import words


@dataclass(frozen=True, slots=True)
class Chapter:
    """One entry of the timeline."""

    at: datetime
    title: str
    detail: str = ""
    by: str = ""
    #: how it is marked: good, bad, waiting, sent, received or plain
    mark: str = "plain"
    fields: Sequence[FieldDescription] = ()


def tell(events: Iterable[Any], messages: Iterable[Any], dialect: Dialect) -> list[Chapter]:
    """Return the story, first to last."""
    chapters = [_of_event(event) for event in events] + [_of_message(message, dialect) for message in messages]
    return sorted(chapters, key=lambda chapter: chapter.at)


def _of_event(event: Any) -> Chapter:
    title, detail, mark = _TELLERS.get(event.type, _plain)(event.data)
    note = event.data.get("note", "")
    detail = " ".join(part for part in (detail, f"“{note}”" if note else "") if part)
    return Chapter(event.at, title or words.spoken(event.type), detail, words.actor(event.actor), mark)


def _of_message(message: Any, dialect: Dialect) -> Chapter:
    direction = "To the bank" if message.outward else "From the bank"
    mark = "sent" if message.outward else "received"
    title = f"{direction}: {message.mti} {describe_mti(message.mti)}".replace(" :", ":")
    return Chapter(message.at, title, words.spoken(message.remark), "", mark, describe(message.fields, dialect))


Told = tuple[str, str, str]


def _accepted(data: Mapping[str, Any]) -> Told:
    instruction = data["instruction"]
    amount = words.money(instruction["amount_minor"], instruction["currency"])
    return "Accepted", f"{words.spoken(instruction['operation'])} of {amount}", "plain"


def _dispatched(data: Mapping[str, Any]) -> Told:
    again = ", again" if data.get("repeat") else ""
    what = {"request": "Request", "advice": "Advice", "reversal": "Reversal"}[data["kind"]]
    return f"{what} prepared{again}", f"{data['mti']}, STAN {data['stan']:06d}, attempt {data['attempt']}", "plain"


def _recalled(data: Mapping[str, Any]) -> Told:
    return "Taken back unsent", words.reason(data["reason"]), "waiting"


def _approved(data: Mapping[str, Any]) -> Told:
    code = data.get("authorisation_code")
    return "Approved", f"authorisation code {code}" if code else "", "good"


def _attempt_declined(data: Mapping[str, Any]) -> Told:
    return "Declined for a passing reason", f"code {data['response_code']}; tried again later", "waiting"


def _declined(data: Mapping[str, Any]) -> Told:
    return "Declined", f"code {data['response_code']}. {words.reason(data['reason'])}", "bad"


def _failed(data: Mapping[str, Any]) -> Told:
    return "Failed", words.reason(data["reason"]), "bad"


def _reversal_required(data: Mapping[str, Any]) -> Told:
    why = words.reason(data["reason"])
    return "To be reversed", f"{why} {data['note']}" if data.get("note") else why, "waiting"


def _unaccepted(data: Mapping[str, Any]) -> Told:
    return "Not accepted yet", words.reason(data["reason"]), "waiting"


def _reversed(data: Mapping[str, Any]) -> Told:
    return "Reversed", f"the bank accepted the reversal, code {data['response_code']}", "good"


def _noted(data: Mapping[str, Any]) -> Told:
    return "Late or duplicate answer noted", f"code {data.get('response_code', 'none')}; it changes nothing", "plain"


def _held(data: Mapping[str, Any]) -> Told:
    return "On hold", words.reason(data["reason"]), "bad"


def _resolved(data: Mapping[str, Any]) -> Told:
    return f"Resolved as {data['outcome']}", f"evidence: {data['evidence']}", "good"


def _ended(title: str) -> Callable[[Mapping[str, Any]], Told]:
    return lambda data: (title, words.reason(data["reason"]), "bad")


def _retry(_: Mapping[str, Any]) -> Told:
    return "Told to go on now", "", "plain"


def _plain(_: Mapping[str, Any]) -> Told:
    return "", "", "plain"


_TELLERS: Final[Mapping[str, Callable[[Mapping[str, Any]], Told]]] = {
    "Accepted": _accepted,
    "Dispatched": _dispatched,
    "Recalled": _recalled,
    "Approved": _approved,
    "AttemptDeclined": _attempt_declined,
    "Declined": _declined,
    "Failed": _failed,
    "ReversalRequired": _reversal_required,
    "Unaccepted": _unaccepted,
    "Reversed": _reversed,
    "AnswerNoted": _noted,
    "Held": _held,
    "RetryRequested": _retry,
    "Resolved": _resolved,
    "Cancelled": _ended("Cancelled"),
    "Expired": _ended("Expired"),
}
