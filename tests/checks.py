"""What must always hold between the host's journal and our database: one named function each.

The database's own checks are `transactions.invariants`; these hold it against what the host saw on the wire.
Each returns sentences about what does not hold.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Accounts:
    """Both sides of the story: the host's journal, and our payments, attempts and events."""

    journal: Sequence[Line]
    #: id, status, amount, currency, business date where it counts
    payments: Sequence[Any]
    attempts: Sequence[Any]
    #: digest of every message that was dispatched
    dispatched: frozenset[str]

    @property
    def requests(self) -> list[Line]:
        """Financial requests that the host saw."""
        return [line for line in self.journal if line["what"] == "in" and line["mti"] in _REQUESTS]

    @property
    def told(self) -> list[Line]:
        """Advices and voids that the host saw, first ones and repeats."""
        return [line for line in self.journal if line["what"] == "in" and line["mti"][1:3] in _TOLD]

    @property
    def reversals(self) -> list[Line]:
        """Reversals that the host saw, first ones and repeats."""
        return [line for line in self.journal if line["what"] == "in" and line["mti"][1:3] == "42"]


_TOLD: Final = frozenset({"22", "40"})
_REQUESTS: Final = frozenset({"0100", "0200", "1100", "1200"})
#: the code of a sign-on in 1987 (field 70) and in 1993 (field 24)
_SIGN_ON: Final = frozenset({"001", "801"})
Check = Callable[[Accounts], Iterator[str]]


def identity(line: Line) -> tuple[str, str, str]:
    """STAN, field 7 and terminal: what an attempt is."""
    return line["stan"], line["transmitted"], line["terminal"]


def m1_one_request_frame_per_attempt(accounts: Accounts) -> Iterator[str]:
    """At most one financial request frame on the wire for each attempt."""
    for attempt, times in Counter(map(identity, accounts.requests)).items():
        if times > 1:
            yield f"the request {attempt} was on the wire {times} times"


def m2_every_frame_was_intended(accounts: Accounts) -> Iterator[str]:
    """Every financial frame has an intent with the same digest."""
    for line in (*accounts.requests, *accounts.told, *accounts.reversals):
        if line["digest"] not in accounts.dispatched:
            yield f"the frame {line['mti']} {identity(line)} was never dispatched"


def m3_what_the_host_says_is_how_it_ended(accounts: Accounts) -> Iterator[str]:
    """A payment is approved exactly when the host holds its money, and only final states are left."""
    held = _held_by_host(accounts)
    by_payment = defaultdict(list)
    for attempt in accounts.attempts:
        if attempt.kind != "reversal" and _identity_of(attempt) in held:
            by_payment[attempt.payment_id].append(attempt.number)
    for payment in accounts.payments:
        holds = len(by_payment[payment.id])
        if holds > 1:
            yield f"payment {payment.id} was paid {holds} times"
        if (payment.status == "approved") != (holds == 1):
            yield f"payment {payment.id} is {payment.status} and the host holds {holds} of its attempts"


def m5_reversals_begin_with_0420(accounts: Accounts) -> Iterator[str]:
    """Only the first write of a reversal, which a host may miss, is 0420; every other is 0421, of one identity."""
    writes = defaultdict(list)
    for line in accounts.reversals:
        writes[line["original"]].append(line)
    for original, lines in writes.items():
        if len({identity(line) for line in lines}) > 1:
            yield f"the reversal of {original} changed its identity"
        if any(line["mti"][3] != "1" for line in lines[1:]):
            yield f"the reversal of {original} was written as {[line['mti'] for line in lines]}"


def m9_the_books_agree(accounts: Accounts) -> Iterator[str]:
    """Per currency and business date: what the host took less what it gave back is what we say it did."""
    theirs: Counter[tuple[str, str]] = Counter()
    held = _held_by_host(accounts)
    ours: Counter[tuple[str, str]] = Counter()
    approved = {payment.id: payment for payment in accounts.payments if payment.status == "approved"}
    for attempt in accounts.attempts:
        payment = approved.get(attempt.payment_id)
        if payment and attempt.number == payment.accepted_attempt:
            ours[payment.currency, attempt.business_date.isoformat()] += _taken_by_us(payment)
        if line := held.get(_identity_of(attempt)):
            theirs["IDR" if line["currency"] == "360" else line["currency"], line["business_date"]] += _taken(line)
    if ours != theirs:
        yield f"the host holds {dict(theirs)}, we say {dict(ours)}"


