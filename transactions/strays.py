"""Finds whose answer it was: by its content, among all attempts the link ever made."""

import uuid
from typing import Any, Final

from processor.codec.dialects import Dialect
from processor.codec.message import Message
from processor.link.matching import match_key
from queueing.database import rows
from transactions.filed import Filed

_CANDIDATES: Final = """
SELECT payment_id, number, mti, stan, transmitted_at, terminal_id FROM transactions_attempt
WHERE link = %(link)s AND stan = %(stan)s::int ORDER BY transmitted_at DESC"""


def find_attempt(stray: Filed) -> tuple[uuid.UUID, int] | None:
    """Return the payment and the attempt that an answer belongs to; None for nobody's."""
    message, dialect = stray.message, stray.dialect
    stan = message.get(11) if message else None
    if message is None or dialect is None or not stan or not message.is_answer:
        return None
    key = match_key(message, dialect)
    for row in rows(_CANDIDATES, {"link": stray.link, "stan": int(stan)}):
        if _key_of(row, dialect) == key:
            return row.payment_id, row.number
    return None


def _key_of(attempt: Any, dialect: Dialect) -> str | None:
    fields = {7: f"{attempt.transmitted_at:%m%d%H%M%S}", 11: f"{attempt.stan:06d}", 41: attempt.terminal_id}
    return match_key(Message(attempt.mti, fields), dialect)
