"""Between domain and wire: what each operation sends, and what each answer means."""

from datetime import UTC
from typing import Any

import pytest
from msgspec.structs import replace

from processor.codec.dialects import DIALECTS
from processor.codec.errors import EncodeError
from processor.codec.message import Message, decode, encode
from processor.keys.signing import signed
from processor.keys.software import mac
from tests.builders import BANK, NOON, PAN, accepted, dispatched, instruction, payment
from transactions.domain.children import child_instruction
from transactions.domain.events import Approved
from transactions.domain.values import Attempt, Balance, MessageKind, Operation, ReasonCode, Verdict
from transactions.iso8583 import Card, Wire, payment_message, read_answer, reversal_message, rrn_of

CARD = Card(PAN, "3012")
WIRE = Wire(101, NOON, "632512000101", UTC)
COMMON = {2, 3, 4, 7, 11, 12, 13, 37, 41, 42, 49}
KEY = bytes(16)
PIN = bytes(32)


def attempt(**changes: Any) -> Attempt:
    return replace(payment(dispatched()).attempts[0], **changes)


def answered(code: str = "00", *, mti: str = "0210", **fields: str) -> Message:
    given = {int(name.removeprefix("f")): value for name, value in fields.items()}
    return Message(mti, {4: "000001250000", 49: "360", 39: code, **given})


def verdict_of(message: Message | None, asked: Attempt | None = None) -> tuple[Verdict, ReasonCode | None]:
    read = read_answer(message, asked or attempt(), instruction(), BANK, [])
    return read.verdict, read.reason


@pytest.mark.parametrize(
    ("operation", "mti", "code", "besides", "details"),
    [
        (Operation.PURCHASE, "0200", "000000", set(), {}),
        (Operation.WITHDRAWAL, "0200", "010000", {102, 123}, {"source_account": "1"}),
        (Operation.BALANCE_INQUIRY, "0200", "310000", {102, 123}, {"source_account": "1"}),
        (Operation.DEPOSIT, "0200", "210000", {102}, {"destination_account": "1"}),
        (Operation.TRANSFER, "0200", "400000", {102, 103}, {"source_account": "1", "destination_account": "2"}),
        (Operation.BILL_PAYMENT, "0200", "500000", {18, 48}, {"biller": "PLN", "customer_number": "5"}),
        (Operation.AUTHORISATION, "0100", "000000", set(), {}),
    ],
)
def test_each_operation_has_its_message(
    operation: Operation, mti: str, code: str, besides: set[int], details: dict[str, str]
) -> None:
    pin = PIN if 123 in besides else None

    message = payment_message(instruction(operation, **details), CARD, pin, WIRE, 0, BANK)

    assert (message.mti, message.fields[3]) == (mti, code)
    assert message.fields.keys() == COMMON | besides


def test_the_fields_say_what_was_asked() -> None:
    fields = payment_message(instruction(), CARD, None, WIRE, 0, BANK).fields

    assert fields[4] == "000001250000"
    assert (fields[7], fields[12], fields[13]) == ("1120120000", "120000", "1120")
    assert (fields[11], fields[37], fields[49]) == ("000101", "632512000101", "360")


def test_our_reference_tells_day_hour_and_stan() -> None:
    assert rrn_of(101, NOON) == "632412000101"


@pytest.mark.parametrize("name", DIALECTS)
def test_every_dialect_can_carry_every_operation(name: str) -> None:
    dialect = DIALECTS[name]
    for operation in Operation:
        if operation.is_child:
            continue
        asked = instruction(operation, source_account="1", destination_account="2", biller="B", customer_number="3")
        message = payment_message(asked, CARD, bytes(dialect.pin_bytes), WIRE, 0, dialect)
        assert decode(encode(signed(message, dialect, KEY), dialect), dialect).get(dialect.mac_field)


def test_a_pin_block_of_another_size_is_not_sent() -> None:
    with pytest.raises(EncodeError):
        payment_message(instruction(Operation.WITHDRAWAL), CARD, bytes(8), WIRE, 0, BANK)


def test_a_signed_message_carries_the_mac_of_itself_without_it() -> None:
    message = payment_message(instruction(), CARD, None, WIRE, 0, BANK)

    unsigned, with_mac = encode(message, BANK), encode(signed(message, BANK, KEY), BANK)

    assert decode(with_mac, BANK).fields[64] == mac(KEY, unsigned)


