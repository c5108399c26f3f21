"""Captures, refunds and voids: `POST payments/{id}/…`, their sums, their ends, and what the original shows."""

import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from processor import links
from processor.codec.message import decode
from tests.builders import BANK, PAN
from tests.integration.conftest import Hand, answering, status_of
from tests.integration.test_api import is_problem, key_of
from transactions import auditing, services, settling
from transactions.admin.story import tell
from transactions.api import auth, throttle
from transactions.domain.errors import NotAllowed
from transactions.domain.values import Operation, ReasonCode, Status
from transactions.following import FollowUp, follow
from transactions.models import Event, Merchant, Payment

Ask = Callable[..., Any]


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    auth._remembered.clear()
    links._remembered_live.clear()
    throttle._buckets.clear()


@pytest.fixture
def api(hand: Hand) -> Client:
    return Client(headers={"Authorization": f"Bearer {key_of(hand.merchant, 'read', 'pay')}"})


@pytest.fixture
def ask(api: Client) -> Ask:
    def post(original: Payment, what: str, body: Any = None, key: str | None = None, **headers: str) -> Any:
        return api.post(
            f"/api/v1/payments/{original.id}/{what}",
            b"" if body is None else json.dumps(body),
            content_type="application/json",
            headers={"Idempotency-Key": key or str(uuid.uuid4()), **headers},
        )

    return post


def approved(hand: Hand, operation: Operation = Operation.PURCHASE, amount: int = 1000, **details: Any) -> Payment:
    payment = hand.accept(amount, operation=operation, **details)
    hand.answer(hand.take()[0])
    payment.refresh_from_db()
    return payment


def child(hand: Hand, original: Payment, operation: Operation, amount: int | None = None, key: str = "") -> Payment:
    order = FollowUp(operation, original.id, amount)
    receipt = follow(
        order,
        merchant_id=hand.merchant.id,
        idempotency_key=key or str(uuid.uuid4()),
        actor="api:test",
        request_id="request",
    )
    return Payment.objects.get(id=receipt.payment.id)


def sums(payment: Payment) -> tuple[int, int, uuid.UUID | None]:
    payment.refresh_from_db()
    return payment.captured_amount, payment.refunded_amount, payment.voided_by


def nothing_is_wrong() -> bool:
    assert list(map(str, auditing.violations())) == []
    return True


class TestAChild:
    def test_it_is_a_payment_of_its_own_that_names_its_original(self, hand: Hand, ask: Ask) -> None:
        original = approved(hand)

        response = ask(original, "refund", {"amount": 400, "reference": "one item"})

        body = response.json()
        assert response.status_code == 202
        assert response["Location"] == f"/api/v1/payments/{body['id']}"
        assert (body["operation"], body["amount"], body["original"]) == ("refund", 400, str(original.id))
        assert (body["status"], body["reference"]) == ("queued", "one item")
        assert PAN not in response.content.decode()

    def test_its_end_shows_on_the_original_which_stays_approved(self, hand: Hand, ask: Ask) -> None:
        original = approved(hand)
        ask(original, "refund", {"amount": 400})
        hand.answer(hand.take()[0])

        assert status_of(original) == "approved"
        assert sums(original) == (0, 400, None)
        assert Event.objects.filter(payment_id=original.id).latest("version").type == "ChildApproved"
        assert nothing_is_wrong()

    def test_without_an_amount_it_is_all_that_is_left(self, hand: Hand, ask: Ask) -> None:
        original = approved(hand)
        ask(original, "refund", {"amount": 400})

        assert ask(original, "refund").json()["amount"] == 600
        assert ask(original, "refund", {}, key="k").status_code == 409

    def test_its_message_has_the_card_and_names_the_original(self, hand: Hand) -> None:
        original = approved(hand)
        refund = child(hand, original, Operation.REFUND, 400)

        message = decode(hand.take()[0].body, BANK)

        assert (message.mti, message.get(2), message.get(3), message.get(4)) == ("0200", PAN, "200000", "000000000400")
        assert (message.get(90) or "")[:4] == "0200"
        assert refund.masked_pan == original.masked_pan

    def test_a_replay_is_the_same_child_even_when_nothing_is_left(self, hand: Hand, ask: Ask) -> None:
        original = approved(hand)
        first = ask(original, "void", key="k")
        hand.answer(hand.take()[0])

        again = ask(original, "void", key="k")

        assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
        assert again["Idempotent-Replayed"] == "true"

    def test_the_key_of_another_request_is_422(self, hand: Hand, ask: Ask) -> None:
        original = approved(hand)
        ask(original, "refund", {"amount": 1}, key="k")

        assert is_problem(ask(original, "refund", {"amount": 2}, key="k"), 422, "key-reused")
        assert is_problem(ask(original, "refund", {"amount": 1}, key=original.idempotency_key), 422, "key-reused")
        assert Payment.objects.count() == 2

    def test_another_merchants_payment_is_404(self, hand: Hand, ask: Ask) -> None:
        original = approved(hand)
        stranger = Client(headers={"Authorization": f"Bearer {key_of(Merchant.objects.create(name='B'), 'pay')}"})

        address = f"/api/v1/payments/{original.id}/void"
        response = stranger.post(address, b"", "application/json", headers={"Idempotency-Key": "k"})

        assert is_problem(response, 404, "not-found")
        original.id = uuid.uuid4()
        assert is_problem(ask(original, "void"), 404, "not-found")

    @pytest.mark.parametrize("amount", [0, -1, 1.5, True, "100", 10**12])
    def test_an_amount_that_is_none_is_422(self, hand: Hand, ask: Ask, amount: Any) -> None:
        response = ask(approved(hand), "refund", {"amount": amount})

        assert is_problem(response, 422, "invalid")
        assert response.json()["errors"][0]["pointer"] == "/amount"

    def test_a_void_has_no_amount_and_nothing_unknown_is_taken(self, hand: Hand, ask: Ask) -> None:
        original = approved(hand)

        assert is_problem(ask(original, "void", {"amount": 1000}), 422, "invalid")
        assert is_problem(ask(original, "capture", {"expires_in": 5}), 422, "invalid")
        assert is_problem(ask(original, "refund", {"metadata": {"card": PAN}}), 422, "invalid")

    @pytest.mark.parametrize("what", ["capture", "refund", "void"])
    def test_only_an_approved_payment_has_children(self, hand: Hand, ask: Ask, what: str) -> None:
        response = ask(hand.accept(), what)

        assert is_problem(response, 409, "not-allowed")
        assert "only an approved one" in response.json()["detail"]

    def test_it_can_wait_for_its_end_and_be_cancelled(self, hand: Hand, ask: Ask, api: Client) -> None:
        original = approved(hand)
        refund = ask(original, "refund", {"amount": 1000}, Prefer="wait=0").json()

        assert api.post(f"/api/v1/payments/{refund['id']}/cancel").json()["status"] == "cancelled"
        assert ask(original, "refund", {"amount": 1000}).status_code == 202

    def test_what_does_not_expire_has_no_time_to(self, hand: Hand, ask: Ask) -> None:
        original, other = approved(hand), approved(hand)

        assert ask(original, "refund", {"amount": 1, "expires_in": 60}).json()["expires_at"]
        assert ask(other, "void").json()["expires_at"] is None


