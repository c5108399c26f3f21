"""Between the domain and the wire: the only file that knows business fields.

Pure: values in, messages and verdicts out. What differs from bank to bank is the dialect's data.
"""

from collections.abc import Sequence
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final

import msgspec
from msgspec.structs import replace

from processor.codec.dialects import Dialect
from processor.codec.errors import EncodeError
from processor.codec.message import Message
from processor.keys.signing import mac_fits
from transactions.domain.money import letters_of, numeric_code
from transactions.domain.values import (
    Answer,
    Attempt,
    Balance,
    Instruction,
    MessageKind,
    Operation,
    Original,
    ReasonCode,
    Verdict,
    message_kind,
)

_ACCEPTED: Final = "00"
_PARTIAL: Final = "10"
_UNKNOWN: Final = "68"
_DUPLICATE: Final = "94"
_NOT_FOUND: Final = "25"
_REFUSALS: Final = frozenset({"12", "30", "57"})
_BILL_PAYMENT_MERCHANT: Final = "6011"
_NO_INSTITUTION: Final = "0" * 11
_PURPOSES: Final = {Operation.AUTHORISATION: "authorisation", Operation.CAPTURE: "advice", Operation.VOID: "void"}


class Card(msgspec.Struct, frozen=True):
    """What is sealed of a card: clear number, and its expiry as YYMM."""

    pan: str
    expiry: str | None = None


class Wire(msgspec.Struct, frozen=True):
    """What identifies one attempt on the wire."""

    stan: int
    transmitted_at: datetime
    rrn: str
    time_zone: tzinfo


def rrn_of(stan: int, transmitted_at: datetime) -> str:
    """Return our retrieval reference: last digit of the year, day of the year, hour, STAN (field 37, an12)."""
    return _written(transmitted_at, "%y%j%H")[1:] + f"{stan:06d}"


def payment_message(
    instruction: Instruction, card: Card | None, pin_block: bytes | None, wire: Wire, repeat: int, dialect: Dialect
) -> Message:
    """Return the request or advice of a payment; raises EncodeError when it cannot be one of this dialect."""
    purpose = _purpose(instruction.operation, repeat)
    fields = _common_fields(instruction, card, wire, wire.transmitted_at, dialect)
    fields |= _OPERATION_FIELDS.get(instruction.operation, lambda _: {})(instruction)
    if instruction.original:
        fields |= _reference_fields(instruction.original, wire.time_zone, dialect)
    if card and card.expiry and dialect.expiry_field:
        fields[dialect.expiry_field] = card.expiry
    if pin_block is not None:
        if len(pin_block) != dialect.pin_bytes:
            raise EncodeError(f"the PIN block is not {dialect.pin_bytes} bytes long", field=dialect.pin_field)
        fields[dialect.pin_field] = pin_block.hex().upper()
    return Message(dialect.mti[purpose], {**fields, **dialect.constants.get(purpose, {})})


def reversal_message(
    instruction: Instruction, card: Card | None, undone: Attempt, wire: Wire, repeat: int, dialect: Dialect
) -> Message:
    """Return the reversal of an attempt: 0420 first, 0421 ever after (M5)."""
    purpose = "reversal_repeat" if repeat else "reversal"
    fields = _common_fields(instruction, card, wire, undone.transmitted_at, dialect)
    fields[37] = undone.rrn
    if undone.response_code:
        fields[39] = undone.response_code
    fields[dialect.original_field] = _original_data(
        undone.mti, undone.stan, undone.transmitted_at, wire.time_zone, dialect
    )
    return Message(dialect.mti[purpose], {**fields, **dialect.constants.get(purpose, {})})


def carries_mac(instruction: Instruction, dialect: Dialect) -> bool:
    """True when the messages of a payment are signed; its reversal is as well."""
    operation = instruction.original.operation if instruction.original else instruction.operation
    return operation.value in dialect.mac_on


