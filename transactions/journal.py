"""The journal's part of a settled batch: every message that was on the wire, masked."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from processor.codec.describe import masked_fields
from processor.codec.dialects import Dialect
from processor.codec.message import decode
from queueing.database import run
from transactions.filed import Filed
from transactions.sealing import open_frame

_INSERT: Final = """
INSERT INTO processor_message (link, epoch, outward, mti, at, payment_id, attempt, fields, remark)
SELECT link, epoch, outward, mti, at, payment_id, attempt, fields, remark
FROM json_to_recordset(%(messages)s::json) AS m(
    link text, epoch int, outward bool, mti text, at timestamptz, payment_id uuid, attempt smallint, fields jsonb,
    remark text)"""


def write(filed: Sequence[Filed], remarks: Mapping[int, str], dialects: Mapping[str, Dialect]) -> None:
    """Write what was sent and what came back; `dialects` by link, for what was sent and never answered."""
    messages = [message for one in filed for message in _messages(one, remarks.get(one.id, ""), dialects)]
    if messages:
        run(_INSERT, {"messages": msgspec.json.encode(messages).decode()})


def _messages(filed: Filed, remark: str, dialects: Mapping[str, Dialect]) -> list[dict[str, Any]]:
    messages = []
    if filed.decides and filed.sent and filed.payment_id:
        sent = decode(open_frame(filed.sent, filed.payment_id), filed.dialect or dialects[filed.link])
        unsure = "maybe sent" if filed.cause == "taken_over" else filed.cause
        outward = {"outward": True, "epoch": filed.taken_epoch, "at": filed.taken_at, "remark": unsure}
        messages.append(_row(filed) | outward | {"mti": sent.mti, "fields": masked_fields(sent)})
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
