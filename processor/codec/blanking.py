"""What nobody may keep of a message once its payment is authorised. Pure.

PCI DSS 3.3.1 (3.2 before): tracks, PIN blocks and chip data are not kept after authorisation, not even encrypted. So
they are blanked before a message is kept, field by field with zeros of the same length: what is kept has the length,
the bitmap and every other byte of what was on the wire. A MAC over it no longer fits. Card verification codes have no
field in our dialects.
"""

from collections.abc import Iterable
from typing import Final

from processor.codec.dialects import Dialect
from processor.codec.message import Message

#: tracks 2, 3 and 1, PIN block, chip data; a dialect may carry its PIN block in yet another
_NEVER_KEPT: Final = frozenset({35, 36, 45, 52, 55})


def never_kept(numbers: Iterable[int], dialect: Dialect) -> list[int]:
    """Return those of the fields that are never kept, in their order."""
    return sorted({*numbers} & {*_NEVER_KEPT, dialect.pin_field})


def blanked(message: Message, dialect: Dialect) -> Message:
    """Return the message with zeros in what is never kept."""
    blank = {number: "0" * len(message.fields[number]) for number in never_kept(message.fields, dialect)}
    return Message(message.mti, {**message.fields, **blank})
