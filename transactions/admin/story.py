"""A payment's story: its events and its messages in the order in which they happened, in words.

Pure: rows come in, what a page shows goes out.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from processor.codec.describe import FieldDescription
from processor.codec.dialects import Dialect
from processor.message_words import fields_in_words, message_in_words
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
    #: how long after the one before
    after: str = ""
    #: of a message that is kept as it was on the wire
    message_id: int | None = None


def tell(events: Iterable[Any], messages: Iterable[Any], dialect: Dialect) -> list[Chapter]:
    """Return the story, first to last."""
    chapters = [_of_event(event) for event in events] + [_of_message(message, dialect) for message in messages]
    return _timed(sorted(chapters, key=lambda chapter: chapter.at))


def _timed(chapters: Sequence[Chapter]) -> list[Chapter]:
    """Say of each how long after the one before it came."""
    return [
        replace(chapter, after=words.lapse((chapter.at - before.at).total_seconds())) if before else chapter
        for before, chapter in zip([None, *chapters], chapters, strict=False)
    ]


def _of_event(event: Any) -> Chapter:
    title, detail, mark = _TELLERS.get(event.type, _plain)(event.data)
    note = event.data.get("note", "")
    detail = " ".join(part for part in (detail, f"“{note}”" if note else "") if part)
    return Chapter(event.at, title or words.spoken(event.type), detail, words.actor(event.actor), mark)


def _of_message(message: Any, dialect: Dialect) -> Chapter:
    direction = _("To the bank") if message.outward else _("From the bank")
    mark = "sent" if message.outward else "received"
    title = f"{direction}: {message.mti} {message_in_words(message.mti, message.fields, dialect)}".replace(" :", ":")
    fields = fields_in_words(message.fields, dialect)
    kept = message.pk if message.is_kept else None
    return Chapter(message.at, title, words.spoken(message.remark), "", mark, fields, message_id=kept)


Told = tuple[str, str, str]


def _accepted(data: Mapping[str, Any]) -> Told:
    instruction = data["instruction"]
    amount = words.money(instruction["amount_minor"], instruction["currency"])
    what = _("%(operation)s of %(amount)s") % {"operation": words.spoken(instruction["operation"]), "amount": amount}
    if data.get("route"):
        what += "; " + _("rule {route} of the routing table chose the link").format(route=data["route"])
    return _("Accepted"), what, "plain"


def _dispatched(data: Mapping[str, Any]) -> Told:
    what = {
        "request": _("Request prepared"),
        "advice": _("Advice prepared"),
        "reversal": _("Reversal prepared"),
    }[data["kind"]]
    again = _(", again") if data.get("repeat") else ""
    named = {"mti": data["mti"], "stan": f"{data['stan']:06d}", "attempt": data["attempt"]}
    return what + again, _("%(mti)s, STAN %(stan)s, attempt %(attempt)s") % named, "plain"


def _recalled(data: Mapping[str, Any]) -> Told:
    return _("Taken back unsent"), words.reason(data["reason"]), "waiting"


def _approved(data: Mapping[str, Any]) -> Told:
    code = data.get("authorisation_code")
    return _("Approved"), _("authorisation code %(code)s") % {"code": code} if code else "", "good"


def _attempt_declined(data: Mapping[str, Any]) -> Told:
    detail = _("code %(code)s; tried again later") % {"code": data["response_code"]}
    return _("Declined for a passing reason"), detail, "waiting"


def _declined(data: Mapping[str, Any]) -> Told:
    detail = _("code %(code)s. %(why)s") % {"code": data["response_code"], "why": words.reason(data["reason"])}
    return _("Declined"), detail, "bad"


def _failed(data: Mapping[str, Any]) -> Told:
    return _("Failed"), words.reason(data["reason"]), "bad"


def _reversal_required(data: Mapping[str, Any]) -> Told:
    why = words.reason(data["reason"])
    return _("To be reversed"), f"{why} {data['note']}" if data.get("note") else why, "waiting"


def _unaccepted(data: Mapping[str, Any]) -> Told:
    return _("Not accepted yet"), words.reason(data["reason"]), "waiting"


def _reversed(data: Mapping[str, Any]) -> Told:
    return _("Reversed"), _("the bank accepted the reversal, code %(code)s") % {"code": data["response_code"]}, "good"


def _noted(data: Mapping[str, Any]) -> Told:
    code = data.get("response_code", _("none"))
    if data.get("approval"):
        means = _("code %(code)s; the bank carried it out, and its reversal goes on") % {"code": code}
    else:
        means = _("code %(code)s; it changes nothing") % {"code": code}
    return _("Late or duplicate answer noted"), means, "plain"


def _held(data: Mapping[str, Any]) -> Told:
    return _("On hold"), words.reason(data["reason"]), "bad"


def _resolved(data: Mapping[str, Any]) -> Told:
    title = _("Resolved as %(outcome)s") % {"outcome": words.spoken(data["outcome"])}
    return title, _("evidence: %(evidence)s") % {"evidence": data["evidence"]}, "good"


def _followed(data: Mapping[str, Any]) -> Told:
    title = {"capture": _("Captured"), "refund": _("Refunded"), "void": _("Voided")}[data["operation"]]
    return title, _("by the payment {payment}").format(payment=data["child_id"]), "good"


def _ended(title: str) -> Callable[[Mapping[str, Any]], Told]:
    return lambda data: (_(title), words.reason(data["reason"]), "bad")


def _retry(__: Mapping[str, Any]) -> Told:
    return _("Told to go on now"), "", "plain"


def _plain(__: Mapping[str, Any]) -> Told:
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
    "ChildApproved": _followed,
    "Cancelled": _ended(gettext_noop("Cancelled")),
    "Expired": _ended(gettext_noop("Expired")),
}