class TestReversals:
    def test_a_reversal_has_its_own_stan_and_names_its_original(self) -> None:
        wire = Wire(202, NOON.replace(second=30), "632412000101", UTC)

        message = reversal_message(instruction(), CARD, attempt(rrn="632412000101"), wire, 0, BANK)

        assert message.mti == "0420"
        assert (message.fields[11], message.fields[7], message.fields[37]) == ("000202", "1120120030", "632412000101")
        assert message.fields[90] == "0200" + "000101" + "1120120000" + "0" * 22
        assert 39 not in message.fields

    def test_a_repeat_says_so(self) -> None:
        assert reversal_message(instruction(), CARD, attempt(), WIRE, 3, BANK).mti == "0421"

    def test_it_carries_the_originals_code_where_there_is_one(self) -> None:
        assert reversal_message(instruction(), CARD, attempt(response_code="00"), WIRE, 0, BANK).fields[39] == "00"

    def test_1993_names_its_original_in_field_56(self) -> None:
        message = reversal_message(instruction(), CARD, attempt(mti="1200"), WIRE, 0, DIALECTS["iso93-ascii"])

        assert message.mti == "1420"
        assert message.fields[56] == "1200" + "000101" + "261120120000" + "11" + "0" * 11
        assert message.fields[24] == "400"


class TestChildren:
    def test_a_capture_is_an_advice_of_the_authorisation(self) -> None:
        original = payment(accepted(Operation.AUTHORISATION), dispatched(mti="0100"), Approved(1, "00", "123456"))
        child = child_instruction(original, Operation.CAPTURE, 1_000_000)

        message = payment_message(child, CARD, None, WIRE, 0, BANK)

        assert message.mti == "0220"
        assert message.fields[38] == "123456"
        assert message.fields[90].startswith("0100000101")
        assert payment_message(child, CARD, None, WIRE, 1, BANK).mti == "0221"

    def test_a_refund_is_a_request_that_names_the_purchase(self) -> None:
        original = payment(dispatched(), Approved(1, "00", "123456"))

        message = payment_message(child_instruction(original, Operation.REFUND, 500), CARD, None, WIRE, 0, BANK)

        assert (message.mti, message.fields[3], message.fields[4]) == ("0200", "200000", "000000000500")
        assert message.fields[90].startswith("0200000101")

    def test_a_void_asks_for_the_whole_to_be_undone(self) -> None:
        original = payment(dispatched(), Approved(1, "00"))

        message = payment_message(child_instruction(original, Operation.VOID, 1_250_000), CARD, None, WIRE, 0, BANK)

        assert (message.mti, message.fields[3]) == ("0400", "000000")


