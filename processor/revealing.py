"""Messages as they were on the wire: who sees one, and for how long any is kept.

A look is written down before anything is opened. What is never kept (`codec.blanking`) is not here either.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _

from processor import links
from processor import statements as sql
from processor.codec.dialects import DIALECTS, Dialect
from processor.codec.errors import DecodeError
from processor.codec.message import decode
from processor.errors import ProcessorError
from processor.keys.errors import SealBroken
from processor.keys.pan_vault import Purpose, vault_of
from processor.models import Message
from queueing.database import run
from staff.audit import Actor, Result, record, subject_of

if TYPE_CHECKING:
    from uuid import UUID

REVEAL: Final = "processor.reveal_message"
_ACTION: Final = "reveal_message"
_BATCH: Final = 1000
_BATCHES: Final = 20

_log = structlog.get_logger(__name__)


class NotKept(ProcessorError):
    """The message's bytes are not kept, or not any more."""

    permanent = True


@dataclass(frozen=True, slots=True, repr=False)
class Raw:
    """A message in the clear; without a repr, so that nothing of it gets into a log."""

    body: bytes
    #: field number -> text; empty where it cannot be read
    fields: dict[str, str]
    dialect: Dialect
    unreadable: str = ""


def without_bodies(messages: "QuerySet[Message]") -> "QuerySet[Message]":
    """Return messages without their sealed bytes, but with `is_kept`: whether there are any."""
    return messages.defer("sealed_body").annotate(is_kept=Q(sealed_body__isnull=False))


def reveal(message_id: int, by: Actor, reason: str) -> Raw:
    """Write down who looks and why, for good, and only then open the message.

    Raises PermissionDenied, NotKept, or SealBroken under another MASTER_KEY; the last is written down too.
    """
    if not by.may(REVEAL):
        raise PermissionDenied
    message = Message.objects.get(pk=message_id)
    if message.sealed_body is None:
        raise NotKept(
            _("Its bytes are not kept: they are removed after %(days)g days, and never kept of what is unreadable.")
            % {"days": settings.RAW_MESSAGE_DAYS}
        )
    _write_down(message, by, Result.DONE, reason)
    try:
        body = _opened(message, bytes(message.sealed_body))
    except SealBroken:
        _write_down(message, by, Result.FAILED, reason)
        raise
    config = links.remembered(message.link)
    dialect = config.dialect if config else DIALECTS["bank-ascii87"]
    try:
        fields = decode(body, dialect).fields
    except DecodeError as error:
        return Raw(body, {}, dialect, str(error))
    return Raw(body, {str(number): value for number, value in sorted(fields.items())}, dialect)


def forget() -> int:
    """Remove the bytes of messages that are old enough, batch by batch, so many a run; returns how many."""
    removed = 0
    for _batch in range(_BATCHES):
        count = run(sql.FORGET_BODIES, {"days": settings.RAW_MESSAGE_DAYS, "limit": _BATCH})
        removed += count
        if count < _BATCH:
            break
    if removed:
        _log.info("messages.forgotten", messages=removed)
    return removed


def _write_down(message: Message, by: Actor, result: Result, reason: str) -> None:
    """Committed when this returns, whatever becomes of the page: durable raises inside another transaction."""
    detail = {
        "link": message.link,
        "mti": message.mti,
        "direction": "out" if message.outward else "in",
        "payment": str(message.payment_id or ""),
    }
    with transaction.atomic(durable=True):
        record(_ACTION, by, result, subject=subject_of(message), why=reason, detail=detail)


def _opened(message: Message, sealed: bytes) -> bytes:
    """A message to the bank is bound to its payment, as its frame was; one from the bank to its link."""
    vault = vault_of(settings.MASTER_KEY)
    payment_id: UUID | None = message.payment_id
    if message.outward and payment_id:
        return vault.open(Purpose.FRAME, sealed, payment_id.bytes)
    return vault.open(Purpose.ANSWER, sealed, message.link.encode())
