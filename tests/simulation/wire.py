"""What must hold of what was on the wire: each frame handed to the kernel, against what the database intended."""

import hashlib
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from processor.codec.message import Message, decode
from processor.link.framing import FRAMINGS, Framing
from tests.builders import NOON
from tests.simulation.tables import Row

if TYPE_CHECKING:
    from tests.simulation.network import Handed
    from tests.simulation.seed import Seed

Check = Callable[["Seed"], Iterator[str]]
_ONCE: Final = frozenset({"0100", "0200", "1100", "1200"})


def f2_no_byte_of_an_old_epoch(seed: "Seed") -> Iterator[str]:
    """Once a byte of an epoch was handed to the kernel, none of an older one is."""
    latest = 0
    for handed in seed.network.handed:
        if handed.epoch < latest and not handed.excused:
            yield f"epoch {handed.epoch} wrote at {handed.at:.3f} after epoch {latest} had begun to"
        latest = max(latest, handed.epoch)


def m1_m2_every_write_has_its_own_intent(seed: "Seed") -> Iterator[str]:
    """What is written was taken before, under the same epoch, and once for each taking; a request once at all."""
    written: Counter[tuple[str, int]] = Counter()
    requests: Counter[str] = Counter()
    about = attempts_by_digest(seed)
    for frame in frames(seed):
        key = about.get(frame.digest)
        if key is None:
            yield f"a {frame.message.mti} was written that was never dispatched"
            continue
        written[frame.digest, frame.epoch] += 1
        requests[frame.digest] += frame.message.mti in _ONCE
        intents = [i for i in intents_of(seed) if (i.payment_id, i.attempt) == key and i.epoch == frame.epoch]
        if sum(intent.at <= frame.at for intent in intents) < written[frame.digest, frame.epoch]:
            yield f"a {frame.message.mti} of {key[0]} was written without an intent under epoch {frame.epoch}"
    yield from (
        f"the request {digest[:8]} was written {times} times" for digest, times in requests.items() if times > 1
    )


def m7_no_reversal_overtakes_its_original(seed: "Seed") -> Iterator[str]:
    """The host never sees a request after its reversal."""
    reversed_before = set()
    names_time = seed.host.dialect.original_field == 90  # of 1993's local time only the STAN is compared
    for line in seed.host.journal.lines:
        if line["what"] != "in":
            continue
        if line["mti"][1] == "4" and "original" in line:
            reversed_before.add((line["original"][4:10], line["original"][10:20] if names_time else ""))
            continue
        key = line.get("stan"), line.get("transmitted")
        compared = key if names_time else (key[0], "")
        if line["mti"] in _ONCE and compared in reversed_before and key not in seed.host.late:
            yield f"the request {line['stan']} came after its reversal"


def one_session_at_a_time(seed: "Seed") -> Iterator[str]:
    """A link worker lets go of its session before it begins another, with whichever host."""
    yield from (f"session {number} began beside another" for number in seed.network.overlaps)


def the_first_host_carries_again(seed: "Seed") -> Iterator[str]:
    """Once it is back, the host that stands first is connected to."""
    endpoints, wires = seed.tables.one["link"].endpoints, seed.network.wires
    host, port = endpoints[0].split()
    if len(endpoints) > 1 and wires and wires[-1].endpoint != (host, int(port)):
        yield f"{wires[-1].endpoint} carries, and {endpoints[0]} stands first"


def an_open_breaker_spares_the_host(seed: "Seed") -> Iterator[str]:
    """No financial message is begun while the breaker is open; what the kernel had not taken yet may follow."""
    if "kernel: jams" not in seed.world.faults:
        for frame in frames(seed):
            if frame.spared:
                yield f"a {frame.message.mti} was written at {frame.began:.3f} while the breaker was open"


def m12_what_is_unsent_was_not_written(seed: "Seed") -> Iterator[str]:
    """What ended as never sent, by cancelling, expiring or recalling, has no byte on the wire."""
    on_the_wire = {attempts_by_digest(seed).get(frame.digest) for frame in frames(seed)}
    for key, attempt in seed.tables.attempts.items():
        status = seed.tables.payments[key[0]].status
        if key in on_the_wire and attempt.kind == "request":
            if attempt.outcome == "unsent":
                yield f"attempt {key[1]} of {key[0]} is unsent, and was written"
            elif status in ("cancelled", "expired") and attempt.outcome != "declined":
                yield f"payment {key[0]} is {status}, and attempt {key[1]} was written"


def m13_no_request_is_written_late(seed: "Seed") -> Iterator[str]:
    """No byte of a request is handed to the kernel after its payment's time, where all clocks agree."""
    if any("clock" in fault for fault in seed.world.faults):
        return
    about = attempts_by_digest(seed)
    for frame in frames(seed):
        key = about.get(frame.digest)
        if key and frame.message.mti in _ONCE and not frame.excused:
            late_s = NOON + timedelta(seconds=frame.began) - seed.tables.payments[key[0]].expires_at
            if late_s > timedelta(milliseconds=1):
                yield f"a request of {key[0]} was written {late_s.total_seconds():.3f} s after its time"


@dataclass(frozen=True, slots=True)
class Frame:
    """A financial message as it was handed to the kernel."""

    began: float
    at: float
    epoch: int
    digest: str
    message: Message
    #: it was stopped between its last look at the clock and the kernel, when its first byte went
    excused: bool
    spared: bool


def frames(seed: "Seed") -> list[Frame]:
    """Return the financial messages that were handed to the kernel, as wholes, in order."""
    if seed.framed is None:
        seed.framed = list(_framed(seed))
    return seed.framed


def _framed(seed: "Seed") -> Iterator[Frame]:
    link, dialect = seed.tables.one["link"], seed.host.dialect
    framings: dict[int, Framing] = {}
    began: dict[int, Handed] = {}
    for handed in seed.network.handed:
        framing = framings.setdefault(handed.session, FRAMINGS[link.framing](dialect.max_body))
        if not framing.incomplete:
            began[handed.session] = handed
        for body in framing.feed(handed.frame):
            message = decode(body, dialect)
            if message.mti[1] != "8":
                digest = hashlib.sha256(body).hexdigest()
                first = began[handed.session]
                yield Frame(first.at, handed.at, handed.epoch, digest, message, first.excused, first.spared)


def attempts_by_digest(seed: "Seed") -> dict[str, tuple[uuid.UUID, int]]:
    """Return which attempt each message ever made is of."""
    events = (event for event in seed.tables.events.values() if event.type == "Dispatched")
    return {event.data["digest"]: (event.payment_id, event.data["attempt"]) for event in events}


def intents_of(seed: "Seed") -> list[Row]:
    """Return every take that committed, in order."""
    return list(seed.tables.intents.values())


CHECKS: Final[Sequence[Check]] = (
    f2_no_byte_of_an_old_epoch,
    m1_m2_every_write_has_its_own_intent,
    m7_no_reversal_overtakes_its_original,
    one_session_at_a_time,
    the_first_host_carries_again,
    an_open_breaker_spares_the_host,
    m12_what_is_unsent_was_not_written,
    m13_no_request_is_written_late,
)
