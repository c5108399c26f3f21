"""A message's MAC: over the packed body without that field. Pure: the keys come in."""

from collections.abc import Sequence

from processor.codec.dialects import Dialect
from processor.codec.errors import EncodeError
from processor.codec.message import Message, encode
from processor.keys.software import mac, mac_matches


def signed(message: Message, dialect: Dialect, mac_key: bytes) -> Message:
    """Return the message with its MAC, which is over the body without that field."""
    code = mac(mac_key, encode(message, dialect))[: dialect.mac_digits]
    return Message(message.mti, {**message.fields, dialect.mac_field: code})


def mac_fits(message: Message, dialect: Dialect, mac_keys: Sequence[bytes]) -> bool:
    """Say whether a message carries the MAC that one of the keys makes."""
    claimed = message.get(dialect.mac_field)
    if not claimed or len(claimed) != dialect.mac_digits:
        return False
    unsigned = {number: value for number, value in message.fields.items() if number != dialect.mac_field}
    try:
        body = encode(Message(message.mti, unsigned), dialect)
    except EncodeError:
        return False
    return any(mac_matches(key, body, claimed) for key in mac_keys)