class TestWhatAnAnswerMeans:
    @pytest.mark.parametrize(
        ("code", "verdict", "reason"),
        [
            ("00", Verdict.APPROVED, None),
            ("51", Verdict.DECLINED, None),
            ("91", Verdict.TRANSIENT, None),
            ("68", Verdict.INVALID, ReasonCode.OUTCOME_UNKNOWN),
            ("94", Verdict.INVALID, ReasonCode.DUPLICATE_REFUSED),
            ("10", Verdict.INVALID, ReasonCode.PARTIAL_APPROVAL),
            ("11", Verdict.INVALID, ReasonCode.OUTCOME_UNKNOWN),
            ("ZZ", Verdict.INVALID, ReasonCode.OUTCOME_UNKNOWN),
        ],
    )
    def test_to_a_request(self, code: str, verdict: Verdict, reason: ReasonCode | None) -> None:
        assert verdict_of(answered(code)) == (verdict, reason)

    @pytest.mark.parametrize(
        ("code", "repeats", "verdict"),
        [
            ("00", 0, Verdict.APPROVED),
            ("25", 0, Verdict.NOT_FOUND),
            ("94", 1, Verdict.APPROVED),
            ("94", 0, Verdict.DECLINED),
            ("12", 0, Verdict.REFUSED),
            ("30", 3, Verdict.REFUSED),
            ("57", 0, Verdict.REFUSED),
            ("91", 0, Verdict.DECLINED),
        ],
    )
    def test_to_a_reversal(self, code: str, repeats: int, verdict: Verdict) -> None:
        asked = attempt(kind=MessageKind.REVERSAL, mti="0420", reverses=1, repeats=repeats)

        assert verdict_of(answered(code, mti="0430"), asked)[0] is verdict

    @pytest.mark.parametrize(
        "message",
        [
            None,
            answered(f4="000001250001"),
            answered(f49="840"),
            Message("0210", {4: "000001250000", 49: "360"}),
            Message("0210", {39: "00"}),
            answered(mti="0200"),
        ],
        ids=["unreadable", "amount", "currency", "no code", "no echo", "no answer"],
    )
    def test_what_does_not_fit_is_no_answer(self, message: Message | None) -> None:
        assert verdict_of(message) == (Verdict.INVALID, ReasonCode.WRONG_ANSWER)

    def test_a_decline_may_leave_the_echoes_out(self) -> None:
        assert verdict_of(Message("0210", {39: "51"}))[0] is Verdict.DECLINED

    def test_a_signed_operation_needs_a_signed_answer(self) -> None:
        asked = instruction(Operation.WITHDRAWAL)
        plain = answered(f3="010000")
        good = decode(encode(signed(plain, BANK, KEY), BANK), BANK)

        assert read_answer(good, attempt(), asked, BANK, [bytes(15) + b"\1", KEY]).verdict is Verdict.APPROVED
        for wrong in (plain, signed(plain, BANK, bytes(15) + b"\2")):
            assert read_answer(wrong, attempt(), asked, BANK, [KEY]).reason is ReasonCode.BAD_MAC

    @pytest.mark.parametrize(
        ("field_54", "balance"),
        [
            ("001360000000123456", Balance(None, "001", "IDR", 123456)),
            ("1002360C000000123456", Balance("10", "02", "IDR", 123456)),
            ("1002360D000000000099", Balance("10", "02", "IDR", -99)),
        ],
    )
    def test_balances_are_read_in_both_forms(self, field_54: str, balance: Balance) -> None:
        read = read_answer(answered(f54=field_54), attempt(), instruction(), BANK, [])

        assert read.balances == (balance,)

    @pytest.mark.parametrize(
        "field_54",
        [
            "",
            "x" * 18,
            "12",
            "1002360X000000123456",
            "1002999C000000123456",
            "00136000000012345²",
            "1\x0002360C000000123456",
        ],
    )
    def test_an_unreadable_balance_is_none(self, field_54: str) -> None:
        assert read_answer(answered(f54=field_54), attempt(), instruction(), BANK, []).balances == ()

    @pytest.mark.parametrize("mti", ["0230", "0430", "0110", "0200", "0290"])
    def test_an_answer_of_another_kind_is_none(self, mti: str) -> None:
        assert verdict_of(answered(mti=mti)) == (Verdict.INVALID, ReasonCode.WRONG_ANSWER)

    def test_a_part_has_its_own_amount(self) -> None:
        partial = answered("10", f4="000000000999")

        assert verdict_of(partial) == (Verdict.INVALID, ReasonCode.PARTIAL_APPROVAL)
        assert verdict_of(answered("10", f4="000000000999", f49="840"))[1] is ReasonCode.WRONG_ANSWER

    @pytest.mark.parametrize(
        ("code", "verdict"), [("000", Verdict.APPROVED), ("00", Verdict.INVALID), ("51", Verdict.INVALID)]
    )
    def test_a_code_of_1987_means_nothing_in_1993(self, code: str, verdict: Verdict) -> None:
        dialect = DIALECTS["iso93-ascii"]
        message = decode(encode(answered(code, mti="1210"), dialect), dialect)

        assert read_answer(message, attempt(mti="1200"), instruction(), dialect, []).verdict is verdict

    @pytest.mark.parametrize(("code", "approves"), [("00", True), ("10", True), ("51", False), ("68", False)])
    @pytest.mark.parametrize("name", ["bank-ascii87", "iso93-ascii"])
    def test_what_does_not_count_may_tell_of_an_approval_all_the_same(
        self, name: str, code: str, *, approves: bool
    ) -> None:
        dialect = DIALECTS[name]
        mti = dialect.mti["request"]
        message = answered(dialect.write_code(code), mti=f"{mti[:2]}10", f4="000000000999")

        answer = read_answer(message, attempt(mti=mti), instruction(), dialect, [])

        assert (answer.verdict is Verdict.APPROVED, answer.approves) == (False, approves)
