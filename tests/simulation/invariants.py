"""What must hold of a seed in the end: the shared checks over what the simulation left, and those of the wire."""

import hashlib
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from processor.codec.message import Message, decode
from processor.link.framing import FRAMINGS, Framing
from tests import checks
from tests.builders import BANK, NOON
from tests.checks import Accounts
from tests.simulation.tables import Row
from transactions import invariants
from transactions.auditing import _fold, _read
from transactions.invariants import Evidence, Owed, StoredEvent

if TYPE_CHECKING:
    from tests.simulation.seed import Seed

_INQUIRY: Final = "310000"


def violations(seed: "Seed") -> list[str]:
    """Return all that does not hold, with the name of its check."""
    found = [f"{check.__name__}: {what}" for evidence in evidences(seed) for check in invariants.CHECKS
             for what in check(evidence)]  # fmt: skip
    if seed.is_drained:
        found += checks.violations(accounts(seed))
    return found + [f"{check.__name__}: {what}" for check in CHECKS for what in check(seed)]


def evidences(seed: "Seed") -> Iterator[Evidence]:
    """Return what the database says of each payment."""
    tables = seed.tables
    events, attempts = _grouped(tables.events), _grouped(tables.attempts)
    owed: dict[uuid.UUID, list[Owed]] = {}
    for entry in tables.entries.values():
        owed.setdefault(entry.payment_id, []).append(Owed(entry.kind, entry.state, entry.pin is not None))
    for payment_id, payment in tables.payments.items():
        names = ("version", "type", "data", "actor", "at", "hash")
        stored = [StoredEvent(*(getattr(row, name) for name in names)) for row in events[payment_id]]
        readable = _read(stored)
        rows = [vars(row) for row in attempts.get(payment_id, [])]
        yield Evidence(
            payment_id=payment_id,
            stored=stored,
            head=payment.head,
            columns=vars(payment),
            attempts=rows,
            taken_at={row["number"]: row["taken_at"] for row in rows},
            owed=owed.get(payment_id, []),
            state=_fold(payment_id, readable),
            events=readable,
        )


def accounts(seed: "Seed") -> Accounts:
    """Return both sides of the story; an inquiry moves no money and is in neither."""
    tables = seed.tables
    payments = [p for p in tables.payments.values() if p.operation != "balance_inquiry"]
    known = {payment.id for payment in payments}
    # A request on its way while the host cuts over counts for its new day, and a notice that is lost is not repeated.
    one_day = {"business_date": NOON.date()} if "host: cut-over" in seed.world.faults else {}
    told = {name: str(day) for name, day in one_day.items()}
    return Accounts(
        journal=[{**line, **told} for line in seed.host.journal.lines if line.get("processing_code") != _INQUIRY],
        payments=payments,
        attempts=[a.changed(**one_day) for a in tables.attempts.values() if a.payment_id in known],
        dispatched=frozenset(e.data["digest"] for e in tables.events.values() if e.type == "Dispatched"),
    )


def _grouped(rows: dict[Any, Row]) -> dict[uuid.UUID, list[Row]]:
    grouped: dict[uuid.UUID, list[Row]] = {}
    for key in sorted(rows):
        grouped.setdefault(key[0], []).append(rows[key])
    return grouped


Check = Callable[["Seed"], Iterator[str]]


def i1_one_key_is_one_payment(seed: "Seed") -> Iterator[str]:
    """Every answer to one key named one payment."""
    named: dict[str, uuid.UUID] = {}
    for told in (told for client in seed.clients for told in client.told):
        if named.setdefault(told.key, told.payment_id) != told.payment_id:
            yield f"the key {told.key} was answered with two payments"


def l1_everything_drains(seed: "Seed") -> Iterator[str]:
    """After healing and three times the longest timer, nothing is owed."""
    for entry in seed.tables.entries.values():
        yield f"a {entry.kind} of {entry.payment_id} is {entry.state} ({entry.held_reason})"
    for frame in seed.tables.inbound.values():
        yield f"a filed {frame.kind} is not settled ({frame.failed})"


def i2_another_body_is_another_payment(seed: "Seed") -> Iterator[str]:
    """What a 2xx promised is what the payment is, and it is there (I2, I3)."""
    for told in (told for client in seed.clients for told in client.told):
        payment = seed.tables.payments.get(told.payment_id)
        if payment is None:
            yield f"the payment {told.payment_id} was answered 2xx and is not there"
        elif payment.amount != told.amount:
            yield f"the key {told.key} was answered with a payment of another amount"


