"""The journal's part of a settled batch: every message that was on the wire, masked."""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import msgspec

from processor.codec.describe import masked_fields
from processor.codec.dialects import Dialect
from processor.codec.message import Message, decode
from queueing.database import run
from transactions.filed import Filed
from transactions.sealing import open_frame

_INSERT: Final = """
INSERT INTO processor_message (link, epoch, outward, mti, at, payment_id, attempt, fields, remark)
SELECT link, epoch, outward, mti, at, payment_id, attempt, fields, remark
FROM json_to_recordset(%(messages)s::json) AS m(
    link text, epoch int, outward bool, mti text, at timestamptz, payment_id uuid, attempt smallint, fields jsonb,
    remark text)"""


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
        mti, fields = SENT.read(filed.sent, filed.payment_id, filed.dialect or dialects[filed.link])
        unsure = "maybe sent" if filed.cause == "taken_over" else filed.cause
        outward = {"outward": True, "epoch": filed.taken_epoch, "at": filed.taken_at, "remark": unsure}
        messages.append(_row(filed) | outward | {"mti": mti, "fields": fields})
    if filed.message:
        messages.append(
            _row(filed) | {"mti": filed.message.mti, "fields": masked_fields(filed.message), "remark": remark}
        )
    elif filed.body is not None:
        messages.append(_row(filed) | {"mti": "", "fields": {"unreadable": filed.unreadable}, "remark": remark})
    return messages


def _row(filed: Filed) -> dict[str, Any]:
    return {
        "link": filed.link,
        "epoch": filed.epoch,
        "outward": False,
        "at": filed.received_at,
        "payment_id": filed.payment_id,
        "attempt": filed.attempt,
    }
