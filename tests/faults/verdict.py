"""What the proxy's journal says of a lease that changed hands: values in, sentences about what does not hold out."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from processor.lease import MARGIN_S, RENEW_EVERY_S, TTL_S
from tests.faults.rules import OUT

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Epoch:
    """What one holder wrote; times of CLOCK_BOOTTIME."""

    number: int
    peer: str
    connections: int
    payments: int
    bytes_out: int
    began: float
    last_payment: float
    ended: float
    #: when its last connection was gone; infinite while it is not
    closed: float


@dataclass(frozen=True, slots=True)
class Cut:
    """One partition: which way, when, whose, and how many packets vanished."""

    way: str
    at: float
    epoch: int
    dropped: int = 0


def epochs(lines: Sequence[Line], epoch_of: Mapping[int, int]) -> list[Epoch]:
    """Put the journal's connections under the epochs whose attempts they carried, by STAN.

    A connection that carried no request is under the epoch of the next one, in which it signed on.
    """
    carried = _epochs_carried(lines, epoch_of)
    numbers = sorted({line["connection"] for line in lines if line["what"] == "bytes"}, reverse=True)
    by_epoch: dict[int, list[int]] = defaultdict(list)
    epoch = max(epoch_of.values(), default=0)
    for number in numbers:
        epoch = min(carried.get(number, {epoch}))
        by_epoch[epoch].append(number)
    return [_summed_up(epoch, set(by_epoch[epoch]), lines) for epoch in sorted(by_epoch)]


def mixed_connections(lines: Sequence[Line], epoch_of: Mapping[int, int]) -> Iterator[str]:
    """F1: one connection carries the messages of one epoch."""
    for number, carried in _epochs_carried(lines, epoch_of).items():
        if len(carried) > 1:
            yield f"F1: connection {number} carried messages of the epochs {sorted(carried)}"


def overtaken_epochs(found: Sequence[Epoch]) -> Iterator[str]:
    """F2: no byte of an epoch comes after the first byte of a later one."""
    for older, newer in pairwise(found):
        if older.ended >= newer.began:
            late = older.ended - newer.began
            yield f"F2: epoch {older.number} wrote {late:.3f} s after the first byte of epoch {newer.number}"


def held_too_long(cut: Cut, found: Sequence[Epoch]) -> Iterator[str]:
    """The holder that was cut off fell silent and closed before its TTL, and another took over in time."""
    old = next((epoch for epoch in found if epoch.number == cut.epoch), None)
    new = next((epoch for epoch in found if epoch.number == cut.epoch + 1), None)
    if old is None or new is None:
        yield f"cut of {cut.way}: epoch {cut.epoch} or the one after it wrote nothing"
        return
    if not cut.dropped:
        yield f"cut of {cut.way}: not one packet vanished"
    if old.ended > cut.at + TTL_S - MARGIN_S:
        yield f"cut of {cut.way}: the holder wrote until {old.ended - cut.at:.2f} s after it"
    if old.closed > cut.at + TTL_S:
        yield f"cut of {cut.way}: the holder's connection was open until {old.closed - cut.at:.2f} s after it"
    # A renewal whose answer vanished still counts for those who watch.
    if new.began > cut.at + TTL_S + 2 + RENEW_EVERY_S:
        yield f"cut of {cut.way}: the standby's first byte came {new.began - cut.at:.2f} s after it"


def _epochs_carried(lines: Sequence[Line], epoch_of: Mapping[int, int]) -> dict[int, set[int]]:
    carried: dict[int, set[int]] = defaultdict(set)
    for line in _requests(lines):
        if epoch := epoch_of.get(int(line["stan"])):
            carried[line["connection"]].add(epoch)
    return carried


def _requests(lines: Sequence[Line]) -> Iterator[Line]:
    return (line for line in lines if line["what"] == "frame" and line["direction"] == OUT and line["mti"] == "0200")


def _summed_up(number: int, connections: set[int], lines: Sequence[Line]) -> Epoch:
    ours = [line for line in lines if line["connection"] in connections]
    written = [line for line in ours if line["what"] == "bytes" and line["direction"] == OUT]
    payments = [line["at"] for line in _requests(ours)]
    ends = {line["connection"]: line["at"] for line in ours if line["what"] == "closed"}
    return Epoch(
        number,
        peer=", ".join(sorted({line["peer"] for line in ours if line["what"] == "connected"})),
        connections=len(connections),
        payments=len(payments),
        bytes_out=sum(line["count"] for line in written),
        began=written[0]["at"],
        last_payment=max(payments, default=0.0),
        ended=written[-1]["at"],
        closed=max(ends.get(connection, float("inf")) for connection in connections),
    )
