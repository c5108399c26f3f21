"""Where one message ends and the next begins on a TCP stream.

Owns the length header (and the TPDU behind it). Anything that is not a frame is a FramingError: the
connection is closed, never resynchronised by guessing. Pure: bytes in, bodies out.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import ClassVar

from processor.codec.errors import EncodeError, FramingError

_OUR_TPDU = bytes.fromhex("6000000000")


class Framing(ABC):
    """One direction-aware framing of one connection; feed it bytes, take bodies."""

    name: ClassVar[str]
    header_size: ClassVar[int]

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._buffer = bytearray()

    @abstractmethod
    def _read_length(self, header: bytes) -> int:
        """Return the body's length in bytes; raises FramingError."""

    @abstractmethod
    def _write_length(self, length: int) -> bytes:
        """Return the header of a body that long."""

    def frame(self, body: bytes) -> bytes:
        """Return the body as it goes on the wire."""
        if len(body) > self._max_body:
            raise EncodeError(f"a body of {len(body)} bytes is longer than {self._max_body}")
        return self._write_length(len(body)) + body

    def answer(self, body: bytes) -> bytes:
        """Return a body that answers the host's own last message."""
        return self.frame(body)

    def feed(self, received: bytes) -> Iterator[bytes]:
        """Yield the bodies that are complete now, then raise FramingError if the stream is broken behind them."""
        self._buffer += received
        while (body := self._next()) is not None:
            if body:
                yield body

    @property
    def incomplete(self) -> bool:
        """True while a frame has begun and not ended."""
        return bool(self._buffer)

    def _next(self) -> bytes | None:
        if len(self._buffer) < self.header_size:
            return None
        length = self._read_length(bytes(self._buffer[: self.header_size]))
        if length > self._max_body:
            raise FramingError(f"a frame of {length} bytes is longer than {self._max_body}")
        end = self.header_size + length
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[self.header_size : end])
        del self._buffer[:end]
        return self._strip(body)

    def _strip(self, body: bytes) -> bytes:
        return body


class Ascii4(Framing):
    """Four ASCII digits; 0000 is a keep-alive and is skipped."""

    name = "ascii4"
    header_size = 4

    def _read_length(self, header: bytes) -> int:
        if not header.isdigit():
            raise FramingError("the length is not four digits")
        return int(header)

    def _write_length(self, length: int) -> bytes:
        return b"%04d" % length


class Binary2(Framing):
    """Two bytes, big-endian."""

    name = "binary2"
    header_size = 2

    def _read_length(self, header: bytes) -> int:
        return int.from_bytes(header, "big")

    def _write_length(self, length: int) -> bytes:
        return length.to_bytes(2, "big")


class Binary2Tpdu(Binary2):
    """As binary2, then a TPDU of five bytes; an answer swaps its destination and its source."""

    name = "binary2-tpdu"

    def __init__(self, max_body: int) -> None:
        super().__init__(max_body + len(_OUR_TPDU))
        self._last_tpdu = _OUR_TPDU

    def frame(self, body: bytes) -> bytes:
        """Return the body behind our own TPDU."""
        return super().frame(_OUR_TPDU + body)

    def answer(self, body: bytes) -> bytes:
        """Return the body behind the host's last TPDU, its addresses swapped."""
        kind, destination, source = self._last_tpdu[:1], self._last_tpdu[1:3], self._last_tpdu[3:5]
        return super().frame(kind + source + destination + body)

    def _strip(self, body: bytes) -> bytes:
        if body and (len(body) < len(_OUR_TPDU) or body[0] != _OUR_TPDU[0]):
            raise FramingError("the frame has no TPDU")
        self._last_tpdu = body[: len(_OUR_TPDU)] or self._last_tpdu
        return body[len(_OUR_TPDU) :]


class Bcd2(Framing):
    """Two bytes, four BCD digits."""

    name = "bcd2"
    header_size = 2

    def _read_length(self, header: bytes) -> int:
        digits = header.hex()
        if not digits.isdigit():
            raise FramingError("the length is not BCD")
        return int(digits)

    def _write_length(self, length: int) -> bytes:
        return bytes.fromhex(f"{length:04d}")


FRAMINGS: Mapping[str, type[Framing]] = MappingProxyType(
    {framing.name: framing for framing in (Ascii4, Binary2, Binary2Tpdu, Bcd2)}
)
