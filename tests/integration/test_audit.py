"""The audit: who did what, when, from where; only ever added to, found quickly, taken away as a file."""

import csv
from datetime import timedelta

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.contrib.sessions.models import Session
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from staff.audit import FERRYMAN, Actor, Result, Subject, record
from staff.models import Record
from tests.builders import PAN
from transactions.models import Merchant

LIST = reverse("admin:staff_record_changelist")
EXPORT = reverse("admin:staff_record_export")
LOGIN = reverse("admin:login")
ALICE = Actor("alice")


@pytest.fixture
def client(database: None) -> Client:
    """Of somebody who may everything."""
    User.objects.create_superuser("root", password="let me in")
    client = Client(REMOTE_ADDR="192.0.2.7")
    assert client.post(LOGIN, {"username": "root", "password": "let me in"}).status_code == 302
    return client


def told() -> list[tuple[str, str, str]]:
    """What was written down, oldest first."""
    return list(Record.objects.order_by("id").values_list("who", "action", "result"))


class TestComingAndGoing:
    def test_a_sign_in_and_a_sign_out_are_written_down_with_their_place(self, client: Client) -> None:
        client.post(reverse("admin:logout"))

        assert told() == [("root", "sign_in", "done"), ("root", "sign_out", "done")]
        assert set(Record.objects.values_list("address", flat=True)) == {"192.0.2.7"}

    def test_a_session_lasts_a_shift_and_no_longer_than_the_browser(self, client: Client) -> None:
        assert not client.cookies["sessionid"]["max-age"]
        left = Session.objects.get().expire_date - timezone.now()
        assert timedelta(hours=11) < left <= timedelta(hours=12)

    def test_failures_are_and_so_is_that_the_door_was_locked(self, database: None) -> None:
        stranger = Client(headers={"X-Forwarded-For": "203.0.113.9"})

        for _ in range(5):
            stranger.post(LOGIN, {"username": "root", "password": "guess"})

        assert told()[0] == ("root", "sign_in", "failed")
        assert ("root", "sign_in", "refused") in told()
        assert Record.objects.filter(address="127.0.0.1 for 203.0.113.9").exists()
        assert "guess" not in str(list(Record.objects.values()))

    def test_a_card_number_typed_as_a_name_is_masked(self, database: None) -> None:
        Client().post(LOGIN, {"username": PAN, "password": "x"})

        assert told()[0] == ("411111******1111", "sign_in", "failed")

    def test_ones_own_new_password_is_written_down_and_not_what_it_is(self, client: Client) -> None:
        fresh = {"old_password": "let me in", "new_password1": "a b c d e f 9", "new_password2": "a b c d e f 9"}

        client.post(reverse("admin:password_change"), fresh)

        assert told()[-1] == ("root", "change_own_password", "done")
        assert "a b c" not in str(list(Record.objects.values()))


class TestRefusals:
    def test_every_403_leaves_a_trace(self, database: None) -> None:
        User.objects.create_user("mallory", password="x", is_staff=True)
        client = Client()
        client.post(LOGIN, {"username": "mallory", "password": "x"})

        assert client.get(LIST).status_code == 403

        row = Record.objects.get(result="refused")
        assert (row.who, row.action, row.subject, row.detail) == ("mallory", "open_page", LIST, {"method": "GET"})


class TestConfiguration:
    def test_what_is_changed_is_told_before_and_after(self, client: Client) -> None:
        merchant = Merchant.objects.create(name="Warung Kopi")

        client.post(reverse("admin:transactions_merchant_change", args=[merchant.pk]), {"name": "Warung Teh"})

        row = Record.objects.get(action="change")
        assert (row.who, row.kind, row.subject) == ("root", "transactions.merchant", str(merchant.pk))
        assert row.detail["before"] == {"name": "Warung Kopi"}
        assert row.detail["after"] == {"name": "Warung Teh"}

    def test_a_person_made_changed_and_deleted_is_three_records(self, client: Client) -> None:
        client.post(reverse("admin:auth_user_add"), {"username": "bob", "is_staff": "on"})
        bob = User.objects.get(username="bob")
        client.post(reverse("admin:auth_user_change", args=[bob.pk]), {"first_name": "Bob", "is_active": "on"})
        client.post(reverse("admin:auth_user_delete", args=[bob.pk]), {"post": "yes"})

        about = Record.objects.filter(kind="auth.user").order_by("id")
        assert [row.action for row in about] == ["add", "change", "delete"]

    def test_what_a_group_may_is_told_by_name(self, client: Client) -> None:
        permission = Permission.objects.get(codename="cancel_payment")

        client.post(reverse("admin:auth_group_add"), {"name": "night", "permissions": [permission.pk]})

        assert Group.objects.filter(name="night").exists()
        assert "Can cancel a payment" in str(Record.objects.get(action="add").detail)
        Group.objects.get(name="night").delete()


