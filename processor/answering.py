"""What comes of a command: its end, a sentence, and what there is to show, masked (S1)."""

from typing import Any

import msgspec

from processor.codec.describe import masked_fields
from processor.codec.dialects import Dialect
from processor.codec.message import decode
from processor.link.console import CommandState


class Answer(msgspec.Struct, frozen=True):
    """What came of a command: its end, a sentence, and what there is to show."""

    state: CommandState
    sentence: str
    detail: dict[str, Any] = {}


def done(sentence: str, **detail: Any) -> Answer:
    """Return that it is done."""
    return Answer(CommandState.DONE, sentence, detail)


def failed(sentence: str, **detail: Any) -> Answer:
    """Return that it was tried, and nothing came of it."""
    return Answer(CommandState.FAILED, sentence, detail)


def shown(body: bytes, dialect: Dialect) -> dict[str, Any]:
    """Return a message for people: masked."""
    message = decode(body, dialect)
    return {"mti": message.mti, "fields": masked_fields(message)}
