"""Messages as bytes: what WIRE says, to the byte, and what every dialect must survive."""

import time

import pytest
from hypothesis import given, settings

from processor.codec.dialects import DIALECTS, Dialect
from processor.codec.errors import DecodeError, EncodeError
from processor.codec.message import Message, decode, encode
from tests.builders import BANK, request_fields
from tests.strategies import messages

every_dialect = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS.keys())


def test_a_sign_on_is_written_to_the_byte() -> None:
    message = Message("0800", {11: "000001", 41: "ATM-001", 42: "TRM-ISS001", 70: "001"})

    assert encode(message, BANK) == b"08008020000000C000000400000000000000000001ATM-001         TRM-ISS001     001"


def test_a_pin_block_travels_as_raw_bytes_behind_ascii_digits() -> None:
    body = encode(Message("0200", {**request_fields(), 123: "AB" * 32}), BANK)

    assert body.endswith(b"032" + b"\xab" * 32)


def test_the_currency_is_text_where_digits_are_packed() -> None:
    body = encode(Message("0200", {11: "000001", 49: "360"}), DIALECTS["iso87-binary"])

    assert body == bytes.fromhex("02000020000000008000000001") + b"360"


@every_dialect
def test_what_is_encoded_is_decoded_again(dialect: Dialect) -> None:
    @settings(max_examples=60, deadline=None)
    @given(messages(dialect))
    def check(message: Message) -> None:
        assert decode(encode(message, dialect), dialect) == message

    check()


@every_dialect
def test_a_message_cut_short_is_refused(dialect: Dialect) -> None:
    fields = request_fields() | ({12: "261120120000"} if dialect.name == "iso93-ascii" else {})
    fields = {number: value for number, value in fields.items() if number in dialect.rules}
    body = encode(Message("0200", fields), dialect)

    for length in range(len(body)):
        with pytest.raises(DecodeError):
            decode(body[:length], dialect)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a letter in a numeric field", b"02002000000000000000" + b"00000x"),
        ("a sign in a length", b"02004000000000000000" + b"+4" + b"4111"),
        ("a negative length", b"02004000000000000000" + b"-1" + b"4111"),
        ("spaces in the bitmap", b"0200 000000000000000"),
        ("an MTI that is no number", b"02x00000000000000000"),
        ("a control character in a terminal id", b"02000000000000800000" + b"ATM\x00001" + b" " * 9),
        ("bytes behind the last field", b"02002000000000000000" + b"000000" + b"?"),
    ],
)
def test_what_is_not_of_the_dialect_is_refused(name: str, body: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(body, BANK)


def test_a_huge_body_is_refused_at_once() -> None:
    began = time.perf_counter()
    with pytest.raises(DecodeError):
        decode(b"0200" + b"F" * 1_000_000, BANK)

    assert time.perf_counter() - began < 0.05


@pytest.mark.parametrize(
    ("field", "value"),
    [(4, "12.50"), (4, "١٢٣٤٥٦٧٨٩٠١٢"), (41, "ATM\n001"), (41, "A" * 17), (52, "xyz"), (4, "1"), (2, "4" * 20)],
)
def test_what_does_not_fit_names_its_field_and_not_its_value(field: int, value: str) -> None:
    with pytest.raises(EncodeError) as caught:
        encode(Message("0200", {field: value}), BANK)

    assert caught.value.field == field
    assert value not in str(caught.value)


def test_response_codes_are_named_as_in_1987() -> None:
    dialect = DIALECTS["iso93-ascii"]

    assert dialect.read_code("116") == "51"
    assert dialect.write_code("25") == "914"
    assert dialect.read_code("777") == "777"


@every_dialect
def test_every_dialect_recognises_its_own_network_messages(dialect: Dialect) -> None:
    for purpose, signs in dialect.network.items():
        assert dialect.network_purpose(signs) == purpose
    assert dialect.network_purpose({70: "999"}) is None
