"""The journal's part of a settled batch: every message that was on the wire, masked, and its bytes sealed.

The bytes are not sealed again: a frame is carried over as it was dispatched, an answer as it was filed. Only what holds
a PIN block or a track is made anew without it (`codec.blanking`). What nobody can read may hold anything: it is not
kept.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec
from django.conf import settings

from processor.codec.blanking import blanked, never_kept
from processor.codec.describe import masked_fields
from processor.codec.dialects import Dialect
from processor.codec.errors import EncodeError
from processor.codec.message import Message, decode, encode
from queueing.database import run
from transactions.filed import Filed
from transactions.sealing import open_frame, seal_answer, seal_frame

_INSERT: Final = """
INSERT INTO processor_message (link, epoch, outward, mti, at, payment_id, attempt, fields, remark, sealed_body)
SELECT link, epoch, outward, mti, at, payment_id, attempt, fields, remark, sealed_body
FROM json_to_recordset(%(messages)s::json) AS m(
    link text, epoch int, outward bool, mti text, at timestamptz, payment_id uuid, attempt smallint, fields jsonb,
    remark text, sealed_body bytea)"""


_REMEMBERED: Final = 1024


class Sent:
    """What this process made lately, masked: spares the settling opening and reading it once more. May forget."""

    def __init__(self) -> None:
        self._messages: dict[bytes, tuple[str, Mapping[str, str]]] = {}
        self._lock = threading.Lock()

    def remember(self, sealed: bytes, message: Message) -> None:
        """Keep a message by its sealed frame, which no other has."""
        masked = masked_fields(message)
        with self._lock:
            self._messages[sealed] = (message.mti, masked)
            if len(self._messages) > _REMEMBERED:
                del self._messages[next(iter(self._messages))]

    def read(self, sealed: bytes, payment_id: UUID, dialect: Dialect) -> tuple[str, Mapping[str, str]]:
        """Return MTI and masked fields of a frame, remembered or read again."""
        with self._lock:
            remembered = self._messages.pop(sealed, None)
        if remembered:
            return remembered
        message = decode(open_frame(sealed, payment_id), dialect)
        return message.mti, masked_fields(message)


SENT: Final = Sent()


def write(filed: Sequence[Filed], remarks: Mapping[int, str], dialects: Mapping[str, Dialect]) -> None:
    """Write what was sent and what came back; `dialects` by link, for what was sent and never answered."""
    messages = [message for one in filed for message in _messages(one, remarks.get(one.id, ""), dialects)]
    if messages:
        run(_INSERT, {"messages": msgspec.json.encode(messages).decode()})


def _messages(filed: Filed, remark: str, dialects: Mapping[str, Dialect]) -> list[dict[str, Any]]:
    messages = []
    if filed.decides and filed.sent and filed.payment_id:
        dialect = filed.dialect or dialects[filed.link]
        mti, fields = SENT.read(filed.sent, filed.payment_id, dialect)
        unsure = "maybe sent" if filed.cause == "taken_over" else filed.cause
        outward = {"outward": True, "epoch": filed.taken_epoch, "at": filed.taken_at, "remark": unsure}
        body = _kept_frame(filed.sent, filed.payment_id, fields, dialect)
        messages.append(_row(filed) | outward | {"mti": mti, "fields": fields, "sealed_body": body})
    if filed.message:
        read = {"mti": filed.message.mti, "fields": masked_fields(filed.message), "sealed_body": _kept_answer(filed)}
        messages.append(_row(filed) | read | {"remark": remark})
    elif filed.body is not None:
        messages.append(_row(filed) | {"mti": "", "fields": {"unreadable": filed.unreadable}, "remark": remark})
    return messages


def _kept_frame(sealed: bytes, payment_id: UUID, fields: Mapping[str, str], dialect: Dialect) -> str | None:
    if not settings.RAW_MESSAGE_DAYS:
        return None
    if never_kept(map(int, fields), dialect):
        sealed = seal_frame(
            encode(blanked(decode(open_frame(sealed, payment_id), dialect), dialect), dialect), payment_id
        )
    return _as_bytea(sealed)


def _kept_answer(filed: Filed) -> str | None:
    if not (settings.RAW_MESSAGE_DAYS and filed.sealed and filed.message and filed.dialect):
        return None
    if not never_kept(filed.message.fields, filed.dialect):
        return _as_bytea(filed.sealed)
    try:
        body = encode(blanked(filed.message, filed.dialect), filed.dialect)
    except EncodeError:
        # The host wrote what we may read but not write: it is not kept, rather than kept with its PIN block.
        return None
    return _as_bytea(seal_answer(body, filed.link))


def _as_bytea(sealed: bytes) -> str:
    r"""Return bytes as PostgreSQL reads them from JSON's text: \x and hexadecimal digits."""
    return rf"\x{sealed.hex()}"


def _row(filed: Filed) -> dict[str, Any]:
    return {
        "link": filed.link,
        "epoch": filed.epoch,
        "outward": False,
        "at": filed.received_at,
        "payment_id": filed.payment_id,
        "attempt": filed.attempt,
    }