def read_answer(
    message: Message | None,
    attempt: Attempt,
    instruction: Instruction,
    dialect: Dialect | None,
    mac_keys: Sequence[bytes],
) -> Answer:
    """Return what an answer means for an attempt, None for one nobody can read. What cannot count is INVALID (M4)."""
    if message is None or dialect is None:
        return Answer(Verdict.INVALID, reason=ReasonCode.WRONG_ANSWER)
    code = message.get(39)
    approves = dialect.read_code(code or "") in (_ACCEPTED, _PARTIAL)
    balances = _balances(message.get(54), instruction.currency)
    said = Answer(Verdict.INVALID, code, None, message.get(38), message.get(37), balances, approves)
    if not code or not _answers(message.mti, attempt.mti):
        return replace(said, reason=ReasonCode.WRONG_ANSWER)
    if carries_mac(instruction, dialect) and not mac_fits(message, dialect, mac_keys):
        return replace(said, reason=ReasonCode.BAD_MAC)
    name = dialect.read_code(code)
    if not _echoes_fit(message, instruction, name, dialect):
        return replace(said, reason=ReasonCode.WRONG_ANSWER)
    verdict, reason = _VERDICTS[attempt.kind](name, attempt.repeats, dialect)
    return replace(said, verdict=verdict, reason=reason)


def _purpose(operation: Operation, repeat: int) -> str:
    purpose = _PURPOSES.get(operation, "request")
    return f"{purpose}_repeat" if repeat and message_kind(operation) is MessageKind.ADVICE else purpose


def _common_fields(
    instruction: Instruction, card: Card | None, wire: Wire, happened_at: datetime, dialect: Dialect
) -> dict[int, str]:
    operation = instruction.operation
    if operation in (Operation.CAPTURE, Operation.VOID) and instruction.original:
        operation = instruction.original.operation
    fields = {
        3: dialect.processing_codes[operation.value],
        4: f"{instruction.amount_minor:012d}",
        7: _written(wire.transmitted_at, "%m%d%H%M%S"),
        11: f"{wire.stan:06d}",
        37: wire.rrn,
        41: instruction.terminal_id,
        42: instruction.card_acceptor_id,
        49: numeric_code(instruction.currency),
    } | {number: _written(happened_at, form, wire.time_zone) for number, form in dialect.local_time.items()}
    if card:
        fields[2] = card.pan
    return fields


@lru_cache(maxsize=64)
def _written(at: datetime, form: str, time_zone: tzinfo = UTC) -> str:
    """A batch is made in one second, and has the same times in all its messages."""
    return at.astimezone(time_zone).strftime(form)


def _reference_fields(original: Original, time_zone: tzinfo, dialect: Dialect) -> dict[int, str]:
    fields = {
        dialect.original_field: _original_data(original.mti, original.stan, original.transmitted_at, time_zone, dialect)
    }
    if original.operation is Operation.AUTHORISATION and original.authorisation_code:
        fields[38] = original.authorisation_code
    return fields


def _original_data(mti: str, stan: int, transmitted_at: datetime, time_zone: tzinfo, dialect: Dialect) -> str:
    """Field 90 of 1987 (42 digits), or 56 of 1993 (local time, length of the acquirer before it)."""
    if dialect.original_field == 90:
        return f"{mti}{stan:06d}{transmitted_at:%m%d%H%M%S}{_NO_INSTITUTION}{_NO_INSTITUTION}"
    local = transmitted_at.astimezone(time_zone)
    return f"{mti}{stan:06d}{local:%y%m%d%H%M%S}{len(_NO_INSTITUTION)}{_NO_INSTITUTION}"


def _accounts(instruction: Instruction) -> dict[int, str]:
    fields = {}
    if instruction.source_account:
        fields[102] = instruction.source_account
    if instruction.destination_account:
        fields[103] = instruction.destination_account
    return fields


def _deposit(instruction: Instruction) -> dict[int, str]:
    """A deposit names one account, and field 102 holds it."""
    account = instruction.destination_account or instruction.source_account
    return {102: account} if account else {}


