"""Which answer belongs to which message: by content, never by order of arrival."""

from processor.codec.dialects import Dialect
from processor.codec.message import Message


def match_key(message: Message, dialect: Dialect) -> str | None:
    """Return what identifies a message and its answer alike; None when a part of it is missing.

    Shape: MTI version and class, then the dialect's fields, e.g. ``02:000123:1120185959:ATM-001``.
    """
    parts = [message.mti[:2]]
    for number in dialect.match.get(parts[0], ()):
        value = message.get(number)
        if not value:
            return None
        parts.append(value)
    return ":".join(parts) if len(parts) > 1 else None
