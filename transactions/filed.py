"""What the link's holder filed, opened and read once for everybody who works on it."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import msgspec

from processor.codec.dialects import DIALECTS, Dialect
from processor.codec.errors import DecodeError
from processor.codec.message import Message, decode
from processor.keys.errors import SealBroken
from queueing.database import rows
from transactions.sealing import open_answer

#: What is answered is locked here, before its payment, as everybody does who locks both: a client's cancel among them.
#: What goes out again already is not: a take would pass over it. The state is an expression, as in `queueing`'s ANSWER.
_CLAIM: Final = """
WITH claimed AS MATERIALIZED (
    SELECT * FROM processor_inboundframe i WHERE i.failed = '' AND i.id <> ALL(%(passed_over)s::bigint[])
    ORDER BY i.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), entry AS MATERIALIZED (
    SELECT q.id, q.attempt, q.frame, q.taken_at, q.epoch FROM queueing_queueentry q
    WHERE q.id = ANY(ARRAY(SELECT entry_id FROM claimed)) AND q.state || '' = 'answered' ORDER BY q.id FOR UPDATE
)
SELECT i.id, i.link, i.epoch, i.kind, i.entry_id, i.payment_id, i.attempt, i.cause, i.received_at, i.body, i.dialect,
    coalesce(e.attempt = i.attempt AND i.kind <> 'stray', false) AS decides,
    e.frame, e.taken_at, e.epoch AS taken_epoch
FROM claimed i LEFT JOIN entry e ON e.id = i.entry_id
ORDER BY i.id"""


class Filed(msgspec.Struct, frozen=True):
    """An answer, a silence or a stray."""

    id: int
    link: str
    epoch: int
    kind: str
    entry_id: int | None
    payment_id: uuid.UUID | None
    attempt: int | None
    cause: str
    received_at: datetime
    dialect: Dialect | None
    #: True for the one that moved its entry from taken to answered
    decides: bool
    #: the message that was sent, sealed
    sent: bytes | None
    taken_at: datetime | None
    taken_epoch: int | None
    #: what came in; None for a silence
    body: bytes | None
    #: the same, as it was filed
    sealed: bytes | None
    #: what came in, read; None where it cannot be
    message: Message | None
    unreadable: str = ""

    def about(self, payment_id: uuid.UUID, attempt: int) -> "Filed":
        """Return this with the attempt it turned out to be about."""
        return msgspec.structs.replace(self, payment_id=payment_id, attempt=attempt)


def claim(limit: int, passed_over: Sequence[int]) -> list[Filed]:
    """Lock and return what was filed first; the transaction holds it."""
    return [_filed(row) for row in rows(_CLAIM, {"limit": limit, "passed_over": list(passed_over)})]


def _filed(row: Any) -> Filed:
    dialect = DIALECTS.get(row.dialect)
    body, message, unreadable = _open(row, dialect)
    return Filed(
        id=row.id,
        link=row.link,
        epoch=row.epoch,
        kind=row.kind,
        entry_id=row.entry_id,
        payment_id=row.payment_id,
        attempt=row.attempt,
        cause=row.cause,
        received_at=row.received_at,
        dialect=dialect,
        decides=row.decides,
        sent=row.frame,
        taken_at=row.taken_at,
        taken_epoch=row.taken_epoch,
        body=body,
        sealed=row.body,
        message=message,
        unreadable=unreadable,
    )


def _open(row: Any, dialect: Dialect | None) -> tuple[bytes | None, Message | None, str]:
    if not row.body or dialect is None:
        return None, None, ""
    try:
        body = open_answer(row.body, row.link)
    except SealBroken as error:
        return b"", None, str(error)
    try:
        return body, decode(body, dialect), ""
    except DecodeError as error:
        return body, None, f"{len(body)} bytes: {error}"
