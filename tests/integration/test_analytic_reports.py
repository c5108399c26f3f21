"""The analytic reports: what they count, by whose calendar, how far they look, and that all of it can be downloaded."""

import csv
import datetime as dt
import io
from collections import Counter
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from django.conf import settings
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from django.utils.html import escape

from staff.models import Record
from tests.integration.conftest import Hand
from tests.integration.test_languages import INDONESIAN
from tests.integration.test_roles import sign_in
from tests.integration.test_seed import seed
from transactions import finding, reporting
from transactions.domain.values import Operation
from transactions.models import Attempt, Payment
from transactions.reports.period import Asked
from transactions.reports.shares import OF_AMOUNTS, percentiles

JAKARTA = ZoneInfo("Asia/Jakarta")
NAMES = ("success", "values", "hours", "responses", "slowest")


@pytest.fixture
def viewer(hand: Hand) -> Client:
    return sign_in("vera", "viewer")


@pytest.fixture
def week(hand: Hand) -> Hand:
    """Purchases: 100 and 250 approved, 70 declined, 40 silent and undone, 60 open; a bill of IDR 5.00 approved."""
    for amount, code in ((100, "00"), (250, "00"), (70, "51")):
        hand.accept(amount)
        hand.answer(hand.take()[0], code)
    hand.accept(500, operation=Operation.BILL_PAYMENT, biller="PLN", customer_number="1")
    hand.answer(hand.take()[0])
    hand.accept(40)
    hand.silence(hand.take()[0])
    hand.answer(hand.take()[0])
    hand.accept(60)
    hand.take()
    return hand


def asked(**narrowed: Any) -> Asked:
    today = timezone.localdate()
    days = {"first": today - timedelta(days=1), "last": today + timedelta(days=1)}
    return Asked(**{**days, "zone": timezone.get_current_timezone(), **narrowed})


def shown(client: Client, name: str, **query: Any) -> str:
    return client.get(reverse(f"report_{name}"), query).content.decode()


def rows_of(page: str) -> list[list[str]]:
    """The tables' rows as text, without their links."""
    bodies = "".join(part.split("</tbody>")[0] for part in page.split("<tbody>")[1:])
    rows = [line.split("<td")[1:] for line in bodies.split("<tr>")[1:]]
    return [["".join(piece.split(">")[-1] for piece in cell.split("<")).strip() for cell in row] for row in rows]


def downloaded(client: Client, name: str, **query: Any) -> list[dict[str, str]]:
    response = client.get(reverse(f"report_{name}_download"), query)
    text = b"".join(response.streaming_content).decode("utf-8-sig")  # type: ignore[attr-defined]
    return list(csv.DictReader(io.StringIO(text)))


class TestSuccess:
    def test_it_is_the_approved_of_the_ended_and_says_the_open_apart(self, week: Hand, viewer: Client) -> None:
        rows = {row[0]: row for row in rows_of(shown(viewer, "success"))}

        assert rows["purchase"][1:] == ["4", "2", "50.0%", "1", "1", "0", "0", "0", "1"]
        assert rows["PLN"][1:4] == ["1", "1", "100.0%"]

    def test_bands_are_by_currency(self, week: Hand, viewer: Client) -> None:
        week.accept(100, currency="USD")

        page = shown(viewer, "success")

        assert "By amount in IDR" in page
        assert "By amount in USD" in page
        assert [row[1] for row in rows_of(page) if row[0] == "1 – 2"] == ["1", "0"]

    def test_a_number_leads_to_its_payments(self, week: Hand, viewer: Client) -> None:
        page = shown(viewer, "success")
        today = timezone.localdate()
        query = f"created_at_from={today - timedelta(days=6)}&created_at_to={today}"
        address = f"{reverse('admin:transactions_payment_changelist')}?{query}"
        address += "&operation__exact=purchase&status__exact=declined"

        assert escape(address) in page
        assert viewer.get(address).context["cl"].result_count == 1

    def test_a_currency_cannot_be_said_to_the_list_so_nothing_leads_there(self, week: Hand, viewer: Client) -> None:
        assert "status__exact" not in shown(viewer, "success", **days(), currency="idr")


def days(before: int = 0, length: int = 1) -> dict[str, str]:
    last = timezone.localdate() - timedelta(days=before)
    return {"first": str(last - timedelta(days=length - 1)), "last": str(last)}


