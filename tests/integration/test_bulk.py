"""Many payments at once: a job whose items are each done once, whoever closes a tab or kills a worker."""

import csv
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.db import DataError, connection
from django.test import Client
from django.urls import reverse

from queueing.doorbell import MAINTENANCE
from staff import requests
from staff.audit import Actor
from staff.models import Record, Request
from tests.integration.conftest import Hand, status_of
from transactions import actions, auditing, bulk, services, tasks
from transactions.accepting import LinkUnavailable
from transactions.actions import ACTIONS
from transactions.domain.values import Operation, ReasonCode
from transactions.job_models import Job, JobItem
from transactions.models import Event, Payment

OPAL = Actor("opal", may=lambda _: True)
SARI = Actor("sari", may=lambda _: True)
LIST = reverse("admin:transactions_payment_changelist")


@pytest.fixture(autouse=True)
def everything_holds(hand: Hand) -> object:
    """Whatever a job does, the invariants hold afterwards."""
    yield
    assert [str(violation) for violation in auditing.violations()] == []


@pytest.fixture
def payments(hand: Hand) -> list[Payment]:
    return [hand.accept(100 + number) for number in range(12)]


def statuses() -> set[str]:
    return set(Payment.objects.values_list("status", flat=True))


def cancel(payments: list[Payment]) -> Job:
    return bulk.begin(ACTIONS["cancel"], [payment.id for payment in payments], OPAL, "the shop closed")