class TestFiftyAtOnce:
    def test_with_one_key_they_are_one_child(self, hand: Hand) -> None:
        original = approved(hand)

        ids = at_once(50, lambda _: child(hand, original, Operation.REFUND, 10, key="race").id)

        assert len(set(ids)) == 1
        assert Payment.objects.count() == 2

    def test_with_keys_of_their_own_they_never_exceed_the_sum(self, hand: Hand) -> None:
        original = approved(hand)

        made = at_once(50, lambda _: child(hand, original, Operation.REFUND, 300).amount)

        assert sum(made) == 900
        assert nothing_is_wrong()

    def test_a_void_and_refunds_exclude_each_other(self, hand: Hand) -> None:
        original = approved(hand)

        made = at_once(
            20, lambda number: child(hand, original, Operation.VOID if number % 2 else Operation.REFUND).operation
        )

        assert len(made) == 1


def at_once(count: int, work: Callable[[int], Any]) -> list[Any]:
    def one(number: int) -> Any:
        try:
            return work(number)
        except NotAllowed:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return [result for result in pool.map(one, range(count)) if result is not None]


class TestCaptures:
    def test_parts_follow_each_other_up_to_the_authorised_amount(self, hand: Hand) -> None:
        original = approved(hand, Operation.AUTHORISATION)
        for amount in (400, 600):
            child(hand, original, Operation.CAPTURE, amount)
            taken = hand.take()[0]
            assert taken.mti == "0220"
            hand.answer(taken)

        assert sums(original) == (1000, 0, None)
        with pytest.raises(NotAllowed):
            child(hand, original, Operation.CAPTURE, 1)
        assert nothing_is_wrong()

    def test_only_what_was_captured_is_refunded(self, hand: Hand) -> None:
        original = approved(hand, Operation.AUTHORISATION)
        child(hand, original, Operation.CAPTURE, 400)
        with pytest.raises(NotAllowed):
            child(hand, original, Operation.REFUND, 100)
        hand.answer(hand.take()[0])

        with pytest.raises(NotAllowed):
            child(hand, original, Operation.REFUND, 401)
        assert child(hand, original, Operation.REFUND, 400).amount == 400

    def test_silence_is_asked_again_and_not_forgotten(self, hand: Hand) -> None:
        capture = child(hand, approved(hand, Operation.AUTHORISATION), Operation.CAPTURE)
        hand.silence(hand.take()[0])

        assert status_of(capture) == "queued"
        with pytest.raises(NotAllowed, match="may have carried this out"):
            services.cancel(capture.id, actor="api:test", reason=ReasonCode.CANCELLED_BY_CLIENT)
        services.retry(capture.id, actor="staff:ana", note="the bank is back")
        taken = hand.take()[0]
        assert taken.mti == "0221"
        hand.answer(taken, "94")
        assert status_of(capture) == "approved"
        assert nothing_is_wrong()

    def test_what_the_bank_never_answers_a_person_settles_with_it(self, hand: Hand) -> None:
        original = approved(hand, Operation.AUTHORISATION)
        capture = child(hand, original, Operation.CAPTURE, 400)
        hand.silence(hand.take()[0])

        services.resolve(capture.id, outcome=Status.APPROVED, evidence="their letter", actor="staff:ana")

        assert (status_of(capture), sums(original)) == ("approved", (400, 0, None))
        assert nothing_is_wrong()

    def test_one_never_sent_may_be_cancelled(self, hand: Hand) -> None:
        capture = child(hand, approved(hand, Operation.AUTHORISATION), Operation.CAPTURE)

        services.cancel(capture.id, actor="api:test", reason=ReasonCode.CANCELLED_BY_CLIENT)

        assert status_of(capture) == "cancelled"


