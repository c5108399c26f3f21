"""What a client may send, and what it is told when it sent something else. No answer repeats a value."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rest_framework.exceptions import ParseError

from tests.builders import PAN
from transactions.api.checking import Unacceptable, looks_like_card
from transactions.api.examples import EXAMPLES
from transactions.api.rendering import parse_json
from transactions.api.serializers import parse_payment

PURCHASE: dict[str, Any] = {"operation": "purchase", "amount": 100, "currency": "IDR", "card": {"pan": PAN}}


def changed(**changes: Any) -> dict[str, Any]:
    body = {**PURCHASE, **changes}
    return {name: value for name, value in body.items() if value is not ...}


def complaints(body: Any) -> set[tuple[str, str]]:
    with pytest.raises(Unacceptable) as caught:
        parse_payment(body)
    return {(error.pointer, error.code) for error in caught.value.errors}


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_the_documents_examples_are_accepted(example: dict[str, Any]) -> None:
    parse_payment(example)


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (changed(amount=12.5), ("/amount", "type")),
        (changed(amount=True), ("/amount", "type")),
        (changed(amount="100"), ("/amount", "type")),
        (changed(amount=0), ("/amount", "range")),
        (changed(amount=...), ("/amount", "range")),
        (changed(amount=-1), ("/amount", "range")),
        (changed(amount=10**12), ("/amount", "range")),
        (changed(amount=10**40), ("/amount", "range")),
        (changed(currency="XXX"), ("/currency", "currency")),
        (changed(currency="idr"), ("/currency", "format")),
        (changed(currency=...), ("/currency", "required")),
        (changed(operation="teleport"), ("/operation", "choice")),
        (changed(operation="capture"), ("/operation", "choice")),
        (changed(card=...), ("/card", "required")),
        (changed(card=PAN), ("/card", "type")),
        (changed(card={"pan": "4111111111111112"}), ("/card/pan", "luhn")),
        (changed(card={"pan": "411111111111"}), ("/card/pan", "luhn")),
        (changed(card={"pan": "4" * 20}), ("/card/pan", "format")),
        (changed(card={"pan": "4111 1111 1111 1111"}), ("/card/pan", "format")),
        (changed(card={"pan": "٤١١١١١١١١١١١١١١١"}), ("/card/pan", "format")),
        (changed(card={"pan": PAN + "\n"}), ("/card/pan", "characters")),
        (changed(card={"pan": PAN, "expiry": "3000"}), ("/card/expiry", "expiry_month")),
        (changed(card={"pan": PAN, "expiry": "3013"}), ("/card/expiry", "expiry_month")),
        (changed(card={"pan": PAN, "cvv": "123"}), ("/card/cvv", "unknown_field")),
        (changed(card={"pan": PAN, "pin_block": "1234"}), ("/card/pin_block", "format")),
        (changed(tip=1), ("/tip", "unknown_field")),
        (changed(reference="a\u0000b"), ("/reference", "characters")),
        (changed(reference="a\u202eb"), ("/reference", "characters")),
        (changed(reference="x" * 65), ("/reference", "length")),
        (changed(priority=10), ("/priority", "range")),
        (changed(expires_in=0), ("/expires_in", "range")),
        (changed(lane=""), ("/lane", "length")),
        (changed(terminal_id=" ATM"), ("/terminal_id", "format")),
        (changed(metadata={"note": f"card {PAN}"}), ("/metadata", "card_number")),
        (changed(metadata={"note": "4111-1111-1111-1111"}), ("/metadata", "card_number")),
        (changed(metadata={PAN: "x"}), ("/metadata", "card_number")),
        (changed(metadata={"n": int(PAN)}), ("/metadata", "card_number")),
        (changed(metadata={"n": 2**54}), ("/metadata/n", "range")),
        (changed(metadata={"n": 1.5}), ("/metadata/n", "type")),
        (changed(metadata={"n": {"deep": 1}}), ("/metadata/n", "type")),
        (changed(metadata=[]), ("/metadata", "type")),
        (changed(card={"pan": PAN, "4111111111111112": 1}), ("/card/?", "unknown_field")),
        (changed(metadata={"k" * 65: "x"}), ("/metadata/?", "length")),
        (changed(operation="transfer"), ("/source_account", "required")),
        (changed(operation="withdrawal", source_account="1"), ("/card/pin_block", "required")),
        (changed(operation="bill_payment"), ("/biller", "required")),
        (changed(operation="deposit"), ("/destination_account", "required")),
        ([], ("", "type")),
        ("purchase", ("", "type")),
        (None, ("", "type")),
    ],
)
def test_what_is_no_payment_is_named_where_it_is_wrong(body: Any, complaint: tuple[str, str]) -> None:
    assert complaint in complaints(body)


def test_every_mistake_is_told_at_once() -> None:
    body = changed(amount="x", currency=..., card={"pan": "1", "cvv": "1"}, tip=1)

    assert complaints(body) == {
        ("/amount", "type"),
        ("/currency", "required"),
        ("/card/pan", "format"),
        ("/card/cvv", "unknown_field"),
        ("/tip", "unknown_field"),
    }


def test_nothing_a_client_sent_is_repeated() -> None:
    secret = "S3CR3T-4111111111111111"
    body = changed(
        operation=secret, currency=secret, reference=secret * 9, card={"pan": secret, secret: 1}, **{secret: 1}
    )

    with pytest.raises(Unacceptable) as caught:
        parse_payment(body)

    assert "4111111111111111" not in str(caught.value.errors)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "b": 1}}',
        b'{"a": NaN}',
        b'{"a": -Infinity}',
        b'{"a": "\\ud800"}',
        b'{"a": "\\u0000"}',
        b'{"\\u0000": 1}',
        b'{"a": ["\\udfff"]}',
        b"[" * 100_000,
        b'{"a":' * 20 + b"1" + b"}" * 20,
        b'{"a": 1' + b"0" * 5000 + b"}",
        b"{'a': 1}",
        b'{"a": "\n"}',
    ],
)
def test_what_is_not_json_is_refused_as_such(body: bytes) -> None:
    with pytest.raises(ParseError):
        parse_json(body)


HONEST = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=9)


@given(st.dictionaries(HONEST, st.none() | st.booleans() | st.integers() | HONEST | st.lists(HONEST, max_size=3)))
def test_honest_json_is_read_as_it_was_meant(value: dict[str, Any]) -> None:
    assert parse_json(json.dumps(value).encode()) == parse_json(json.dumps(value, ensure_ascii=False).encode()) == value


@given(
    body=st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text() | st.floats() | st.lists(st.text()))
)
def test_whatever_object_comes_is_answered_and_breaks_nothing(body: dict[str, Any]) -> None:
    with pytest.raises(Unacceptable):
        parse_payment(body)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (PAN, True),
        (f"order-{PAN}", True),
        ("3782 822463 10005", True),
        ("12345", False),
        ("2026-11-20 12:00:00 000 1", False),
        ("41111111-1111-4111-8111-111111111111", False),
        (f"a{PAN}", False),
    ],
)
def test_a_card_number_is_recognised_in_text(text: str, is_one: bool) -> None:  # noqa: FBT001
    assert looks_like_card(text) is is_one
