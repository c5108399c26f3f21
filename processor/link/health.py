"""How well a link is: four layers measured by whoever holds it, each with what lowered it, and one score of them all.

Pure: readings come in as values, sentences and points go out.
"""

import enum
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import msgspec

from processor.link.wishes import Wanted


class Layer(enum.StrEnum):
    """What is looked at, each at its own interval."""

    PROCESS = "process"
    NETWORK = "network"
    PROTOCOL = "protocol"
    RESOURCES = "resources"


class HealthState(enum.StrEnum):
    """How a link is, in a word."""

    CONNECTING = "CONNECTING"
    ACTIVE = "ACTIVE"
    DEGRADED = "DEGRADED"
    FAILED = "FAILED"


class ProcessReading(msgspec.Struct, frozen=True):
    """How late the worker's loop woke, and whether its lease is renewed in time."""

    late_s: float
    is_renewed: bool


class NetworkReading(msgspec.Struct, frozen=True):
    """Whether a connection stands, and whether the kernel takes what is written."""

    is_connected: bool
    is_clear: bool


class ProtocolReading(msgspec.Struct, frozen=True):
    """Signed on, the last echo and how long one may take, and what could not be read since the last look."""

    is_up: bool
    echo_s: float | None
    echo_timeout_s: float
    unreadable: int


class ResourcesReading(msgspec.Struct, frozen=True):
    """Shares from 0 to 1: of the file descriptors in use, and of what may wait to be filed."""

    files: float
    in_line: float


Reading = ProcessReading | NetworkReading | ProtocolReading | ResourcesReading


class Finding(msgspec.Struct, frozen=True):
    """A layer's score from 0 to 100, and what lowered it."""

    score: int
    lowered_by: tuple[str, ...] = ()


class Health(msgspec.Struct, frozen=True):
    """A link's health as a whole."""

    state: HealthState
    score: int
    lowered_by: tuple[str, ...]


#: percent of the whole
WEIGHTS: Final[Mapping[Layer, int]] = MappingProxyType(
    {Layer.PROCESS: 20, Layer.NETWORK: 30, Layer.PROTOCOL: 35, Layer.RESOURCES: 15}
)
#: below that a link that is up is degraded
_WELL: Final = 80
#: a link that is down for less is connecting yet
_CONNECTING_S: Final = 30.0


def judge(reading: Reading) -> Finding:
    """Return what a reading means."""
    lost = list(_losses(reading))
    return Finding(max(0, 100 - sum(points for points, _ in lost)), tuple(words for _, words in lost))


def _losses(reading: Reading) -> Iterator[tuple[int, str]]:
    match reading:
        case ProcessReading(late_s, is_renewed):
            if not is_renewed:
                yield 100, "the lease is not renewed in time"
            if late_s >= 0.1:
                yield min(80, int(100 * late_s)), f"the worker woke {late_s:.1f} s late"
        case NetworkReading(is_connected, is_clear):
            if not is_connected:
                yield 100, "no connection stands"
            elif not is_clear:
                yield 50, "the bank does not take what is written"
        case ProtocolReading():
            yield from _protocol_losses(reading)
        case ResourcesReading():
            yield from _resource_losses(reading)


def _resource_losses(reading: ResourcesReading) -> Iterator[tuple[int, str]]:
    if reading.files >= 0.7:
        yield min(100, int(300 * (reading.files - 0.6))), f"{reading.files:.0%} of the file descriptors are in use"
    if reading.in_line >= 0.25:
        share = min(1.0, reading.in_line)
        yield int(100 * share), f"what came in waits to be filed: {share:.0%} of what may"


def _protocol_losses(reading: ProtocolReading) -> Iterator[tuple[int, str]]:
    if not reading.is_up:
        yield 100, "not signed on, or the last echo is unanswered"
        return
    if reading.echo_s is not None and (share := reading.echo_s / reading.echo_timeout_s) >= 0.1:
        yield min(70, int(100 * share)), f"the last echo took {reading.echo_s:.1f} s"
    if reading.unreadable:
        yield min(90, 30 * reading.unreadable), f"{reading.unreadable} answers could not be read"


def overall(
    layers: Mapping[str, Finding], *, is_held: bool, is_up: bool, is_spared: bool, down_s: float | None, wanted: str
) -> Health:
    """Return a link's health from its layers and how it stands; a layer that was not looked at yet counts in full."""
    if not is_held:
        return Health(HealthState.FAILED, 0, ("no worker holds the link",))
    found = {layer: layers.get(layer.value, Finding(100)) for layer in Layer}
    score = round(sum(WEIGHTS[layer] * finding.score for layer, finding in found.items()) / 100)
    words = [words for finding in found.values() for words in finding.lowered_by]
    if is_spared:
        score, words = min(score, 50), [*words, "the breaker is not closed"]
    if wanted != Wanted.OPEN.value:
        words = [*words, f"{wanted} by staff"]
    if is_up:
        state = HealthState.ACTIVE if score >= _WELL and not is_spared else HealthState.DEGRADED
    elif down_s is not None and 0 <= down_s < _CONNECTING_S and wanted != Wanted.CLOSED.value:
        state = HealthState.CONNECTING
    else:
        state, score = HealthState.FAILED, 0
    return Health(state, score, tuple(words))
