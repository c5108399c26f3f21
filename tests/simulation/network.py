"""The network between the link worker and the bank: a socket for the product's own Connection, in virtual time.

Owns latency, slicing, resets, half-open connections and jams. A connection's bytes keep their order, as
TCP's do; frames are put out of order and doubled by the host. What was handed to the kernel is on record.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.simulation.host import Host
from tests.simulation.loop import VirtualLoop
from tests.simulation.world import Process, World


@dataclass(frozen=True, slots=True)
class Handed:
    """Bytes handed to the kernel."""

    at: float
    epoch: int
    session: int
    frame: bytes
    #: the process stood still between its check of the lease and the call: F2 excepts it
    excused: bool
    #: the link's breaker was open
    spared: bool


@dataclass(slots=True)
class Weather:
    """What goes wrong between the two; 0 for nothing."""

    slowest_s: float = 0.01
    slices: float = 0.0
    resets: float = 0.0
    half_opens: float = 0.0
    half_closes: float = 0.0
    corrupts_length: float = 0.0
    refuses: float = 0.0
    #: the kernel takes only a part of what it is given
    jams: float = 0.0
    #: the process stands still between its last look at the clock and the kernel
    pauses_in_send: float = 0.0


class Network:
    """All connections."""

    def __init__(self, world: World, host: Host) -> None:
        self.world = world
        self.host = host
        self.weather = Weather()
        self.handed: list[Handed] = []
        self.wires: list[Wire] = []
        #: endpoints that nobody reaches
        self.down: set[tuple[str, int]] = set()
        #: sessions that a process began before it had let go of its last
        self.overlaps: list[int] = []
        self.is_spared: Callable[[Process], bool] = lambda _: False

    def reset_of(self, process: Process) -> None:
        """The kernel resets what a process leaves behind when it ends."""
        for wire in self.wires:
            if wire.process is process:
                wire.close()


@dataclass(slots=True, eq=False)
class Wire:
    """One TCP connection."""

    network: Network
    process: Process
    epoch: int
    number: int
    endpoint: tuple[str, int]
    host_session: Any = None
    dead: bool = False
    closed_by_us: bool = False
    #: nothing gets through any more, and nobody is told
    black: bool = False
    _last_to_host: float = 0.0
    _last_to_us: float = 0.0
    received: bytearray = field(default_factory=bytearray)
    eof: bool = False
    socket: "SimSocket | None" = None

    def to_host(self, sent: bytes) -> None:
        """Carry bytes to the host."""
        world, weather = self.network.world, self.network.weather
        if world.chance(weather.half_opens):
            world.fault("half-open connection")
            self.black = True
        for part in self._sliced(sent):
            self._last_to_host = max(self._last_to_host, world.now + world.between(0.0, weather.slowest_s))
            world.at(self._last_to_host, None, lambda part=part: self._reach_host(part))  # type: ignore[misc]

    def to_us(self, sent: bytes) -> None:
        """Carry bytes to us."""
        world, weather = self.network.world, self.network.weather
        if world.chance(weather.corrupts_length):
            world.fault("length corrupted")
            sent = b"\xff" + sent[1:]
        if world.chance(weather.resets):
            world.fault("connection reset")
            self._cut()
            return
        for part in self._sliced(sent):
            self._last_to_us = max(self._last_to_us, world.now + world.between(0.0, weather.slowest_s))
            world.at(self._last_to_us, None, lambda part=part: self._reach_us(part))  # type: ignore[misc]

    def host_closed(self) -> None:
        """The host let go: we read the end after what it sent before."""
        world = self.network.world
        when = max(self._last_to_us, world.now + world.between(0.0, self.network.weather.slowest_s))
        world.at(when, None, self._end_us)

    def close(self) -> None:
        """We closed: what is on its way may still arrive, and the host learns of it behind that."""
        if self.closed_by_us:
            return
        self.closed_by_us = True
        world = self.network.world
        if not self.black and self.host_session:
            when = max(self._last_to_host, world.now + world.between(0.0, self.network.weather.slowest_s))
            world.at(when, None, lambda: self.network.host.end(self.host_session))

    def _cut(self) -> None:
        self.network.host.end(self.host_session)

    def _sliced(self, sent: bytes) -> list[bytes]:
        world = self.network.world
        if len(sent) < 2 or not world.chance(self.network.weather.slices):
            return [sent]
        world.fault("sliced")
        cut = world.random.randrange(1, len(sent))
        return [sent[:cut], sent[cut:]]

    def _reach_host(self, part: bytes) -> None:
        if not self.black and self.host_session:
            self.network.host.receive(self.host_session, part)

    def _reach_us(self, part: bytes) -> None:
        if not self.black and not self.closed_by_us:
            self.received += part
            self._wake()

    def _end_us(self) -> None:
        if not self.black and not self.closed_by_us:
            self.eof = True
            self._wake()

    def _wake(self) -> None:
        if self.socket:
            self.socket.readable()


class SimSocket:
    """What the product's Connection takes for a socket."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._loop: VirtualLoop | None = None
        self._room_from = 0.0
        wire.socket = self

    def watched(self, loop: VirtualLoop) -> None:
        """Somebody wants to know when it can be read."""
        self._loop = loop
        if self._wire.received or self._wire.eof:
            self.readable()

    def readable(self) -> None:
        """There is something to read."""
        if self._loop:
            loop = self._loop
            loop.wake(lambda: loop.readers.get(self) if self._wire.received or self._wire.eof else None)

    def send(self, unwritten: bytearray) -> int:
        wire, world = self._wire, self._wire.network.world
        weather, excused, spared = wire.network.weather, False, wire.network.is_spared(wire.process)
        if world.now < self._room_from:
            raise BlockingIOError
        if world.chance(weather.pauses_in_send):
            world.fault("stopped between check and send")
            excused = True
            world.block(world.between(0.5, 15.0))
        if wire.closed_by_us or (wire.host_session and not wire.host_session.is_open and wire.eof):
            raise ConnectionResetError
        taken = bytes(unwritten)
        if len(taken) > 1 and world.chance(weather.jams):
            world.fault("the kernel takes a part")
            taken = taken[: world.random.randrange(1, len(taken))]
            self._room_from = world.now + world.between(0.01, 3.0)
            self._tell_room()
        wire.network.handed.append(Handed(world.now, wire.epoch, wire.number, taken, excused, spared))
        wire.to_host(taken)
        return len(taken)

    def _tell_room(self) -> None:
        world, loop = self._wire.network.world, self._loop
        if loop:
            world.at(self._room_from, None, lambda: loop.wake(lambda: loop.writers.get(self)))

    def recv(self, size: int) -> bytes:
        wire = self._wire
        received = bytes(wire.received[:size])
        del wire.received[:size]
        if not received and not wire.eof:
            raise BlockingIOError
        return received

    def fileno(self) -> int:
        return -1 if self._wire.closed_by_us else 1

    def setsockopt(self, *_: Any) -> None:
        """It has no options."""

    def close(self) -> None:
        self._wire.close()