def _bill(instruction: Instruction) -> dict[int, str]:
    return {
        **_accounts(instruction),
        18: _BILL_PAYMENT_MERCHANT,
        48: f"{instruction.biller} {instruction.customer_number}",
    }


_OPERATION_FIELDS: Final = {
    Operation.WITHDRAWAL: _accounts,
    Operation.BALANCE_INQUIRY: _accounts,
    Operation.DEPOSIT: _deposit,
    Operation.TRANSFER: _accounts,
    Operation.BILL_PAYMENT: _bill,
}


def _answers(mti: str, asked: str) -> bool:
    """0210 answers 0200, 0430 answers 0420 and its repeats; no other does."""
    return mti[:2] == asked[:2] and int(mti[2]) == int(asked[2]) + 1


def _echoes_fit(message: Message, instruction: Instruction, code: str, dialect: Dialect) -> bool:
    """What the dialect says the host echoes must be ours; a decline may leave it out, a part has its own amount."""
    sent = {4: f"{instruction.amount_minor:012d}", 49: numeric_code(instruction.currency)}
    for number in dialect.echoes:
        if number == 4 and code == _PARTIAL:
            continue
        echoed = message.get(number)
        if echoed is None and code == _ACCEPTED:
            return False
        if echoed is not None and echoed != sent[number]:
            return False
    return True


def _request_verdict(code: str, repeats: int, dialect: Dialect) -> tuple[Verdict, ReasonCode | None]:
    if code == _ACCEPTED:
        return Verdict.APPROVED, None
    if code in dialect.transient_declines:
        return Verdict.TRANSIENT, None
    if code in dialect.declines:
        return Verdict.DECLINED, None
    reasons = {_PARTIAL: ReasonCode.PARTIAL_APPROVAL, _DUPLICATE: ReasonCode.DUPLICATE_REFUSED}
    return Verdict.INVALID, reasons.get(code, ReasonCode.OUTCOME_UNKNOWN)


def _advice_verdict(code: str, repeats: int, dialect: Dialect) -> tuple[Verdict, ReasonCode | None]:
    if code == _DUPLICATE and repeats:
        return Verdict.APPROVED, None
    verdict, reason = _request_verdict(code, repeats, dialect)
    return (Verdict.INVALID, ReasonCode.OUTCOME_UNKNOWN) if verdict is Verdict.TRANSIENT else (verdict, reason)


def _reversal_verdict(code: str, repeats: int, dialect: Dialect) -> tuple[Verdict, ReasonCode | None]:
    """M5: 94 accepts a repeat only. Whether an original the host never had needs no undoing is not said here (M7)."""
    if code == _ACCEPTED or (code == _DUPLICATE and repeats):
        return Verdict.APPROVED, None
    if code == _NOT_FOUND:
        return Verdict.NOT_FOUND, ReasonCode.REVERSAL_DECLINED
    if code in _REFUSALS:
        return Verdict.REFUSED, None
    return Verdict.DECLINED, ReasonCode.REVERSAL_DECLINED


_VERDICTS: Final = {
    MessageKind.REQUEST: _request_verdict,
    MessageKind.ADVICE: _advice_verdict,
    MessageKind.REVERSAL: _reversal_verdict,
}


def _balances(field_54: str | None, currency: str) -> tuple[Balance, ...]:
    """Read field 54 in its standard form (20 characters each) or this host's (18); unreadable is none."""
    text = field_54 or ""
    if not (text.isascii() and text.isprintable()):
        return ()
    if len(text) == 18 and text.isdigit():
        return (Balance(None, text[:3], letters_of(text[3:6]) or currency, int(text[6:])),)
    if len(text) % 20:
        return ()
    groups = [text[start : start + 20] for start in range(0, len(text), 20)]
    return tuple(balance for group in groups if (balance := _standard_balance(group)))


def _standard_balance(group: str) -> Balance | None:
    currency, sign, digits = letters_of(group[4:7]), group[7], group[8:]
    if currency is None or sign not in "CD" or not digits.isdigit():
        return None
    return Balance(group[:2], group[2:4], currency, int(digits) if sign == "C" else -int(digits))
