"""What people and files get to see of a message, and of anything that looks like a card."""

import logging
import logging.config

import pytest
import structlog

from config.logs import configure
from processor.codec.describe import describe, describe_message, describe_mti, masked_fields
from processor.codec.message import Message
from staff.masking import mask_text
from tests.builders import BANK, PAN, request_fields


def test_the_card_is_cut_and_secrets_are_hidden() -> None:
    masked = masked_fields(Message("0200", {**request_fields(), 14: "3012", 123: "AB" * 32, 64: "F" * 32}))

    assert masked["2"] == "411111******1111"
    assert (masked["14"], masked["123"], masked["64"]) == ("(4 hidden)", "(64 hidden)", "(32 hidden)")
    assert masked["4"] == "000001250000"


def test_an_account_that_looks_like_a_card_is_cut_too() -> None:
    assert masked_fields(Message("0200", {102: PAN, 103: "12345"})) == {"102": "411111******1111", "103": "12345"}


def test_unprintable_characters_do_not_reach_a_page() -> None:
    assert masked_fields(Message("0210", {48: "a\x00b\x1bc"})) == {"48": "a.b.c"}


def test_fields_have_names_and_codes_have_meanings() -> None:
    described = describe({"3": "010000", "39": "51"}, BANK)

    assert [(field.name, field.meaning) for field in described] == [
        ("Processing Code", "withdrawal"),
        ("Response Code", "insufficient funds"),
    ]


@pytest.mark.parametrize(
    ("mti", "words"),
    [("0200", "financial request"), ("0421", "reversal advice, repeat"), ("0430", "reversal advice response")],
)
def test_an_mti_has_words(mti: str, words: str) -> None:
    assert describe_mti(mti) == words


def test_a_network_message_says_what_it_is_for() -> None:
    assert describe_message("0800", {"70": "301"}, BANK) == "echo request"
    assert describe_message("0810", {"70": "001", "39": "00"}, BANK) == "sign-on answer"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"card {PAN} refused", "card 411111******1111 refused"),
        ("4111 1111 1111 1111, or 4111-1111-1111-1111.", "411111******1111, or 411111******1111."),
        ("3782 822463 10005 is American", "378282*****0005 is American"),
        ("order 4111 1111 1111 1112 on 2026-11-22 04:14", "order 4111 1111 1111 1112 on 2026-11-22 04:14"),
        ("order 4111111111111112 is no card", "order 4111111111111112 is no card"),
        ("01a1fa9b-da2a-70fa-b3c9-2c3572a64829", "01a1fa9b-da2a-70fa-b3c9-2c3572a64829"),
    ],
)
def test_text_loses_its_card_numbers_and_nothing_else(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize("as_json", [True, False])
def test_a_card_number_never_reaches_a_log(as_json: bool, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: FBT001
    logging.config.dictConfig(configure(level="INFO", as_json=as_json))
    try:
        structlog.get_logger("here").info("told", card=PAN, deep={"list": [f"pan={PAN}"]})
        logging.getLogger("elsewhere").warning("said %s", PAN)
        logging.getLogger("elsewhere").error("broke", exc_info=ValueError(f"wrong card {PAN}"))
    finally:
        logging.config.dictConfig(configure(level="ERROR", as_json=False))

    said = capsys.readouterr().err
    assert PAN not in said
    assert said.count("411111******1111") >= 4