class TestAJob:
    def test_it_is_begun_and_a_worker_does_it(self, payments: list[Payment], rings: list[tuple[str, float]]) -> None:
        job = cancel(payments)
        assert (MAINTENANCE, 0.0) in rings
        assert statuses() == {"queued"}

        tasks.work_on_jobs()

        assert statuses() == {"cancelled"}
        job.refresh_from_db()
        assert job.ended_at is not None
        assert bulk.progress(job) == {"done": 12}

    def test_each_payment_has_its_event_and_its_record(self, payments: list[Payment]) -> None:
        cancel(payments)
        bulk.work()

        assert Event.objects.filter(type="Cancelled", actor="staff:opal").count() == 12
        assert Record.objects.filter(action="cancel_payment", who="opal", result="done").count() == 12
        assert Record.objects.get(action="cancel_payments").detail == {"payments": 12}

    def test_what_is_not_possible_is_said_and_the_others_go_on(self, hand: Hand, payments: list[Payment]) -> None:
        hand.take(1)

        job = cancel(payments)
        bulk.work()

        assert bulk.progress(job) == {"done": 11, "refused": 1}
        assert "cannot be cancelled any more" in JobItem.objects.get(result="refused").outcome

    def test_what_somebody_cancelled_meanwhile_is_not_counted_as_ours(self, payments: list[Payment]) -> None:
        job = cancel(payments)
        services.cancel(payments[0].id, actor="api:test", reason=ReasonCode.CANCELLED_BY_CLIENT)
        bulk.work()

        assert bulk.progress(job) == {"done": 11, "refused": 1}
        assert Record.objects.filter(action="cancel_payment", result="done").count() == 11

    def test_what_breaks_is_said_and_the_others_go_on(
        self, payments: list[Payment], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = services.cancel

        def breaks(payment_id: Any, **given: Any) -> bool:
            if payment_id == payments[3].id:
                raise ZeroDivisionError
            return real(payment_id, **given)

        monkeypatch.setattr(services, "cancel", breaks)
        job = cancel(payments)
        bulk.work()

        assert bulk.progress(job) == {"done": 11, "failed": 1}
        assert status_of(payments[3]) == "queued"

    def test_twice_at_the_same_time_does_each_once(self, payments: list[Payment]) -> None:
        job = cancel(payments)

        def work(_: int) -> None:
            bulk.work()
            connection.close()

        with ThreadPoolExecutor(3) as pool:
            list(pool.map(work, range(3)))

        assert bulk.progress(job) == {"done": 12}
        assert Event.objects.filter(type="Cancelled").count() == 12
        assert Record.objects.filter(action="cancel_payment").count() == 12

    def test_a_killed_worker_leaves_the_rest_to_the_next(
        self, payments: list[Payment], rings: list[tuple[str, float]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = cancel(payments)
        real = services.cancel

        def killed(payment_id: Any, **given: Any) -> bool:
            done = real(payment_id, **given)
            if payment_id == payments[5].id:
                raise KeyboardInterrupt
            return done

        with monkeypatch.context() as broken:
            broken.setattr(services, "cancel", killed)
            with pytest.raises(KeyboardInterrupt):
                bulk.work()
        assert bulk.progress(job)["done"] == 5
        assert status_of(payments[5]) == "queued"
        rings.clear()

        tasks.recover()
        assert (MAINTENANCE, 0.0) in rings
        tasks.work_on_jobs()

        assert bulk.progress(job) == {"done": 12}
        assert Event.objects.filter(type="Cancelled").count() == 12

    def test_a_task_makes_room_and_rings_for_the_rest(
        self, payments: list[Payment], rings: list[tuple[str, float]], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(bulk, "_AT_ONCE", 5)
        job = cancel(payments)
        rings.clear()

        bulk.work()

        assert bulk.progress(job) == {"done": 5, "": 7}
        assert (MAINTENANCE, 0.0) in rings

    def test_it_has_at_most_a_thousand(self, payments: list[Payment]) -> None:
        with pytest.raises(bulk.TooMany):
            bulk.begin(ACTIONS["cancel"], [uuid4() for _ in range(1001)], OPAL, "all")

    def test_a_page_sent_twice_at_the_same_time_is_one_job(self, payments: list[Payment]) -> None:
        form = uuid4()

        def begin(_: int) -> int:
            try:
                return bulk.begin(ACTIONS["cancel"], [one.id for one in payments], OPAL, "closed", form).pk
            finally:
                connection.close()

        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(begin, range(4)))) == 1

        assert JobItem.objects.count() == len(payments)


class TestReversingMany:
    @pytest.fixture
    def asked(self, unsettled: Payment) -> Request:
        bulk.begin(ACTIONS["reverse"], [unsettled.id], OPAL, "letter 8")
        return Request.objects.get(kind="reverse_payments")

    def test_it_waits_for_a_second_person(self, asked: Request, unsettled: Payment) -> None:
        bulk.work()

        assert status_of(unsettled) == "on_hold"
        assert Job.objects.get().started_at is None

    def test_when_that_agrees_it_begins(self, asked: Request, unsettled: Payment, hand: Hand) -> None:
        ended = requests.approve(asked.pk, SARI, "seen")
        bulk.work()

        assert ended.state == "done"
        assert status_of(unsettled) == "reversing"
        note = Event.objects.get(payment_id=unsettled.id, type="ReversalRequired").data["note"]
        assert note == "letter 8 (sari agreed)"
        hand.answer(hand.take()[0])

    def test_turned_down_it_never_begins(self, asked: Request, unsettled: Payment) -> None:
        requests.turn_down(asked.pk, SARI, "no")
        bulk.work()

        assert status_of(unsettled) == "on_hold"


class TestVoidingMany:
    @pytest.fixture
    def approved(self, hand: Hand) -> list[Payment]:
        for number in range(3):
            hand.accept(100 + number)
        for owed in hand.take():
            hand.answer(owed)
        return list(Payment.objects.filter(status="approved").order_by("id"))

    def test_each_that_is_approved_gets_a_void_of_its_own(
        self, approved: list[Payment], payments: list[Payment], hand: Hand
    ) -> None:
        job = bulk.begin(ACTIONS["void"], [one.id for one in (*approved, payments[0])], OPAL, "sold twice")
        asked = Request.objects.get(kind="void_payments")

        requests.approve(asked.pk, SARI, "seen")
        bulk.work()

        assert bulk.progress(job) == {"done": 3, "refused": 1}
        voids = Payment.objects.filter(operation="void").values_list("original__payment_id", flat=True)
        assert set(voids) == {str(one.id) for one in approved}

    def test_what_is_being_voided_already_is_not_offered_once_more(self, approved: list[Payment]) -> None:
        services.follow_up(
            Operation.VOID, approved[0].id, amount_minor=None, actor="staff:opal", note="sold twice", key="request-1"
        )

        objections = actions.objections(ACTIONS["void"], approved)

        assert [bool(objections[one.id]) for one in approved] == [True, False, False]

    def test_a_link_that_cannot_take_it_refuses_it_in_a_sentence(
        self, approved: list[Payment], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(*_: Any, **__: Any) -> None:
            raise LinkUnavailable(1)

        monkeypatch.setattr(services, "follow", refuse)
        bulk.begin(ACTIONS["void"], [approved[0].id], OPAL, "sold twice")
        requests.approve(Request.objects.get(kind="void_payments").pk, SARI, "seen")

        bulk.work()

        item = JobItem.objects.get()
        assert (item.result, item.outcome) == ("refused", "The link cannot take it now. Ask again when it is up.")


class TestResolvingMany:
    def test_they_end_as_one_letter_of_the_bank_says(self, unsettled: Payment) -> None:
        job = bulk.begin(ACTIONS["resolve"], [unsettled.id], OPAL, "letter 8", parameters={"outcome": "reversed"})
        asked = Request.objects.get(kind="resolve_payments")
        assert "reversed" in [value for _, value in requests.kind_of(asked).facts(asked)]

        requests.approve(asked.pk, SARI, "seen")
        bulk.work()

        assert bulk.progress(job) == {"done": 1}
        assert status_of(unsettled) == "reversed"


class TestThePages:
    def test_of_a_job_says_what_they_end_as_and_who_agreed_while_one_looks(
        self, opal: Client, unsettled: Payment
    ) -> None:
        job = bulk.begin(ACTIONS["resolve"], [unsettled.id], OPAL, "letter 8", parameters={"outcome": "reversed"})
        page = opal.get(reverse("admin:transactions_job_change", args=[job.pk])).content.decode()
        assert "<dd>reversed</dd>" in page
        assert "It begins when somebody else agrees." in page

        requests.approve(Request.objects.get().pk, SARI, "seen")

        progress = opal.get(reverse("admin:transactions_job_progress", args=[job.pk])).json()["html"]
        assert "sari agreed to it." in progress

    def test_asks_what_became_of_those_that_are_resolved(self, opal: Client, unsettled: Payment) -> None:
        address = reverse("admin:payments_resolve")
        ids = {"ids": str(unsettled.id), "reason": "letter 8"}

        assert "What became of it?" in opal.get(address).content.decode()
        assert opal.post(address, ids).status_code == 200
        assert not Job.objects.exists()

        assert opal.post(address, {**ids, "outcome": "reversed"}).status_code == 302
        assert Job.objects.get().parameters == {"outcome": "reversed"}

    @pytest.fixture
    def opal(self, hand: Hand) -> Client:
        user = User.objects.create_user("opal", is_staff=True)
        user.groups.set([Group.objects.get(name="operator")])
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    def test_what_is_ticked_is_cancelled(self, opal: Client, hand: Hand, payments: list[Payment]) -> None:
        hand.take(1)
        ticked = [str(payment.id) for payment in payments[:3]]

        page = opal.post(LIST, {"action": "cancel_selected", "_selected_action": ticked}).content.decode()
        assert "3 payments" in page
        assert "1: The payment is on its way to the bank and cannot be cancelled any more." in page

        begun = opal.post(reverse("admin:payments_cancel"), {"ids": ",".join(ticked), "reason": "the shop closed"})
        bulk.work()

        assert begun.status_code == 302
        shown = opal.get(begun.headers["Location"]).content.decode()
        assert "3 of 3" in shown
        assert "cannot be cancelled any more" in shown

    def test_all_open_ones_of_a_list_are_cancelled(self, opal: Client, hand: Hand) -> None:
        for number in range(60):
            hand.accept(number + 1, reference="order-7" if number % 2 else "order-8")
        address = reverse("admin:payments_cancel")
        assert f"{address}?q=order-7" in opal.get(LIST, {"q": "order-7"}).content.decode()

        page = opal.get(address, {"q": "order-7"})
        assert "30 payments" in page.content.decode()
        ids = page.context["form"]["ids"].value()
        opal.post(address, {"ids": ids, "reason": "the shop closed"})
        bulk.work()

        assert set(Payment.objects.filter(status="cancelled").values_list("reference", flat=True)) == {"order-7"}
        assert Payment.objects.filter(status="cancelled").count() == 30

    def test_nothing_is_done_without_a_reason_or_with_what_is_no_payment(
        self, opal: Client, payments: list[Payment]
    ) -> None:
        address = reverse("admin:payments_cancel")

        page = opal.post(address, {"ids": str(payments[0].id), "reason": ""}).content.decode()
        assert "This field is required" in page
        told = opal.post(address, {"ids": "nonsense", "reason": "the shop closed"}, follow=True).content.decode()
        assert "These are no payments. Nothing was begun." in told

        assert not Job.objects.exists()

    def test_of_more_than_a_thousand_none_is_begun_and_it_says_why(self, opal: Client) -> None:
        ids = ",".join(str(uuid4()) for _ in range(1001))

        page = opal.post(reverse("admin:payments_cancel"), {"ids": ids, "reason": "all"}, follow=True).content.decode()

        assert "These are 1,001 payments, and at most 1,000 are done at once. Nothing was begun." in page
        assert not Job.objects.exists()

    def test_a_page_that_is_sent_twice_is_one_job(self, opal: Client, payments: list[Payment]) -> None:
        address = reverse("admin:payments_cancel")
        form = opal.get(address).context["form"]
        given = {"ids": form["ids"].value(), "form": form["form"].value(), "reason": "the shop closed"}

        first, second = opal.post(address, given), opal.post(address, given)

        assert first.headers["Location"] == second.headers["Location"]
        assert Job.objects.count() == 1
        assert opal.post(address, {**given, "form": str(uuid4())}).headers["Location"] != first.headers["Location"]

    def test_a_list_with_nothing_open_says_so(self, opal: Client) -> None:
        page = opal.get(reverse("admin:payments_cancel"), follow=True).content.decode()

        assert "There is no payment in this list about which" in page

    def test_the_page_asks_how_far_it_is(self, opal: Client, payments: list[Payment]) -> None:
        job = cancel(payments)
        address = reverse("admin:transactions_job_progress", args=[job.pk])
        assert "ferryman/job.js" in opal.get(reverse("admin:transactions_job_change", args=[job.pk])).content.decode()

        before = json.loads(opal.get(address).content)
        bulk.work()
        after = json.loads(opal.get(address).content)

        assert (before["is_over"], after["is_over"]) == (False, True)
        assert "0 of 12" in before["html"]
        assert "12 of 12" in after["html"]

    def test_what_came_of_each_is_downloaded(self, opal: Client, payments: list[Payment]) -> None:
        job = cancel(payments)
        bulk.work()

        response = opal.get(reverse("admin:transactions_job_export", args=[job.pk]))

        assert b"".join(response.streaming_content).count(b"cancelled") == 12  # type: ignore[attr-defined]

    def test_a_downloaded_amount_is_in_its_currencys_unit(self, opal: Client, hand: Hand) -> None:
        hand.accept(4_321_000)

        response = opal.get(reverse("admin:payments_export"))
        head, line = csv.reader(b"".join(response.streaming_content).decode().splitlines())  # type: ignore[attr-defined]

        assert dict(zip(head, line, strict=True))["amount"] == "43210.00"

    def test_a_list_is_downloaded_masked_and_that_is_recorded(self, opal: Client, payments: list[Payment]) -> None:
        response = opal.get(reverse("admin:payments_export"))
        lines = b"".join(response.streaming_content).decode().splitlines()  # type: ignore[attr-defined]

        assert len(lines) == 13
        assert "411111******1111" in lines[1]
        assert "Warung Kopi" in lines[1]
        assert Record.objects.get(action="export_payments").detail["payments"] == 12


def test_a_payment_that_the_database_refuses_keeps_no_other_of_its_job_waiting(
    payments: list[Payment], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused, cancel_one = min(payment.id for payment in payments), services.cancel

    def cancel_or_break(payment_id: UUID, **details: Any) -> bool:
        if payment_id == refused:
            raise DataError
        return cancel_one(payment_id, **details)

    monkeypatch.setattr(services, "cancel", cancel_or_break)
    job = cancel(payments)

    bulk.work()

    job.refresh_from_db()
    assert bulk.progress(job) == {"failed": 1, "done": 11}
    assert job.ended_at is not None