def nothing_is_held_for_a_fault_of_ours(seed: "Seed") -> Iterator[str]:
    """Every message could be made, every answer could be worked on."""
    ours = {"cannot_be_encoded", "cannot_be_settled"}
    for event in seed.tables.events.values():
        if event.type == "Held" and event.data["reason"] in ours:
            yield f"payment {event.payment_id} was held: {event.data['reason']}"


def q2_a_lane_keeps_its_order(seed: "Seed") -> Iterator[str]:
    """Within a lane nothing is taken once a later one was."""
    latest: dict[str, int] = {}
    for intent in _intents(seed):
        if intent.lane is not None:
            if intent.id < latest.get(intent.lane, 0):
                yield f"in lane {intent.lane} entry {intent.id} was taken after {latest[intent.lane]}"
            latest[intent.lane] = max(latest.get(intent.lane, 0), intent.id)


def f1_no_take_after_the_next_grant(seed: "Seed") -> Iterator[str]:
    """No take under an epoch commits once the next is granted."""
    for intent in _intents(seed):
        if seed.tables.grants.get(intent.epoch + 1, intent.at) < intent.at:
            yield f"entry {intent.id} was taken under epoch {intent.epoch} after the next was granted"


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
        intents = [i for i in _intents(seed) if (i.payment_id, i.attempt) == key and i.epoch == frame.epoch]
        if sum(intent.at <= frame.at for intent in intents) < written[frame.digest, frame.epoch]:
            yield f"a {frame.message.mti} of {key[0]} was written without an intent under epoch {frame.epoch}"
    yield from (
        f"the request {digest[:8]} was written {times} times" for digest, times in requests.items() if times > 1
    )


def m7_no_reversal_overtakes_its_original(seed: "Seed") -> Iterator[str]:
    """The host never sees a request after its reversal."""
    reversed_before = set()
    for line in seed.host.journal.lines:
        if line["what"] != "in":
            continue
        if line["mti"][1] == "4" and "original" in line:
            reversed_before.add((line["original"][4:10], line["original"][10:20]))
            continue
        key = line.get("stan"), line.get("transmitted")
        if line["mti"] in _ONCE and key in reversed_before and key not in seed.host.late:
            yield f"the request {line['stan']} came after its reversal"


def an_answer_is_its_own(seed: "Seed") -> Iterator[str]:
    """The reference that an attempt has of the host is one that the host gave to it, and to no other."""
    given: dict[tuple[str, str, str], set[str]] = {}
    for line in seed.host.journal.lines:
        if line["what"] == "out" and "rrn" in line:
            given.setdefault(checks.identity(line), set()).add(line["rrn"])
    for key, attempt in seed.tables.attempts.items():
        if attempt.host_rrn and attempt.host_rrn not in given.get(checks._identity_of(attempt), ()):
            yield f"attempt {key[1]} of {key[0]} has the reference of another answer"


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
    excused: bool


def frames(seed: "Seed") -> list[Frame]:
    """Return the financial messages that were handed to the kernel, as wholes, in order."""
    if seed.framed is None:
        seed.framed = list(_framed(seed))
    return seed.framed


def _framed(seed: "Seed") -> Iterator[Frame]:
    framings: dict[int, Framing] = {}
    began: dict[int, float] = {}
    for handed in seed.network.handed:
        framing = framings.setdefault(handed.session, FRAMINGS["ascii4"](BANK.max_body))
        if not framing.incomplete:
            began[handed.session] = handed.at
        for body in framing.feed(handed.frame):
            message = decode(body, BANK)
            if message.mti[1] != "8":
                digest = hashlib.sha256(body).hexdigest()
                yield Frame(began[handed.session], handed.at, handed.epoch, digest, message, handed.excused)


def attempts_by_digest(seed: "Seed") -> dict[str, tuple[uuid.UUID, int]]:
    """Return which attempt each message ever made is of."""
    events = (event for event in seed.tables.events.values() if event.type == "Dispatched")
    return {event.data["digest"]: (event.payment_id, event.data["attempt"]) for event in events}


def _intents(seed: "Seed") -> list[Row]:
    return list(seed.tables.intents.values())


_ONCE: Final = frozenset({"0100", "0200"})

CHECKS: Final[Sequence[Check]] = (
    i1_one_key_is_one_payment,
    i2_another_body_is_another_payment,
    l1_everything_drains,
    nothing_is_held_for_a_fault_of_ours,
    q2_a_lane_keeps_its_order,
    f1_no_take_after_the_next_grant,
    f2_no_byte_of_an_old_epoch,
    m1_m2_every_write_has_its_own_intent,
    m7_no_reversal_overtakes_its_original,
    an_answer_is_its_own,
    m12_what_is_unsent_was_not_written,
    m13_no_request_is_written_late,
)
