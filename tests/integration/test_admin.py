"""The back office: found, read, and acted on with a reason; nothing derived is edited."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from processor.models import Link, Message
from queueing.models import QueueEntry
from tests.builders import PAN
from tests.integration.conftest import Hand, status_of
from transactions import forwarding
from transactions.domain.values import Operation
from transactions.models import Attempt, Event, Payment

LIST = reverse("admin:transactions_payment_changelist")


def story(payment: Payment) -> str:
    return reverse("admin:transactions_payment_change", args=[payment.id])


@pytest.fixture
def staff(hand: Hand) -> Callable[..., Client]:
    """A signed-in member of staff with some permissions."""

    def sign_in(*permissions: str) -> Client:
        user = User.objects.create_user("alice", password="x", is_staff=True)
        for codename in permissions:
            user.user_permissions.add(Permission.objects.get(codename=codename))
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in


@pytest.fixture
def alice(staff: Callable[..., Client]) -> Client:
    """Alice works with payments."""
    return staff(
        "view_payment", "cancel_payment", "retry_payment", "view_queueentry", "view_link", "view_message", "view_lane"
    )


def text(response: Any) -> str:
    assert response.status_code == 200
    return str(response.content.decode())


class TestFinding:
    @pytest.fixture
    def payment(self, hand: Hand) -> Payment:
        payment = hand.accept(reference="order-1001")
        hand.accept(2, reference="order-2002", pan="5555555555554444")
        hand.answer(hand.take(1)[0])
        return payment

    @pytest.mark.parametrize(
        "term",
        [
            lambda payment: str(payment.id),
            lambda payment: "order-1001",
            lambda payment: str(Attempt.objects.get(payment_id=payment.id).stan),
            lambda payment: f"{Attempt.objects.get(payment_id=payment.id).stan:06d}",
            lambda payment: Attempt.objects.get(payment_id=payment.id).rrn,
            lambda payment: "H00000000001",
            lambda payment: "1111",
        ],
        ids=["id", "reference", "STAN", "STAN of six", "RRN", "bank's RRN", "last four"],
    )
    def test_a_payment_is_found(self, alice: Client, payment: Payment, term: Callable[[Payment], str]) -> None:
        page = text(alice.get(LIST, {"q": term(payment)}))

        assert story(payment) in page
        assert "order-2002" not in page

    def test_what_is_not_there_is_not_found(self, alice: Client, payment: Payment) -> None:
        assert story(payment) not in text(alice.get(LIST, {"q": "nothing like it"}))

    def test_filters_narrow_it(self, alice: Client, payment: Payment) -> None:
        page = text(alice.get(LIST, {"status__exact": "approved"}))

        assert "order-1001" in page
        assert "order-2002" not in page

    def test_cards_are_masked(self, alice: Client, payment: Payment) -> None:
        page = text(alice.get(LIST))

        assert "411111******1111" in page
        assert PAN not in page


class TestTheStory:
    def test_it_tells_what_happened_message_by_message(self, alice: Client, hand: Hand) -> None:
        payment = hand.accept()
        (taken,) = hand.take()
        hand.silence(taken)
        hand.answer(hand.take()[0])

        page = text(alice.get(story(payment)))

        for said in (
            "Accepted",
            "0200 financial request",
            "To be reversed",
            "0420 reversal advice",
            "Reversed",
            "STAN",
        ):
            assert said in page
        assert PAN not in page

    def test_it_says_how_long_each_step_took(self, alice: Client, hand: Hand) -> None:
        payment = hand.accept()
        hand.answer(hand.take()[0])

        page = text(alice.get(story(payment)))

        assert re.search(r"<span>\+\d+ ms</span>", page)
        assert "Answered after" in page

    def test_it_shows_what_is_still_owed(self, alice: Client, hand: Hand) -> None:
        payment = hand.accept(operation=Operation.WITHDRAWAL, source_account="1", pin_block=bytes(32))
        forwarding.forward()

        page = text(alice.get(story(payment)))

        assert "Still owed to the bank" in page
        assert "no MAC key" in page

    def test_a_payment_that_does_not_exist_is_404(self, alice: Client) -> None:
        missing = reverse("admin:transactions_payment_change", args=["01a1fa9b-da2a-70fa-b3c9-2c3572a64829"])

        assert alice.get(missing).status_code == 404


class TestActing:
    def act(self, client: Client, payment: Payment, action: str, reason: str = "the customer asked") -> Any:
        return client.post(reverse(f"admin:payment_{action}", args=[payment.id]), {"reason": reason}, follow=True)

    def test_a_queued_payment_is_cancelled_with_a_reason_and_a_name(self, alice: Client, hand: Hand) -> None:
        payment = hand.accept()
        assert reverse("admin:payment_cancel", args=[payment.id]) in text(alice.get(story(payment)))

        page = text(self.act(alice, payment, "cancel"))

        event = Event.objects.get(payment_id=payment.id, type="Cancelled")
        assert status_of(payment) == "cancelled"
        assert (event.actor, event.data["note"]) == ("staff:alice", "the customer asked")
        assert "No money moved" in page
        assert "the customer asked" in page

    def test_a_held_payment_goes_on(self, alice: Client, hand: Hand) -> None:
        payment = hand.accept(operation=Operation.WITHDRAWAL, source_account="1", pin_block=bytes(32))
        forwarding.forward()

        self.act(alice, payment, "retry", "key installed")

        assert status_of(payment) == "queued"
        assert QueueEntry.objects.get().state == "ready"

    def test_what_it_blocks_in_its_lane_leads_to_it(self, alice: Client, hand: Hand) -> None:
        head = hand.accept(operation=Operation.WITHDRAWAL, source_account="1", pin_block=bytes(32), lane="a")
        blocked = hand.accept(lane="a")
        forwarding.forward()

        page = text(alice.get(story(blocked)))

        assert "The payment before it in its lane is on hold" in page
        assert story(head) in page

    def test_without_a_reason_nothing_happens(self, alice: Client, hand: Hand) -> None:
        payment = hand.accept()

        page = text(self.act(alice, payment, "cancel", " "))

        assert "This field is required" in page
        assert status_of(payment) == "queued"

    def test_what_its_state_does_not_allow_is_said_and_not_done(self, alice: Client, hand: Hand) -> None:
        payment = hand.accept()
        hand.take()
        assert reverse("admin:payment_cancel", args=[payment.id]) not in text(alice.get(story(payment)))

        page = text(self.act(alice, payment, "cancel"))

        assert "cannot be cancelled any more" in page
        assert status_of(payment) == "in_flight"

    def test_a_form_opened_too_late_leads_back_to_the_story(self, alice: Client, hand: Hand) -> None:
        payment = hand.accept()
        hand.take()

        response = alice.get(reverse("admin:payment_cancel", args=[payment.id]), follow=True)

        assert response.redirect_chain[-1][0] == story(payment)
        assert "cannot be cancelled any more. Nothing was changed." in text(response)

    def test_who_may_only_look_does_not_act(self, staff: Callable[..., Client], hand: Hand) -> None:
        payment = hand.accept()
        viewer = staff("view_payment")

        assert reverse("admin:payment_cancel", args=[payment.id]) not in text(viewer.get(story(payment)))
        assert self.act(viewer, payment, "cancel").status_code == 403
        assert status_of(payment) == "queued"

    def test_looking_at_the_form_changes_nothing(self, alice: Client, hand: Hand) -> None:
        payment = hand.accept()

        assert "Why?" in text(alice.get(reverse("admin:payment_cancel", args=[payment.id])))
        assert status_of(payment) == "queued"


class TestNothingDerivedIsEdited:
    @pytest.mark.parametrize(
        "model", ["transactions_payment", "queueing_queueentry", "queueing_lane", "processor_link", "processor_message"]
    )
    def test_not_even_by_a_superuser(self, hand: Hand, model: str) -> None:
        hand.accept(lane="a")
        hand.answer(hand.take()[0])
        hand.accept(2, lane="a")
        client = Client()
        client.force_login(User.objects.create_superuser("root"), backend="django.contrib.auth.backends.ModelBackend")

        assert client.get(reverse(f"admin:{model}_changelist")).status_code == 200
        assert client.get(reverse(f"admin:{model}_add")).status_code == 403
        row = _first(model)
        assert client.post(reverse(f"admin:{model}_delete", args=[row.pk]), {"post": "yes"}).status_code == 403


def _first(model: str) -> Any:
    from django.apps import apps  # noqa: PLC0415

    app, name = model.split("_", 1)
    return apps.get_model(app, name).objects.first()


class TestOtherPages:
    def test_the_queue_names_the_payment(self, alice: Client, hand: Hand) -> None:
        payment = hand.accept()

        assert story(payment) in text(alice.get(reverse("admin:queueing_queueentry_changelist")))

    def test_a_links_page_says_how_it_is(self, alice: Client, hand: Hand) -> None:
        hand.accept()
        hand.answer(hand.take()[0])
        address = reverse("admin:processor_link_change", args=[Link.objects.get().pk])

        assert "Up to" in text(alice.get(address))
        hand.report(up=False)
        assert "Down" in text(alice.get(address))

    def test_a_message_is_read_field_by_field(self, alice: Client, hand: Hand) -> None:
        payment = hand.accept()
        hand.answer(hand.take()[0])
        message = Message.objects.get(mti="0210")

        page = text(alice.get(reverse("admin:processor_message_change", args=[message.pk])))

        assert "Response Code" in page
        assert "approved" in page
        assert story(payment) in page

    @pytest.mark.parametrize("name", ["index", "transactions_merchant_changelist", "transactions_apikey_changelist"])
    def test_every_page_opens(self, hand: Hand, name: str) -> None:
        client = Client()
        client.force_login(User.objects.create_superuser("root"), backend="django.contrib.auth.backends.ModelBackend")

        assert client.get(reverse(f"admin:{name}")).status_code == 200

    def test_nobody_gets_in_without_signing_in(self, hand: Hand) -> None:
        assert Client().get(LIST).status_code == 302

    def test_a_message_is_found_by_its_payment_and_by_its_kind(self, alice: Client, hand: Hand) -> None:
        payment = hand.accept()
        hand.answer(hand.take()[0])
        messages = reverse("admin:processor_message_changelist")

        def listed(**query: Any) -> int:
            response = alice.get(messages, query)
            return len(response.context["cl"].result_list)

        assert (listed(), listed(q=payment.id), listed(q=payment.id, outward="False")) == (2, 2, 1)
        assert (listed(mti="0210"), listed(outward="True"), listed(link="bank"), listed(mti="0420")) == (1, 1, 2, 0)
        assert (listed(q="part of an id"), listed(mti="never")) == (0, 0)

    @pytest.mark.parametrize(
        ("page", "query", "status"),
        [
            ("transactions_payment_changelist", "created_at_from=0001-01-01&created_at_to=9999-12-31", 200),
            ("payments_export", "created_at_to=9999-12-31", 200),
            ("staff_record_changelist", "at_from=0001-01-01&at_to=9999-12-31", 200),
            ("processor_message_changelist", "outward=x", 200),
            ("transactions_payment_changelist", "link=a%00b", 400),
            ("staff_request_changelist", "state=%00", 400),
        ],
    )
    def test_an_address_that_somebody_made_up_is_answered(
        self, staff: Callable[..., Client], page: str, query: str, status: int
    ) -> None:
        """Dates at the ends of time, words that are none, and what no database takes: nothing of it breaks a page."""
        alice = staff("view_payment", "export_payment", "view_message", "view_record", "view_request")

        assert alice.get(f"{reverse(f'admin:{page}')}?{query}").status_code == status

    def test_the_list_of_messages_asks_few_questions(self, alice: Client, hand: Hand) -> None:
        hand.accept()
        hand.answer(hand.take()[0])
        messages = reverse("admin:processor_message_changelist")
        alice.get(messages)

        with CaptureQueriesContext(connection) as asked:
            alice.get(messages, {"mti": "0200"})

        assert len(asked) <= 6
        assert not [one for one in asked.captured_queries if "DISTINCT" in one["sql"] or "COUNT" in one["sql"]]

    def test_an_entry_of_the_queue_is_found_by_its_payment_and_by_its_lane(self, alice: Client, hand: Hand) -> None:
        payment = hand.accept(lane="account-1")
        hand.accept()
        entries = reverse("admin:queueing_queueentry_changelist")

        found = [
            len(alice.get(entries, {"q": term}).context["cl"].result_list)
            for term in (str(payment.id), "account-1", "x")
        ]

        assert found == [1, 1, 0]