class TestValues:
    def test_only_approved_amounts_count(self, week: Hand, viewer: Client) -> None:
        rows = rows_of(shown(viewer, "values"))
        amounts, bands = dict(row for row in rows if len(row) == 2), rows[8:]

        assert amounts == {
            "Lowest": "IDR 1.00",
            "25%": "IDR 1.00",
            "Median": "IDR 2.50",
            "75%": "IDR 5.00",
            "90%": "IDR 5.00",
            "99%": "IDR 5.00",
            "Highest": "IDR 5.00",
            "Together": "IDR 8.50",
        }
        assert [(row[0], row[1], row[3]) for row in bands] == [
            ("1 – 2", "1", "IDR 1.00"),
            ("2 – 5", "1", "IDR 2.50"),
            ("5 – 10", "1", "IDR 5.00"),
        ]

    def test_currencies_are_never_added(self, week: Hand, viewer: Client) -> None:
        week.accept(900, currency="USD")
        week.answer(week.take()[0])

        page = shown(viewer, "values")

        assert "USD 9.00" in page
        bands = [line["currency"] for line in downloaded(viewer, "values") if line["figure"] == "band"]
        assert bands == ["IDR", "IDR", "IDR", "USD"]

    def test_the_download_has_every_amount_of_the_page(self, week: Hand, viewer: Client) -> None:
        page = [row[1] for row in rows_of(shown(viewer, "values")) if len(row) == 2]

        lines = [line for line in downloaded(viewer, "values") if line["figure"] != "band"]

        assert [line["figure"] for line in lines] == "lowest p25 p50 p75 p90 p99 highest all".split()
        assert [f"IDR {line['amount'] or line['approved_amount']}" for line in lines] == page

    def test_the_percentiles_are_those_of_the_rule(self, hand: Hand) -> None:
        seed(400)
        period = asked(first=timezone.localdate() - timedelta(days=30))
        amounts = Payment.objects.filter(
            created_at__gte=period.since, created_at__lt=period.until, status="approved", amount__gt=0
        ).values_list("amount", flat=True)

        (found,) = reporting.values(period).parts[1]

        counted = {amount: list(amounts).count(amount) for amount in amounts}
        assert found.percentiles == percentiles(counted, OF_AMOUNTS)


class TestHours:
    def test_they_are_by_the_viewers_clock(self, week: Hand, viewer: Client) -> None:
        viewer.cookies["zone"] = "Asia/Jakarta"
        times = [at.astimezone(JAKARTA) for at in Payment.objects.values_list("created_at", flat=True)]
        expected = Counter(f"{at.hour:02d}:00 – {at.hour + 1:02d}:00" for at in times)
        period = {"first": str(min(times).date()), "last": str(max(times).date())}

        rows = rows_of(shown(viewer, "hours", **period))[:24]

        assert {row[0]: int(row[1]) for row in rows if row[1] != "0"} == expected
        assert len(rows) == 24


class TestResponses:
    def test_codes_have_names_and_silence_is_told(self, week: Hand, viewer: Client) -> None:
        rows = {row[0]: row for row in rows_of(shown(viewer, "responses")) if row[0] != "–"}
        silent = {row[1]: row[2] for row in rows_of(shown(viewer, "responses")) if row[0] == "–"}

        assert rows["00"][1:] == ["approved", "3", "50.0%"]
        assert rows["51"][1:3] == ["insufficient funds", "1"]
        assert silent == {"no answer": "1", "not answered yet": "1"}

    def test_the_acceptance_of_a_reversal_is_no_answer_to_a_payment(self, week: Hand) -> None:
        assert sum(row.attempts for row in reporting.codes(asked()).parts[0] if row.code == "00") == 3


class TestSlowest:
    def test_the_slowest_lead_to_their_stories(self, week: Hand, viewer: Client) -> None:
        slow = Payment.objects.filter(status="declined").get()
        Payment.objects.filter(id=slow.id).update(ended_at=slow.created_at + timedelta(minutes=9))
        Attempt.objects.filter(payment_id=slow.id).update(answered_at=slow.created_at + timedelta(seconds=70))

        found = reporting.times(asked())

        assert found.parts[2][0].id == found.parts[3][0].id == slow.id
        assert found.parts[2][0].seconds == 540
        page = shown(viewer, "slowest")
        assert reverse("admin:transactions_payment_change", args=[slow.id]) in page
        assert "9 min" in page

    def test_a_payment_that_was_never_tried_again_is_not_retried(self, week: Hand) -> None:
        assert reporting.times(asked()).parts[4] == []

    def test_tries_and_repeats_are_counted_and_reversals_are_no_tries(self, week: Hand) -> None:
        ids = list(Payment.objects.order_by("id").values_list("id", flat=True)[:2])
        first = Attempt.objects.get(payment_id=ids[0], number=1)
        for number in (2, 3):
            first.number, first.stan = number, first.stan + 100
            first.save(force_insert=True)
        Attempt.objects.filter(payment_id=ids[1]).update(repeats=1)

        found = reporting.times(asked()).parts[4]

        assert [(row.id, row.tries, row.repeats) for row in found] == [(ids[0], 3, 0), (ids[1], 1, 1)]


