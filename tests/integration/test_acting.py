"""What staff do about payments, each in their role: alone where that is safe, by request where money moves."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from staff.models import Record, Request
from tests.builders import PAN
from tests.integration.conftest import Hand, status_of
from transactions import auditing, services
from transactions.actions import ACTIONS
from transactions.domain.values import Operation, ReasonCode
from transactions.models import Event, Payment

SignIn = Callable[[str, str], Client]


@pytest.fixture(autouse=True)
def everything_holds(hand: Hand) -> object:
    """Whatever staff do, the invariants hold afterwards."""
    yield
    assert [str(violation) for violation in auditing.violations()] == []


@pytest.fixture
def sign_in(hand: Hand) -> SignIn:
    def signed_in(name: str, role: str) -> Client:
        user = User.objects.create_user(name, is_staff=True)
        user.groups.set([Group.objects.get(name=role)])
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return signed_in


@pytest.fixture
def opal(sign_in: SignIn) -> Client:
    """An operator."""
    return sign_in("opal", "operator")


@pytest.fixture
def sari(sign_in: SignIn) -> Client:
    """A supervisor."""
    return sign_in("sari", "supervisor")


def story(payment: Payment) -> str:
    return reverse("admin:transactions_payment_change", args=[payment.id])


def page_of(payment: Payment, action: str) -> str:
    return reverse(f"admin:payment_{action}", args=[payment.id])


def act(client: Client, payment: Payment, action: str, **given: str) -> str:
    response: Any = client.post(page_of(payment, action), {"reason": "letter 7 of the bank", **given}, follow=True)
    assert response.status_code == 200
    return str(response.content.decode())


def decide(client: Client, decision: str = "approve", note: str = "seen it") -> str:
    asked = Request.objects.latest("id")
    address = reverse("admin:staff_request_decide", args=[asked.pk])
    return client.post(address, {"decision": decision, "note": note}, follow=True).content.decode()


def told(action: str) -> list[tuple[str, str]]:
    return list(Record.objects.filter(action=action).order_by("id").values_list("who", "result"))


def child_of(payment: Payment) -> Payment | None:
    return Payment.objects.filter(original__isnull=False).order_by("id").last()


class TestAlone:
    def test_what_is_on_hold_is_released_by_its_retry(self, opal: Client, refused: Payment, hand: Hand) -> None:
        assert page_of(refused, "retry") in opal.get(story(refused)).content.decode()

        assert "The payment goes on now." in act(opal, refused, "retry")

        hand.answer(hand.take()[0])
        assert status_of(refused) == "reversed"
        assert told("retry_payment") == [("opal", "done")]

    def test_a_cancel_is_in_the_audit_with_its_reason(self, opal: Client, hand: Hand) -> None:
        payment = hand.accept()

        act(opal, payment, "cancel", reason=f"card {PAN} was stolen")

        row = Record.objects.get(action="cancel_payment")
        assert (row.who, row.kind, row.subject) == ("opal", "transactions.payment", str(payment.id))
        assert "was stolen" in row.why
        assert PAN not in row.why

    def test_what_is_not_allowed_any_more_is_refused_and_written_down(self, opal: Client, hand: Hand) -> None:
        payment = hand.accept()
        hand.take()

        assert "cannot be cancelled any more" in act(opal, payment, "cancel")

        assert told("cancel_payment") == [("opal", "refused")]
        assert status_of(payment) == "in_flight"

    def test_what_the_client_cancelled_meanwhile_was_not_done_by_staff(self, opal: Client, hand: Hand) -> None:
        payment = hand.accept()
        services.cancel(payment.id, actor="api:test", reason=ReasonCode.CANCELLED_BY_CLIENT)

        assert "has ended already" in act(opal, payment, "cancel")

        assert told("cancel_payment") == [("opal", "refused")]

    def test_the_page_says_what_will_happen_before_it_does(self, opal: Client, hand: Hand) -> None:
        payment = hand.accept()

        page = opal.get(page_of(payment, "cancel")).content.decode()

        assert "What will happen" in page
        assert "no money moves" in page
        assert status_of(payment) == "queued"

    def test_the_payments_page_says_why_the_rest_is_not_possible(self, opal: Client, hand: Hand) -> None:
        payment = hand.accept()

        page = opal.get(story(payment)).content.decode()

        assert "Nothing of this payment is on hold or waiting for its time." in page
        assert "Only a payment on hold that the bank may have carried out is reversed." in page
        assert page_of(payment, "reverse") not in page


class TestReversing:
    def test_one_asks_another_agrees_and_the_bank_is_told(
        self, opal: Client, sari: Client, hand: Hand, unsettled: Payment
    ) -> None:
        page = act(opal, unsettled, "reverse")
        assert "Nothing happens until somebody else agrees; the request expires in 24 h." in page
        assert "opal asked for it" in page
        assert status_of(unsettled) == "on_hold"

        assert "The reversal is on its way to the bank." in decide(sari)

        assert status_of(unsettled) == "reversing"
        event = Event.objects.get(payment_id=unsettled.id, type="ReversalRequired")
        assert (event.actor, event.data["note"]) == ("staff:opal", "letter 7 of the bank (sari agreed)")
        hand.answer(hand.take()[0])
        assert status_of(unsettled) == "reversed"
        assert told("reverse_payment") == [("opal", "asked"), ("sari", "approved"), ("opal", "done")]

    def test_nobody_agrees_with_himself(self, sari: Client, unsettled: Payment) -> None:
        act(sari, unsettled, "reverse")

        assert "somebody else has to agree" in decide(sari)

        assert status_of(unsettled) == "on_hold"

    def test_what_moved_on_meanwhile_is_not_reversed(self, opal: Client, sari: Client, unsettled: Payment) -> None:
        act(opal, unsettled, "reverse")
        reversal = Request.objects.get()
        act(opal, unsettled, "resolve", outcome="approved")
        decide(sari)

        address = reverse("admin:staff_request_decide", args=[reversal.pk])
        page = sari.post(address, {"decision": "approve"}, follow=True).content.decode()

        assert "Only a payment on hold that the bank may have carried out is reversed." in page
        reversal.refresh_from_db()
        assert (reversal.state, status_of(unsettled)) == ("failed", "approved")

    def test_what_cannot_be_reversed_is_not_even_asked_for(self, opal: Client, hand: Hand) -> None:
        payment = hand.accept()

        assert "Nothing was changed." in act(opal, payment, "reverse")

        assert not Request.objects.exists()
        assert told("reverse_payment") == [("opal", "refused")]

    def test_it_is_asked_for_once(self, opal: Client, sari: Client, unsettled: Payment) -> None:
        act(opal, unsettled, "reverse")

        assert "asked for already" in act(sari, unsettled, "reverse")


class TestResolving:
    @pytest.mark.parametrize("outcome", ["approved", "reversed"])
    def test_on_evidence_with_a_second_person(
        self, opal: Client, sari: Client, unsettled: Payment, outcome: str
    ) -> None:
        act(opal, unsettled, "resolve", outcome=outcome)
        page = sari.get(reverse("admin:staff_request_change", args=[Request.objects.get().pk])).content.decode()
        assert "letter 7 of the bank" in page

        decide(sari)

        assert status_of(unsettled) == outcome
        event = Event.objects.get(payment_id=unsettled.id, type="Resolved")
        assert event.data["evidence"] == "letter 7 of the bank (sari agreed)"

    def test_without_an_outcome_nothing_is_asked(self, opal: Client, unsettled: Payment) -> None:
        assert "What became of it?" in act(opal, unsettled, "resolve")

        assert not Request.objects.exists()

    def test_a_reversal_that_the_bank_refuses_is_settled_by_a_letter(
        self, opal: Client, sari: Client, refused: Payment
    ) -> None:
        act(opal, refused, "resolve", outcome="reversed")

        assert "ended as it was settled" in decide(sari)

        assert status_of(refused) == "reversed"


class TestFollowing:
    """Void, capture and refund: each a payment of its own that two people made."""

    @pytest.fixture
    def approved(self, hand: Hand) -> Payment:
        payment = hand.accept(1000)
        hand.answer(hand.take()[0])
        return payment

    @pytest.fixture
    def authorised(self, hand: Hand) -> Payment:
        payment = hand.accept(1000, operation=Operation.AUTHORISATION)
        hand.answer(hand.take()[0])
        return payment

    def test_a_part_is_refunded_once_a_second_person_agrees(
        self, opal: Client, sari: Client, hand: Hand, approved: Payment
    ) -> None:
        assert "opal asked for it" in act(opal, approved, "refund", amount="4.00")
        assert child_of(approved) is None
        page = sari.get(reverse("admin:staff_request_change", args=[Request.objects.get().pk])).content.decode()
        assert "IDR 4.00" in page

        page = decide(sari)

        refund = child_of(approved)
        assert refund is not None
        assert f"The refund is on its way to the bank. It is the payment {refund.id}." in page
        assert (refund.operation, refund.amount) == ("refund", 400)
        hand.answer(hand.take()[0])
        assert status_of(refund) == "approved"
        approved.refresh_from_db()
        assert approved.refunded_amount == 400
        assert told("refund_payment") == [("opal", "asked"), ("sari", "approved"), ("opal", "done")]

    def test_each_leads_to_the_other_and_the_story_says_who(
        self, opal: Client, sari: Client, approved: Payment
    ) -> None:
        act(opal, approved, "void")
        decide(sari)

        void = child_of(approved)
        assert void is not None
        assert story(void) in opal.get(story(approved)).content.decode()
        page = opal.get(story(void)).content.decode()
        assert story(approved) in page
        assert "letter 7 of the bank (sari agreed)" in page
        assert "by opal" in page

    def test_a_part_of_an_authorisation_is_captured_and_what_is_left_after_it(
        self, opal: Client, sari: Client, hand: Hand, authorised: Payment
    ) -> None:
        act(opal, authorised, "capture", amount="6")
        decide(sari)
        hand.answer(hand.take()[0])

        page = opal.get(page_of(authorised, "capture")).content.decode()
        assert "Captured so far" in page
        assert "At most IDR 4.00." in page
        assert "it cannot be voided as a whole" in opal.get(story(authorised)).content.decode()

    @pytest.mark.parametrize("amount", ["10.01", "0", "-1", "1.001", "all", "NaN", ""])
    def test_no_more_than_is_left_nor_what_is_no_amount(self, opal: Client, approved: Payment, amount: str) -> None:
        act(opal, approved, "refund", amount=amount)

        assert not Request.objects.exists()

    def test_what_became_too_much_meanwhile_is_not_done(
        self, opal: Client, sari: Client, hand: Hand, approved: Payment
    ) -> None:
        act(opal, approved, "refund", amount="8")
        services.follow_up(Operation.REFUND, approved.id, amount_minor=300, actor="api:x", note="", key="other")

        assert "can still be refunded" in decide(sari)

        assert Request.objects.get().state == "failed"
        assert Payment.objects.filter(original__isnull=False).count() == 1

    def test_nobody_agrees_with_himself(self, sari: Client, approved: Payment) -> None:
        act(sari, approved, "void")

        assert "somebody else has to agree" in decide(sari)

        assert child_of(approved) is None

    def test_what_cannot_follow_is_said_and_not_offered(self, opal: Client, hand: Hand, approved: Payment) -> None:
        page = opal.get(story(approved)).content.decode()
        assert page_of(approved, "void") in page
        assert page_of(approved, "capture") not in page
        assert "Only an authorisation is captured" in page

        queued = hand.accept()
        page = opal.get(story(queued)).content.decode()
        assert page_of(queued, "refund") not in page
        assert "only an approved one can be followed up" in page
        assert "Nothing was changed." in act(opal, queued, "void")
        assert told("void_payment") == [("opal", "refused")]

    def test_a_page_asks_as_much_however_many_followed(self, opal: Client, approved: Payment) -> None:
        def statements() -> int:
            with CaptureQueriesContext(connection) as asked:
                opal.get(story(approved))
            return len(asked)

        statements()
        before = statements()
        for turn in range(4):
            services.follow_up(
                Operation.REFUND, approved.id, amount_minor=1, actor="api:x", note="", key=f"other {turn}"
            )

        assert statements() == before


class TestWhoMayNot:
    @pytest.mark.parametrize("role", ["viewer", "security officer", "auditor"])
    @pytest.mark.parametrize("action", sorted(ACTIONS))
    def test_neither_sees_nor_does_it(self, sign_in: SignIn, unsettled: Payment, role: str, action: str) -> None:
        client = sign_in("somebody", role)

        assert client.get(page_of(unsettled, action)).status_code == 403
        assert client.post(page_of(unsettled, action), {"reason": "because"}).status_code == 403

        assert status_of(unsettled) == "on_hold"
        assert Record.objects.filter(who="somebody", result="refused").count() == 2