class TestVoids:
    def test_the_original_says_which_payment_voided_it(self, hand: Hand) -> None:
        original = approved(hand)
        void = child(hand, original, Operation.VOID)
        taken = hand.take()[0]
        message = decode(taken.body, BANK)
        hand.answer(taken)

        assert (taken.mti, message.get(37)) == ("0400", original.rrn)
        assert (status_of(original), sums(original)) == ("approved", (0, 0, void.id))
        with pytest.raises(NotAllowed, match="was voided"):
            child(hand, original, Operation.REFUND, 1)
        assert nothing_is_wrong()

    def test_silence_is_asked_again_as_0401(self, hand: Hand) -> None:
        void = child(hand, approved(hand), Operation.VOID)
        hand.silence(hand.take()[0])
        services.retry(void.id, actor="staff:ana", note="the bank is back")

        taken = hand.take()[0]
        assert taken.mti == "0401"
        hand.answer(taken)
        assert status_of(void) == "approved"

    def test_one_refused_leaves_everything_as_it_was(self, hand: Hand) -> None:
        original = approved(hand)
        void = child(hand, original, Operation.VOID)
        hand.answer(hand.take()[0], "12")

        assert (status_of(void), sums(original)) == ("declined", (0, 0, None))
        assert child(hand, original, Operation.REFUND).amount == 1000

    def test_staff_order_one_once_for_each_key_and_say_why(self, hand: Hand) -> None:
        original = approved(hand)

        ids = {
            services.follow_up(
                Operation.VOID, original.id, amount_minor=None, actor="staff:ana", note="paid twice", key="request-7"
            )
            for _ in range(2)
        }

        (void_id,) = ids
        event = Event.objects.get(payment_id=void_id)
        assert (event.actor, event.data["note"]) == ("staff:ana", "paid twice")
        hand.answer(hand.take()[0])
        assert sums(original)[2] == void_id


class TestWhatAnEndFrees:
    def test_a_refund_nobody_answered_is_reserved_until_it_is_reversed(self, hand: Hand) -> None:
        original = approved(hand)
        refund = child(hand, original, Operation.REFUND, 1000)
        hand.silence(hand.take()[0])

        assert status_of(refund) == "reversing"
        with pytest.raises(NotAllowed):
            child(hand, original, Operation.REFUND, 1)
        reversal = hand.take()[0]
        assert reversal.mti == "0420"
        hand.answer(reversal)
        assert (status_of(refund), sums(original)) == ("reversed", (0, 0, None))
        assert child(hand, original, Operation.REFUND, 1000).amount == 1000
        assert nothing_is_wrong()

    def test_a_declined_one_is_free_again(self, hand: Hand) -> None:
        original = approved(hand)
        child(hand, original, Operation.REFUND, 1000)
        hand.answer(hand.take()[0], "05")

        assert child(hand, original, Operation.REFUND, 1000).amount == 1000

    def test_two_that_end_in_one_batch_both_count(self, hand: Hand) -> None:
        original = approved(hand)
        for amount in (300, 400):
            child(hand, original, Operation.REFUND, amount)
        first, second = hand.take()

        hand.file(answering(first), answering(second))

        settling.settle()
        assert sums(original) == (0, 700, None)
        assert nothing_is_wrong()


def test_the_originals_story_says_what_followed(hand: Hand) -> None:
    original = approved(hand)
    refund = child(hand, original, Operation.REFUND, 400)
    hand.answer(hand.take()[0])

    chapters = tell(Event.objects.filter(payment_id=original.id).order_by("version"), [], BANK)

    assert (chapters[-1].title, chapters[-1].detail) == ("Refunded", f"by the payment {refund.id}")
