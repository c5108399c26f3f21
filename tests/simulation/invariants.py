"""What must hold of a seed in the end: the shared checks over what the simulation left, and those of the wire."""

import uuid
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from tests import checks
from tests.builders import NOON
from tests.checks import Accounts
from tests.simulation import wire
from tests.simulation.tables import Row
from tests.simulation.wire import Check, intents_of
from transactions import invariants
from transactions.auditing import _fold, _read
from transactions.domain.evolve import evolve
from transactions.domain.state import PaymentState
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
    # A request on its way while the host cuts over, or before an answer tells of that, counts for the host's new day.
    cut_over = any("cut-over" in fault for fault in seed.world.faults)
    one_day = {"business_date": NOON.date()} if cut_over else {}
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


def i1_one_key_is_one_payment(seed: "Seed") -> Iterator[str]:
    """Every answer to one key named one payment."""
    named: dict[str, uuid.UUID] = {}
    for told in (told for client in seed.clients for told in client.told):
        if named.setdefault(told.key, told.payment_id) != told.payment_id:
            yield f"the key {told.key} was answered with two payments"


def l1_everything_drains(seed: "Seed") -> Iterator[str]:
    """After healing and three times the longest timer, nothing is owed and every payment has ended."""
    for payment in seed.tables.payments.values():
        if payment.ended_at is None:
            yield f"the payment {payment.id} is {payment.status}"
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


def a_reversal_keeps_its_originals_date(seed: "Seed") -> Iterator[str]:
    """A reversal is booked on the business date of what it undoes, whatever the host's date is by then."""
    for key, attempt in seed.tables.attempts.items():
        if attempt.reverses and seed.tables.attempts[key[0], attempt.reverses].business_date != attempt.business_date:
            yield f"attempt {key[1]} of {key[0]} does not have the business date of what it undoes"


def the_business_date_is_the_hosts(seed: "Seed") -> Iterator[str]:
    """Ours is never ahead of the host's, and not behind once an answer that told it was heard."""
    ours, theirs = seed.tables.one["status"].business_date, seed.host.business_date
    if ours > theirs:
        yield f"our business date is {ours}, the host's is {theirs}"
    told = (seed.host.told.get(attempt.host_rrn or "", (0.0, "")) for attempt in seed.tables.attempts.values())
    if ours < theirs and any(at > seed.healed_at and day[-4:] == f"{theirs:%m%d}" for at, day in told):
        yield f"our business date stayed at {ours}, an answer told {theirs}"


def m3_an_end_is_the_last_word(seed: "Seed") -> Iterator[str]:
    """Once a payment has ended, whatever comes or whoever acts, its status stays."""
    for evidence in evidences(seed):
        state: PaymentState | None = None
        for event in evidence.events:
            before, state = state, evolve(state, event, evidence.payment_id)
            if before and before.status.is_final and state.status is not before.status:
                yield f"payment {evidence.payment_id} was {before.status} and became {state.status}"


def q2_a_lane_keeps_its_order(seed: "Seed") -> Iterator[str]:
    """Within a lane nothing is taken once a later one was."""
    latest: dict[str, int] = {}
    for intent in intents_of(seed):
        if intent.lane is not None:
            if intent.id < latest.get(intent.lane, 0):
                yield f"in lane {intent.lane} entry {intent.id} was taken after {latest[intent.lane]}"
            latest[intent.lane] = max(latest.get(intent.lane, 0), intent.id)


def f1_no_take_after_the_next_grant(seed: "Seed") -> Iterator[str]:
    """No take under an epoch commits once the next is granted."""
    for intent in intents_of(seed):
        if seed.tables.grants.get(intent.epoch + 1, intent.at) < intent.at:
            yield f"entry {intent.id} was taken under epoch {intent.epoch} after the next was granted"


def an_answer_is_its_own(seed: "Seed") -> Iterator[str]:
    """The reference that an attempt has of the host is one that the host gave to it, and to no other."""
    given: dict[tuple[str, str, str], set[str]] = {}
    for line in seed.host.journal.lines:
        if line["what"] == "out" and "rrn" in line:
            given.setdefault(checks.identity(line), set()).add(line["rrn"])
    for key, attempt in seed.tables.attempts.items():
        if attempt.host_rrn and attempt.host_rrn not in given.get(checks._identity_of(attempt), ()):
            yield f"attempt {key[1]} of {key[0]} has the reference of another answer"


def what_staff_stop_stays_stopped(seed: "Seed") -> Iterator[str]:
    """Once staff were told that no payment is taken any more, none is until they say otherwise (reversals are)."""
    for intent in intents_of(seed):
        for since, until in seed.tables.stops:
            if intent.kind != "reversal" and since < intent.at < (until or float("inf")):
                yield f"entry {intent.id} was taken at {intent.at:.2f} s, payments were stopped since {since:.2f} s"


def every_command_is_answered(seed: "Seed") -> Iterator[str]:
    """A command is carried out, refused or given up on; none is left open or running."""
    for command in seed.tables.commands.values():
        if command.state in ("open", "running"):
            yield f"the command {command.id} ({command.verb}) is {command.state}"


CHECKS: Final[Sequence[Check]] = (
    i1_one_key_is_one_payment,
    i2_another_body_is_another_payment,
    l1_everything_drains,
    nothing_is_held_for_a_fault_of_ours,
    m3_an_end_is_the_last_word,
    a_reversal_keeps_its_originals_date,
    the_business_date_is_the_hosts,
    q2_a_lane_keeps_its_order,
    f1_no_take_after_the_next_grant,
    an_answer_is_its_own,
    what_staff_stop_stays_stopped,
    every_command_is_answered,
    *wire.CHECKS,
)