class TestEveryReport:
    @pytest.mark.parametrize("name", NAMES)
    def test_it_is_narrowed(self, week: Hand, viewer: Client, name: str) -> None:
        assert rows_of(shown(viewer, name, **days()))
        for narrowed in ({"link": "bank", "operation": "transfer"}, {"currency": "EUR"}, {**days(before=2)}):
            assert rows_of(shown(viewer, name, **{**days(), **narrowed})) == []

    @pytest.mark.parametrize("name", NAMES)
    def test_where_nothing_fits_it_says_what_to_do(self, viewer: Client, name: str) -> None:
        page = shown(viewer, name)

        assert "Choose other days" in page
        assert "Download CSV" not in page

    @pytest.mark.parametrize("name", NAMES)
    def test_it_asks_the_database_the_same_however_much_there_is(self, viewer: Client, name: str) -> None:
        seed(50)
        with CaptureQueriesContext(connection) as few:
            shown(viewer, name, **days(length=31))
        seed(400)

        with CaptureQueriesContext(connection) as many:
            shown(viewer, name, **days(length=31))

        assert len(many) == len(few) < 12

    @pytest.mark.parametrize("name", NAMES)
    def test_its_download_is_recorded_with_what_was_asked(self, week: Hand, viewer: Client, name: str) -> None:
        lines = downloaded(viewer, name, **days(), link="bank")

        assert lines
        row = Record.objects.get(action="export_report")
        told = {"report": name, **days(), "link": "bank", "lines": len(lines)}
        assert (row.who, row.detail) == ("vera", told)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"first": "yesterday<b>", "last": ""},
            {"first": "2026-13-01", "last": "2026-13-02"},
            {"first": "0001-01-01", "last": "0001-01-02"},
            {"first": "9999-12-31", "last": "9999-12-31"},
            {"first": "2026-11-02", "last": "2026-11-01"},
            {"first": "2026-01-01", "last": "2026-02-01"},
            {"first": "2026-11-01", "last": "2026-11-01", "currency": "<b>"},
            {"first": "2026-11-01", "last": "2026-11-01", "operation": "theft"},
            {"first": "2026-11-01", "last": "2026-11-01", "link": "none"},
        ],
    )
    @pytest.mark.parametrize("door", ["report_success", "report_success_download"])
    def test_what_cannot_be_asked_is_said_and_never_recorded(
        self, viewer: Client, door: str, wrong: dict[str, str]
    ) -> None:
        response = viewer.get(reverse(door), wrong)

        assert response.status_code == 200
        assert b"errorlist" in response.content
        assert b"yesterday<b>" not in response.content
        assert not Record.objects.filter(action="export_report").exists()

    @pytest.mark.parametrize("name", NAMES)
    def test_every_plot_has_a_table_beside_it(self, week: Hand, viewer: Client, name: str) -> None:
        page = shown(viewer, name)

        assert 0 < page.count("<canvas") <= page.count("<table")
        assert page.count("<canvas") == page.count('type="application/json"')

    @pytest.mark.parametrize("name", NAMES)
    def test_it_speaks_indonesian(self, week: Hand, viewer: Client, name: str) -> None:
        page = viewer.get(reverse(f"report_{name}"), headers=INDONESIAN).content.decode()

        assert "Hari pertama" in page
        assert "Hari adalah hari diterimanya pembayaran" in page
        # the browser's calendar knows no other form of a date
        assert f'value="{timezone.localdate()}"' in page


class TestHowFarItLooks:
    def test_of_more_payments_than_it_reads_the_newest_are_in_it(
        self, week: Hand, viewer: Client, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reporting, "MOST", 3)

        found = reporting.ends(asked())

        assert found.only_since is not None
        assert sum(row.payments for row in found.parts[0]) == 3
        assert "Only the newest" in shown(viewer, "success")
        assert "only_since" in (downloaded(viewer, "success") and Record.objects.get(action="export_report").detail)

    def test_what_came_just_after_the_period_pushes_nothing_out_of_it(
        self, week: Hand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(reporting, "MOST", 3)
        now = timezone.now()
        half_past_midnight = dt.timezone(timedelta(minutes=30 - now.hour * 60 - now.minute))
        yesterday = now.astimezone(half_past_midnight).date() - timedelta(days=1)
        earlier = now - timedelta(hours=2)
        first = Payment.objects.order_by("id")[:1].get()
        Payment.objects.filter(id=first.id).update(id=finding.first_id(earlier), created_at=earlier)

        found = reporting.ends(asked(first=yesterday, last=yesterday, zone=half_past_midnight))

        assert found.only_since is None
        assert sum(row.payments for row in found.parts[0]) == 1

    def test_what_takes_too_long_is_given_up(self, week: Hand, viewer: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(reporting, "_PATIENCE", "100ms")

        with psycopg.connect(settings.DATABASE_DIRECT_URL) as blocking:
            blocking.execute("LOCK TABLE transactions_payment")
            page = shown(viewer, "success")

        assert "given up" in page

    def test_its_bounds_are_its_own(self, week: Hand) -> None:
        reporting.ends(asked())

        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SHOW statement_timeout")
            assert cursor.fetchone()[0] != "10s"
