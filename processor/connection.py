"""Our only socket: one non-blocking TCP connection to a host, on an asyncio loop.

Owns the socket's options and the rule that no byte is handed to the kernel without leave (F2). Knows
bytes only; what they mean is `link.machine`'s.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Final

from queueing.failpoints import is_due, reach

_READ_SIZE: Final = 65536
#: the largest window's answers twice; the kernel's own idea, 6 MB, would take minutes to file from a babbling host
_RECEIVE_BUFFER: Final = 262_144
_USER_TIMEOUT_MS: Final = 10_000
#: a host that does not take our bytes for so long is not going to
_WRITE_TIMEOUT_S: Final = 10.0
#: a host that asks and does not take our answers is not heard any further meanwhile
_MOST_UNWRITTEN: Final = 1_048_576
_RESET: Final = struct.pack("ii", 1, 0)
_FINISH: Final = struct.pack("ii", 0, 0)


class Connection:
    """A connected socket; calls `received(bytes)`, `cleared()` when a jam has gone, and once `lost()`."""

    def __init__(
        self,
        sock: socket.socket,
        may_write: Callable[[], bool],
        received: Callable[[bytes], None],
        cleared: Callable[[], None],
        lost: Callable[[], None],
    ) -> None:
        self._socket = sock
        self._may_write = may_write
        self._received = received
        self._cleared = cleared
        self._lost = lost
        self._unwritten = bytearray()
        self._is_held_back = False
        self._is_reading = True
        self._patience: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock, self._readable)

    @classmethod
    async def open(
        cls,
        endpoint: tuple[str, int],
        timeout_s: float,
        may_write: Callable[[], bool],
        received: Callable[[bytes], None],
        cleared: Callable[[], None],
        lost: Callable[[], None],
    ) -> "Connection":
        """Connect; raises OSError (TimeoutError among them)."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(timeout_s):
            family, kind, protocol, _, address = (await loop.getaddrinfo(*endpoint, type=socket.SOCK_STREAM))[0]
            sock = socket.socket(family, kind, protocol)
            try:
                sock.setblocking(False)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _USER_TIMEOUT_MS)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
                # Whatever ends this process resets the connection: nothing lingers in the kernel's buffer.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                await loop.sock_connect(sock, address)
            except BaseException:
                sock.close()
                raise
        return cls(sock, may_write, received, cleared, lost)

    @staticmethod
    async def reaches(endpoint: tuple[str, int], timeout_s: float) -> bool:
        """Say whether a host accepts connections, without a word to it."""
        try:
            async with asyncio.timeout(timeout_s):
                _, writer = await asyncio.open_connection(*endpoint)
        except OSError:
            return False
        writer.close()
        return True

    @staticmethod
    async def is_known(endpoint: tuple[str, int]) -> bool:
        """Say whether a host's name leads to an address."""
        try:
            return bool(await asyncio.get_running_loop().getaddrinfo(*endpoint, type=socket.SOCK_STREAM))
        except OSError:
            return False

    @property
    def is_clear(self) -> bool:
        """True when everything written so far has been taken by the kernel."""
        return not self._unwritten

    def write(self, frames: bytes) -> None:
        """Hand bytes to the kernel now, the rest when it takes more."""
        self._unwritten += frames
        if len(self._unwritten) == len(frames):
            self._push()
        else:
            self._read_or_not()

    def hold_back(self) -> None:
        """Read nothing more: the host is told so by its own kernel, and nothing of ours grows."""
        self._is_held_back = True
        self._read_or_not()

    def read_on(self) -> None:
        """Read again."""
        self._is_held_back = False
        self._read_or_not()

    def close(self, *, reset: bool) -> None:
        """Close; with reset the host learns at once, and unsent bytes are thrown away."""
        if self._socket.fileno() < 0:
            return
        self._loop.remove_reader(self._socket)
        self._is_reading = False
        self._loop.remove_writer(self._socket)
        if self._patience:
            self._patience.cancel()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET if reset else _FINISH)
        self._socket.close()

    def _push(self) -> None:
        if not self._may_write():
            self._end()
            return
        try:
            if is_due("half_written"):
                self._socket.send(self._unwritten[: len(self._unwritten) // 2])
            reach("half_written")
            written = self._socket.send(self._unwritten)
        except BlockingIOError:
            written = 0
        except OSError:
            self._end()
            return
        del self._unwritten[:written]
        self._read_or_not()
        self._watch(has_moved=written > 0)
        if self._unwritten:
            self._loop.add_writer(self._socket, self._push)
        elif self._loop.remove_writer(self._socket):
            self._cleared()

    def _read_or_not(self) -> None:
        wanted = not self._is_held_back and len(self._unwritten) <= _MOST_UNWRITTEN
        if wanted == self._is_reading or self._socket.fileno() < 0:
            return
        self._is_reading = wanted
        if wanted:
            self._loop.add_reader(self._socket, self._readable)
        else:
            self._loop.remove_reader(self._socket)

    def _watch(self, *, has_moved: bool) -> None:
        """End the connection when the kernel takes nothing more for too long."""
        if self._patience and (has_moved or not self._unwritten):
            self._patience.cancel()
            self._patience = None
        if self._unwritten and not self._patience:
            self._patience = self._loop.call_later(_WRITE_TIMEOUT_S, self._end)

    def _readable(self) -> None:
        try:
            received = self._socket.recv(_READ_SIZE)
        except BlockingIOError:
            return
        except OSError:
            received = b""
        if received:
            self._received(received)
        else:
            self._end()

    def _end(self) -> None:
        self.close(reset=True)
        self._lost()
