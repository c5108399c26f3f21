"""The settlement of a business date, read and downloaded by those who may see payments."""

import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.urls import reverse

from processor import links
from processor.models import LinkStatus
from staff.models import Record
from tests.integration.conftest import Hand
from tests.integration.test_roles import sign_in
from transactions import reporting

PAGE = reverse("report_settlement")
FILE = reverse("report_settlement_download")


@pytest.fixture
def viewer(hand: Hand) -> Client:
    return sign_in("vera", "viewer")


@pytest.fixture
def settled(hand: Hand) -> Hand:
    """Approved 100 and 250, declined 70, silent and undone 40; two still open."""
    for amount, code in ((100, "00"), (250, "00"), (70, "51")):
        hand.accept(amount)
        hand.answer(hand.take()[0], code)
    hand.accept(40)
    hand.silence(hand.take()[0])
    hand.answer(hand.take()[0])
    hand.accept(60)
    hand.take()
    return hand


def today() -> Any:
    return LinkStatus.objects.get().business_date


def downloaded(client: Client, **asked: Any) -> list[dict[str, str]]:
    response = client.get(FILE, asked)
    text = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    return list(csv.DictReader(io.StringIO(text)))


def test_a_date_is_summed_by_currency_and_operation(settled: Hand) -> None:
    (tally,) = reporting.settlement(today())

    assert (tally.currency, tally.operation) == ("IDR", "purchase")
    assert (tally.approved, tally.approved_minor, tally.reversed, tally.net_minor) == (2, 350, 0, 350)
    assert (tally.undone, tally.declined, tally.open) == (1, 1, 1)


def test_another_date_and_another_link_have_nothing(settled: Hand) -> None:
    assert reporting.settlement(today() - timedelta(days=1)) == []
    assert reporting.settlement(today(), "another") == []


def test_the_page_says_it_in_the_currencys_form(settled: Hand, viewer: Client) -> None:
    page = viewer.get(PAGE).content.decode()

    assert "IDR 3.50" in page
    assert "1 attempt of this date is not over" in page


def test_where_there_is_one_link_only_nobody_chooses_it(settled: Hand, viewer: Client) -> None:
    assert "Choose one link above" not in viewer.get(PAGE).content.decode()

    facts = {"dialect": "bank-ascii87", "framing": "ascii4", "terminal_id": "ATM-002", "card_acceptor_id": "TRM-ISS002"}
    links.configure("other", facts, [("127.0.0.1", 2)])

    assert "Choose one link above" in viewer.get(PAGE).content.decode()


def test_the_browsers_calendar_is_given_its_own_form_of_a_date_in_every_language(hand: Hand, viewer: Client) -> None:
    for language in ("en", "id"):
        assert f'value="{today()}"' in viewer.get(PAGE, headers={"Accept-Language": language}).content.decode()


def test_the_download_is_the_same_and_is_recorded(settled: Hand, viewer: Client) -> None:
    (line,) = downloaded(viewer, day=str(today()))

    assert (line["operation"], line["net"], line["net_amount"], line["open"]) == ("purchase", "2", "3.50", "1")
    row = Record.objects.get(action="export_report")
    assert (row.who, row.detail["business_date"]) == ("vera", str(today()))


def test_a_refund_leaves_a_negative_amount_that_a_spreadsheet_reads(settled: Hand, viewer: Client) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE transactions_payment SET operation = 'refund'")

    assert downloaded(viewer, day=str(today()))[0]["net_amount"] == "-3.50"
    assert "−IDR 3.50" in viewer.get(PAGE).content.decode()


@pytest.mark.parametrize("day", ["", "yesterday<b>", "2026-13-01", "99999-01-01", "9999-12-31", "0001-01-01"])
@pytest.mark.parametrize("address", [PAGE, FILE])
def test_what_is_no_date_is_said_and_not_echoed_as_html(viewer: Client, address: str, day: str) -> None:
    response = viewer.get(address, {"day": day})

    assert response.status_code == 200
    assert b"yesterday<b>" not in response.content
    assert not Record.objects.filter(action="export_report").exists()


def test_before_there_is_a_link_it_says_what_to_do(database: None) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"), backend="django.contrib.auth.backends.ModelBackend")

    assert "Make a link first" in client.get(PAGE).content.decode()