class TestItIsOnlyAddedTo:
    @pytest.mark.parametrize(
        "statement", ["UPDATE staff_record SET who = 'x'", "DELETE FROM staff_record", "TRUNCATE staff_record"]
    )
    def test_the_database_refuses_anything_else(self, database: None, statement: str) -> None:
        record("look", ALICE)

        with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)

        assert told() == [("alice", "look", "done")]

    def test_nobody_adds_changes_or_deletes_on_its_page(self, client: Client) -> None:
        row = Record.objects.get()

        assert client.get(reverse("admin:staff_record_add")).status_code == 403
        assert client.post(reverse("admin:staff_record_change", args=[row.pk]), {"who": "x"}).status_code == 403
        assert client.post(reverse("admin:staff_record_delete", args=[row.pk]), {"post": "yes"}).status_code == 403
        assert client.get(reverse("admin:staff_record_change", args=[row.pk])).status_code == 200

    def test_card_numbers_are_masked_wherever_they_stand(self, database: None) -> None:
        record("note", ALICE, why=f"card {PAN}", detail={"list": [PAN, int(PAN)], "inner": {"x": f"is {PAN}"}})

        assert PAN not in str(Record.objects.values().get())


class TestFinding:
    @pytest.fixture(autouse=True)
    def records(self, database: None) -> None:
        record("retry", ALICE, subject=Subject("transactions.payment", "order-1"), why="the bank was down")
        record("cancel", Actor("bob"), Result.REFUSED, subject=Subject("transactions.payment", "order-2"))
        record("expire", FERRYMAN, Result.EXPIRED)

    @pytest.mark.parametrize(("term", "found"), [("alice", "order-1"), ("cancel", "order-2"), ("order-1", "order-1")])
    def test_by_name_by_action_and_by_subject(self, client: Client, term: str, found: str) -> None:
        page = client.get(LIST, {"q": term}).content.decode()

        assert found in page
        assert ({"order-1", "order-2"} - {found}).pop() not in page

    def test_by_the_address_that_it_came_from(self, client: Client) -> None:
        record("cancel", Actor("eve", "192.0.2.7"), subject=Subject("transactions.payment", "order-3"))

        page = client.get(LIST, {"q": "192.0.2.7"}).content.decode()

        assert "order-3" in page
        assert "order-1" not in page

    def test_by_result_and_by_date(self, client: Client) -> None:
        assert "order-2" in client.get(LIST, {"result__exact": "refused"}).content.decode()
        assert "order-2" not in client.get(LIST, {"result__exact": "expired"}).content.decode()
        today = f"{Record.objects.latest('at').at:%Y-%m-%d}"
        assert "order-2" in client.get(LIST, {"at_from": today, "at_to": today}).content.decode()
        assert "order-2" not in client.get(LIST, {"at_to": "2001-01-02"}).content.decode()
        assert "order-2" in client.get(LIST, {"at_to": "nonsense"}).content.decode()

    def test_nothing_is_counted(self, client: Client) -> None:
        with CaptureQueriesContext(connection) as asked:
            client.get(LIST)

        assert not [
            query for query in asked.captured_queries if "COUNT(" in query["sql"] and "staff_record" in query["sql"]
        ]


class TestTakingAway:
    def test_what_the_list_is_narrowed_to_is_what_is_sent_and_that_is_told_too(self, client: Client) -> None:
        record("retry", ALICE, why="=1+1", detail={"before": {"window": 64}, "name": "Café"})
        record("cancel", Actor("bob"))

        response = client.get(EXPORT, {"q": "alice"})
        lines = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]

        assert len(lines) == 2
        assert "'=1+1" in lines[1]
        assert next(csv.reader([lines[1]]))[-1] == '{"before": {"window": 64}, "name": "Café"}'
        assert told()[-1] == ("root", "export_audit", "done")

    def test_all_of_many_pages_is_sent_once(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("staff.admin.audit._AT_ONCE", 3)
        for number in range(10):
            record("note", ALICE, subject=Subject("n", str(number)))

        response = client.get(EXPORT, {"q": "note"})
        lines = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]

        assert [line.split(",")[6] for line in lines[1:]] == [str(number) for number in reversed(range(10))]

    def test_only_by_whom_it_is_allowed(self, database: None) -> None:
        reader = User.objects.create_user("reader", is_staff=True)
        reader.user_permissions.add(Permission.objects.get(codename="view_record"))
        client = Client()
        client.force_login(reader, backend="django.contrib.auth.backends.ModelBackend")

        assert "Download CSV" not in client.get(LIST).content.decode()
        assert client.get(EXPORT).status_code == 403
