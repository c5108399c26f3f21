"""The desk: what is happening, what needs a person, which processes live; read once for all who look."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from queueing import clock, database, heartbeat
from queueing.models import Process
from staff import requests
from staff.audit import Actor, subject_of
from tests.integration.conftest import Hand
from transactions import desk, forwarding, minutes
from transactions.domain.values import Operation
from transactions.models import Event, Minute

INDEX, FIGURES = reverse("admin:index"), reverse("desk_figures")


@pytest.fixture(autouse=True)
def nothing_remembered() -> Iterator[None]:
    yield
    for remembered in (desk.figures, desk.last_hour, desk.last_day):
        remembered.forget()


@pytest.fixture
def client(hand: Hand) -> Client:
    user = User.objects.create_user("alice", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_payment"))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def look(client: Client) -> dict[str, Any]:
    """What the page gets when it refreshes itself."""
    for remembered in (desk.figures, desk.last_hour, desk.last_day):
        remembered.forget()
    answer: dict[str, Any] = client.get(FIGURES).json()
    return answer


def lives(kind: str, *, silent_s: float = 0, skew_s: float = 0, age_s: float = 3600) -> None:
    now = clock.now()
    seen = now - timedelta(seconds=silent_s)
    started = now - timedelta(seconds=age_s)
    row = {"kind": kind, "host": "a", "version": "1", "started_at": started, "seen_at": seen, "skew_s": skew_s}
    Process.objects.create(id=f"00000000-0000-0000-0000-{Process.objects.count():012d}", pid=1, **row)


class TestLinks:
    def test_a_link_that_is_up_says_so(self, client: Client) -> None:
        assert "Up" in look(client)["parts"]["links"]

    def test_a_link_that_is_down_says_what_waits(self, client: Client, hand: Hand) -> None:
        hand.accept()
        hand.report(up=False)

        told = look(client)["parts"]

        assert "1 payment waits" in told["links"]
        assert "The link bank is down" in told["attention"]

    def test_a_link_that_nobody_holds_asks_for_its_worker(self, client: Client, hand: Hand) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE processor_lease SET released = true")

        assert "Nobody holds the link bank" in look(client)["parts"]["attention"]

    def test_an_open_breaker_is_told(self, client: Client, hand: Hand) -> None:
        hand.report(up=True, breaker="open")

        told = look(client)["parts"]

        assert "has not answered payments" in told["links"]
        assert "The bank stopped answering" in told["attention"]


class TestAttention:
    def test_nothing_waits_for_a_person(self, client: Client) -> None:
        for kind in ("worker", "beat"):
            lives(kind)

        assert "Nothing waits for a person" in look(client)["parts"]["attention"]

    def test_what_is_on_hold_is_named_with_its_reason_and_its_page(self, client: Client, hand: Hand) -> None:
        payment = hand.accept(operation=Operation.WITHDRAWAL, source_account="1", pin_block=bytes(32))
        forwarding.forward()

        told = look(client)["parts"]["attention"]

        assert "On hold: withdrawal of IDR 1.00" in told
        assert "no MAC key" in told
        assert reverse("admin:transactions_payment_change", args=[payment.id]) in told

    def test_an_old_reversal_is_the_banks_to_explain(self, client: Client, hand: Hand) -> None:
        hand.accept()
        hand.silence(hand.take()[0])
        assert "A reversal" not in look(client)["parts"]["attention"]

        with connection.cursor() as cursor:
            cursor.execute("UPDATE queueing_queueentry SET owed_since = owed_since - interval '1 hour'")

        assert "A reversal is not accepted by the bank" in look(client)["parts"]["attention"]

    def test_what_somebody_asks_a_second_person_for_is_told(self, client: Client, hand: Hand) -> None:
        payment = hand.accept()
        maker = Actor("opal", may=lambda _: True)
        asked = requests.ask("reverse_payment", subject_of(payment), maker, "paid twice")

        told = look(client)["parts"]["attention"]

        assert "opal asks" in told
        assert "paid twice" in told
        assert reverse("admin:staff_request_change", args=[asked.pk]) in told

    def test_the_oldest_comes_first(self, client: Client, hand: Hand) -> None:
        lives("web", silent_s=60)
        lives("worker", silent_s=300)

        told = look(client)["parts"]["attention"]

        assert told.index("worker on a") < told.index("web on a")

    def test_a_wrong_clock_is_told(self, client: Client) -> None:
        lives("web", skew_s=-90)

        assert "The clock of a is wrong" in look(client)["parts"]["attention"]


class TestProcesses:
    def test_a_silent_one_is_shown_so_and_later_forgotten(self, client: Client) -> None:
        lives("worker", silent_s=20)
        assert "silent for 20 s" in look(client)["parts"]["processes"]

        Process.objects.update(seen_at=clock.now() - timedelta(seconds=heartbeat.FORGOTTEN_AFTER_S + 1))

        assert "silent" not in look(client)["parts"]["processes"]

    def test_one_that_was_started_again_is_not_missed(self, client: Client) -> None:
        lives("worker", silent_s=60)
        lives("worker", age_s=30)

        assert "silent" not in look(client)["parts"]["processes"]

    def test_a_kind_that_is_missing_everywhere_needs_a_person(self, client: Client) -> None:
        lives("worker")

        told = look(client)["parts"]["attention"]

        assert "No beat is running" in told
        assert "No worker" not in told

    def test_a_process_says_that_it_lives_and_takes_its_row_along(self, hand: Hand) -> None:
        heart = heartbeat._Heart("web")

        heart._try(heartbeat._BEAT)
        heart._try(heartbeat._BEAT)

        found = Process.objects.get()
        assert (found.kind, found.skew_s is not None and abs(found.skew_s) < 1) == ("web", True)
        heart._leave()
        assert not Process.objects.exists()


class TestMinutes:
    def test_payments_are_counted_by_how_they_ended_with_their_answer_times(self, client: Client, hand: Hand) -> None:
        for code in ("00", "00", "05"):
            hand.accept()
            hand.answer(hand.take()[0], code)
        hand.accept()

        minutes.roll_up()
        minutes.roll_up()

        hour = look(client)["charts"]["hour"]
        assert sum(hour["accepted"]) == 4
        assert (sum(hour["ends"]["approved"]), sum(hour["ends"]["declined"])) == (2, 1)
        assert any(hour["answers"][0])
        assert sum(look(client)["charts"]["day"]["ends"]["approved"]) == 2

    def test_a_minute_is_open_until_nothing_can_reach_it(self, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
        minutes.roll_up()
        still_open = set(Minute.objects.filter(closed=False).values_list("minute", flat=True))
        assert len(still_open) in (1, 2)

        monkeypatch.setattr(minutes, "_SETTLED_AFTER", timedelta(minutes=-3))
        minutes.roll_up()

        assert still_open <= set(Minute.objects.filter(closed=True).values_list("minute", flat=True))

    def test_the_first_minute_computed_is_that_of_the_first_event(self, hand: Hand) -> None:
        hand.accept()
        first = Event.objects.earliest("at").at

        minutes.roll_up()

        assert Minute.objects.earliest("minute").minute == first.replace(second=0, microsecond=0)

    def test_a_busy_minute_is_counted_once_when_it_is_over(
        self, client: Client, hand: Hand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hand.accept()
        hand.accept()
        minutes.roll_up()
        assert sum(look(client)["charts"]["hour"]["accepted"]) == 2

        monkeypatch.setattr(minutes, "_BUSY", 1)
        minutes.roll_up()

        assert not Minute.objects.filter(closed=False).exists()
        monkeypatch.setattr(minutes, "_SETTLED_AFTER", timedelta(seconds=-120))
        minutes.roll_up()
        assert sum(Minute.objects.filter(status="accepted", closed=True).values_list("payments", flat=True)) == 2

    def test_charts_end_where_the_last_busy_minute_did(self, hand: Hand) -> None:
        minutes.roll_up()
        newest = Minute.objects.latest("minute").minute

        assert minutes.known_until(newest + timedelta(seconds=30)) == newest + timedelta(seconds=30)
        assert minutes.known_until(newest + timedelta(seconds=100)) == newest + timedelta(seconds=60)
        assert minutes.known_until(newest + timedelta(hours=1)) == newest + timedelta(minutes=57)

    def test_a_percentile_lies_within_its_class(self) -> None:
        low, high = minutes.BOUNDS_MS[9:11]

        assert low <= (minutes.percentile({10: 100}, 0.5) or 0) <= high
        assert minutes.percentile({}, 0.5) is None


class TestThePage:
    def test_the_database_is_asked_once_for_all_who_look(
        self, client: Client, hand: Hand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hand.accept()
        ours: list[str] = []
        run = database._run

        def noted(statement: str, parameters: Any) -> Any:
            ours.append(statement)
            return run(statement, parameters)

        monkeypatch.setattr(database, "_run", noted)

        with CaptureQueriesContext(connection) as djangos:
            client.get(INDEX)
            client.get(FIGURES)
            client.get(FIGURES)

        assert len(ours) <= 9
        assert (
            len(djangos) <= 3 * 4 + 2
        )  # session, user and its permissions; what waits for a second person; who is sent no webhooks

    def test_who_may_not_see_payments_is_told_whom_to_ask(self, hand: Hand) -> None:
        User.objects.create_user("bob", is_staff=True)
        client = Client()
        client.force_login(User.objects.get(username="bob"), backend="django.contrib.auth.backends.ModelBackend")

        assert "Ask a supervisor" in client.get(INDEX).content.decode()
        assert client.get(FIGURES).status_code == 403

    def test_its_times_are_in_the_viewers_zone(self, client: Client) -> None:
        client.cookies["zone"] = "Asia%2FJakarta"
        assert "Asia/Jakarta" in client.get(INDEX).content.decode()

        client.cookies["zone"] = "../../etc/passwd"
        assert "UTC" in client.get(INDEX).content.decode()