def _taken_by_us(payment: Any) -> int:
    """What an approved payment took, as its operation has it: an authorisation only holds, and its void lets go."""
    voids = payment.operation == "void"
    holds = (payment.original["operation"] if voids else payment.operation) == "authorisation"
    return 0 if holds else -payment.amount if voids or payment.operation == "refund" else payment.amount


def _taken(line: Line) -> int:
    """What a message that the host approved took, as the wire has it."""
    kind, amount = line["mti"][1:3], int(line["amount"])
    if kind == "10" or (kind == "40" and line["original"][1] == "1"):
        return 0
    return -amount if kind == "40" or line["processing_code"] == "200000" else amount


def m9_children_never_exceed_their_original(accounts: Accounts) -> Iterator[str]:
    """What was captured and refunded is never more than there was, a void stands alone, and the original knows it."""
    originals = {payment.id: payment for payment in accounts.payments}
    sums: dict[UUID, Counter[str]] = defaultdict(Counter)
    for payment in accounts.payments:
        if payment.original and payment.status == "approved":
            sums[UUID(payment.original["payment_id"])][payment.operation] += payment.amount
    for original_id, sum_of in sums.items():
        original = originals[original_id]
        paid = sum_of["capture"] if original.operation == "authorisation" else original.amount
        if sum_of["capture"] > original.amount or sum_of["refund"] > paid:
            yield f"of {original_id} over {original.amount} the children took {dict(sum_of)}"
        if sum_of["void"] and (sum_of["void"] != original.amount or len(sum_of) > 1):
            yield f"{original_id} was voided beside {dict(sum_of)}"
        shown = original.captured_amount, original.refunded_amount, original.voided_by is not None
        if shown != (sum_of["capture"], sum_of["refund"], bool(sum_of["void"])):
            yield f"{original_id} shows {shown}, and its children say {dict(sum_of)}"


def m10_stans_never_repeat(accounts: Accounts) -> Iterator[str]:
    """STAN, field 7 and terminal name one message only; a reversal's repeats keep theirs."""
    seen: dict[tuple[str, str, str], str] = {}
    for line in (*accounts.requests, *accounts.told, *accounts.reversals):
        what = line.get("original") or line["digest"]
        if seen.setdefault(identity(line), what) != what:
            yield f"{identity(line)} names two messages"


def m11_a_duplicate_is_no_success(accounts: Accounts) -> Iterator[str]:
    """94 to a first write is never success, unless a person asked the bank and says so."""
    settled = {p.id for p in accounts.payments if getattr(p, "reason", None) == "resolved_by_staff"}
    for attempt in accounts.attempts:
        if attempt.payment_id in settled:
            continue
        if attempt.kind == "request" and attempt.response_code == "94" and attempt.outcome == "approved":
            yield f"attempt {attempt.number} of {attempt.payment_id} was approved by 94"


def f4_sign_on_before_traffic(accounts: Accounts) -> Iterator[str]:
    """On every session the host sees a sign-on before any financial message."""
    signed_on = set()
    for line in accounts.journal:
        if line["what"] == "connected":
            signed_on.discard(line["session"])  # a host that was started again counts from one
        elif line["what"] == "in" and line.get("network") in _SIGN_ON:
            signed_on.add(line["session"])
        elif line["what"] == "in" and line["mti"][1] != "8" and line["session"] not in signed_on:
            yield f"session {line['session']} carried {line['mti']} before its sign-on"


CHECKS: Final[Sequence[Check]] = (
    m1_one_request_frame_per_attempt,
    m2_every_frame_was_intended,
    m3_what_the_host_says_is_how_it_ended,
    m5_reversals_begin_with_0420,
    m9_the_books_agree,
    m9_children_never_exceed_their_original,
    m10_stans_never_repeat,
    m11_a_duplicate_is_no_success,
    f4_sign_on_before_traffic,
)


def violations(accounts: Accounts) -> list[str]:
    """Return everything that does not hold, with the name of its check."""
    return [f"{check.__name__}: {what}" for check in CHECKS for what in check(accounts)]


def _held_by_host(accounts: Accounts) -> dict[tuple[str, str, str], Line]:
    """The requests whose money the host moved and has not given back, by identity."""
    approved: dict[str, Line] = {}
    for line in accounts.journal:
        effect = str(line.get("effect", ""))
        if effect.startswith("approved "):
            approved[effect.split()[1]] = line
        elif effect.startswith("undone "):
            approved.pop(effect.removeprefix("undone "), None)
    return {identity(line): line for line in approved.values()}


def _identity_of(attempt: Any) -> tuple[str, str, str]:
    return f"{attempt.stan:06d}", f"{attempt.transmitted_at:%m%d%H%M%S}", attempt.terminal_id