def opener(network: Network, epoch_of: Callable[[Process], int]) -> Any:
    """Return what stands in for `Connection.open`."""

    async def open_(
        cls: Any, endpoint: Any, timeout_s: float, may_write: Any, received: Any, cleared: Any, lost: Any
    ) -> Any:
        import asyncio  # noqa: PLC0415  (the loop of the caller)

        world = network.world
        process = world.acting
        await asyncio.sleep(world.between(0.001, 2 * network.weather.slowest_s))
        if endpoint in network.down or world.chance(network.weather.refuses):
            world.fault("connection refused")
            raise ConnectionRefusedError
        if any(wire.process is process and not wire.closed_by_us for wire in network.wires):
            network.overlaps.append(len(network.wires) + 1)
        wire = Wire(network, process, epoch_of(process), len(network.wires) + 1, endpoint)
        wire.host_session = network.host.accept(wire)
        network.wires.append(wire)
        return cls(SimSocket(wire), may_write, received, cleared, lost)

    return classmethod(open_)


def reacher(network: Network) -> Any:
    """Return what stands in for `Connection.reaches`."""

    async def reaches(endpoint: tuple[str, int], timeout_s: float) -> bool:
        import asyncio  # noqa: PLC0415  (the loop of the caller)

        await asyncio.sleep(network.world.between(0.001, 2 * network.weather.slowest_s))
        return endpoint not in network.down and not network.world.chance(network.weather.refuses)

    return staticmethod(reaches)
