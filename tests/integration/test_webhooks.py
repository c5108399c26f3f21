"""What merchants are told when their payments end, and what it takes until they have it."""

import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import yaml
from django.db import connection, transaction
from django.db.models import F
from django.utils import timezone
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from queueing.database import rows
from tests.integration.conftest import Hand
from tests.receiver import Receiver, answering, asking_for_quiet, receiving
from transactions import desk, recovery, services
from transactions.admin import attention
from transactions.domain.values import Operation, ReasonCode, Status
from transactions.following import FollowUp, follow
from transactions.models import Merchant, Payment, WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookMessage
from transactions.outbox import EVENT_TYPES
from transactions.showing import payment_out
from transactions.webhooks import deliveries, endpoints
from transactions.webhooks.delivering import deliver
from transactions.webhooks.endpoints import Wanted


@pytest.fixture(autouse=True)
def on_this_machine(settings: Any) -> None:
    """Receivers listen on loopback."""
    settings.WEBHOOK_PRIVATE_ADDRESSES = True


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who takes everything."""
    with receiving() as listening:
        yield listening


def told(merchant: Merchant, receiver: Receiver, *types: str) -> tuple[WebhookEndpoint, str]:
    """An endpoint at a receiver, and its secret."""
    return endpoints.create(merchant.pk, Wanted(receiver.url, types), actor="api:test")


def approved(hand: Hand, **details: Any) -> Payment:
    """A payment that the host approves."""
    payment = hand.accept(**details)
    hand.answer(hand.take()[0])
    payment.refresh_from_db()
    return payment


def test_an_approved_payment_is_told_once_and_signed(hand: Hand, receiver: Receiver) -> None:
    _, secret = told(hand.merchant, receiver)

    payment = approved(hand, reference="order-1")
    deliver()
    deliver()

    (request,) = receiver.received
    said = request.verified(secret)
    assert (said["type"], said["data"]["id"]) == ("payment.approved", str(payment.id))
    assert (said["data"]["status"], said["data"]["version"]) == ("approved", payment.version)
    assert said["data"]["reference"] == "order-1"
    assert WebhookDelivery.objects.get().state == "delivered"
    assert WebhookAttempt.objects.get().response_code == 204


def test_every_way_to_end_is_told_in_the_commit_that_ends_it(hand: Hand, receiver: Receiver) -> None:
    told(hand.merchant, receiver)
    ends = {}
    declined = hand.accept()
    hand.answer(hand.take()[0], "51")
    ends[declined.id] = "payment.declined"
    cancelled = hand.accept()
    services.cancel(cancelled.id, actor="api:test", reason=ReasonCode.CANCELLED_BY_CLIENT)
    ends[cancelled.id] = "payment.cancelled"
    expired = hand.accept(expires_in_s=1)
    with connection.cursor() as cursor:
        for table in ("queueing_queueentry", "transactions_payment"):
            cursor.execute(f"UPDATE {table} SET expires_at = now() - interval '1 s' WHERE expires_at IS NOT NULL")
    recovery.recover()
    ends[expired.id] = "payment.expired"
    reversed_ = hand.accept()
    hand.silence(hand.take()[0])
    hand.answer(hand.take()[0])
    ends[reversed_.id] = "payment.reversed"

    assert {row.payment_id: row.type for row in WebhookMessage.objects.all()} == ends


def test_what_is_sent_is_what_the_apis_document_says(hand: Hand, receiver: Receiver) -> None:
    endpoint, _ = told(hand.merchant, receiver)
    document = yaml.safe_load((Path(__file__).parents[2] / "openapi.yaml").read_text())
    hand.accept()
    hand.answer(hand.take()[0], "51")
    approved(hand, reference="order-1")
    endpoints.send_test(hand.merchant.pk, endpoint.id)
    endpoints.rotate(hand.merchant.pk, endpoint.id, timedelta(hours=1), actor="api:test")
    deliver()

    said = [msgspec.json.decode(request.body) for request in receiver.received]
    assert {one["type"] for one in said} == {"payment.declined", "payment.approved", "webhook.test"}
    for request, one in zip(receiver.received, said, strict=True):
        operation = document["webhooks"][one["type"]]["post"]
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        validator = Draft202012Validator({**schema, "components": document["components"]})
        validator.validate(one)
        assert not validator.is_valid({**one, "type": "payment.other"})
        for reference in operation["parameters"]:
            header = document["components"]["parameters"][reference["$ref"].rpartition("/")[2]]
            assert re.search(header["schema"]["pattern"], request.headers[header["name"]]), header["name"]
    assert set(document["webhooks"]) == {*EVENT_TYPES, "webhook.test"}


def test_a_resolved_payment_is_told(hand: Hand, receiver: Receiver) -> None:
    told(hand.merchant, receiver)
    payment = hand.accept()
    hand.silence(hand.take()[0])
    hand.answer(hand.take()[0], "12")

    services.resolve(payment.id, outcome=Status.REVERSED, evidence="by telephone", actor="staff:dewi")

    assert WebhookMessage.objects.get().type == "payment.reversed"


def test_a_refund_is_told_as_the_payment_it_is(hand: Hand, receiver: Receiver) -> None:
    original = approved(hand)
    _, secret = told(hand.merchant, receiver)

    order = FollowUp(Operation.REFUND, original.id, 40)
    follow(order, merchant_id=hand.merchant.pk, idempotency_key="refund", actor="api:test", request_id="request")
    hand.answer(hand.take()[0])
    deliver()

    (said,) = (request.verified(secret) for request in receiver.received)
    assert (said["type"], said["data"]["original"]) == ("payment.approved", str(original.id))
    assert said["data"] == as_the_api_shows(said["data"]["id"])


def as_the_api_shows(payment_id: str) -> Any:
    """A payment as a client reads it."""
    return msgspec.json.decode(msgspec.json.encode(payment_out(Payment.objects.get(id=payment_id))))


def test_nothing_is_written_for_a_merchant_without_an_endpoint(hand: Hand) -> None:
    approved(hand)

    assert not WebhookMessage.objects.exists()


def test_an_endpoint_is_told_only_what_it_asked_for(hand: Hand, receiver: Receiver) -> None:
    told(hand.merchant, receiver, "payment.declined")

    approved(hand)

    assert not WebhookMessage.objects.exists()


def test_a_rolled_back_end_is_never_told(hand: Hand, receiver: Receiver) -> None:
    told(hand.merchant, receiver)
    payment = hand.accept()

    with transaction.atomic():
        services.cancel(payment.id, actor="api:test", reason=ReasonCode.CANCELLED_BY_CLIENT)
        assert WebhookMessage.objects.exists()
        transaction.set_rollback(True)
    deliver()

    assert receiver.received == []
    assert not WebhookMessage.objects.exists()


def test_creating_an_endpoint_waits_for_settlements_that_do_not_know_of_it(hand: Hand, receiver: Receiver) -> None:
    payment = hand.accept()
    made = threading.Event()

    def make() -> None:
        told(hand.merchant, receiver)
        made.set()
        connection.close()

    with transaction.atomic():
        Payment.objects.select_for_update().get(id=payment.id)
        creating = threading.Thread(target=make)
        creating.start()
        assert not made.wait(0.5), "it returned although a settlement was under way"
    creating.join(5)

    assert made.is_set()


def test_a_refused_webhook_is_tried_again_later_with_the_same_id(hand: Hand, receiver: Receiver) -> None:
    endpoint, secret = told(hand.merchant, receiver)
    receiver.manner = answering(500, b"no room for 4111111111111111 here")

    approved(hand)
    deliver()
    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.tries) == ("pending", 1)
    endpoint.refresh_from_db()
    assert endpoint.failing_since is not None
    kept = WebhookAttempt.objects.get()
    assert (kept.response_code, kept.answer) == (500, "no room for 411111******1111 here")

    receiver.manner = answering(200)
    make_due()
    deliver()
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    second.verified(secret)
    endpoint.refresh_from_db()
    assert endpoint.failing_since is None


@pytest.mark.parametrize(("code", "heeded"), [(429, True), (503, True), (500, False)])
def test_a_receiver_that_asks_for_quiet_has_it(hand: Hand, receiver: Receiver, code: int, heeded: bool) -> None:  # noqa: FBT001
    told(hand.merchant, receiver)
    receiver.manner = asking_for_quiet(code, "7200")
    approved(hand)
    deliver()
    approved(hand)
    deliver()

    assert len(receiver.received) == (1 if heeded else 2), "what comes to its end meanwhile waits as well"
    first, second = WebhookDelivery.objects.order_by("id")
    assert (first.next_at - first.created_at > timedelta(hours=2)) is heeded
    assert second.tries == (0 if heeded else 1)
    assert rows(f"SELECT {deliveries.IS_DUE} AS is_due")[0].is_due is False

    receiver.manner = answering(200)
    WebhookEndpoint.objects.update(quiet_until=first.created_at)
    make_due()
    deliver()
    assert {row.state for row in WebhookDelivery.objects.all()} == {"delivered"}


def test_a_receiver_may_name_the_time(hand: Hand, receiver: Receiver) -> None:
    endpoint, _ = told(hand.merchant, receiver)
    until = (timezone.now() + timedelta(hours=3)).replace(microsecond=0)
    receiver.manner = asking_for_quiet(503, format_datetime(until, usegmt=True))

    approved(hand)
    deliver()

    assert WebhookDelivery.objects.get().next_at >= until - timedelta(seconds=1)
    endpoint.refresh_from_db()
    assert endpoint.quiet_until
    assert abs(endpoint.quiet_until - until) < timedelta(seconds=2)


@pytest.mark.parametrize("retry_after", ["99999999", "9" * 3000, "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_no_receiver_puts_it_off_for_longer_than_we_do(hand: Hand, receiver: Receiver, retry_after: str) -> None:
    endpoint, _ = told(hand.merchant, receiver)
    receiver.manner = asking_for_quiet(429, retry_after)

    approved(hand)
    deliver()

    endpoint.refresh_from_db()
    assert endpoint.quiet_until
    assert endpoint.quiet_until - timezone.now() <= timedelta(hours=6)
    assert WebhookDelivery.objects.get().next_at - timezone.now() <= timedelta(hours=7.2)


def test_who_is_enabled_again_is_told_at_once(hand: Hand, receiver: Receiver) -> None:
    endpoint, _ = told(hand.merchant, receiver)
    receiver.manner = asking_for_quiet(503, "3600")
    approved(hand)
    deliver()
    receiver.manner = answering(200)

    endpoints.change(hand.merchant.pk, endpoint.id, {}, enabled=True, actor="api:test")
    make_due()
    deliver()

    assert WebhookDelivery.objects.get().state == "delivered"


def test_what_a_worker_claimed_and_left_is_sent_again_with_the_same_id(hand: Hand, receiver: Receiver) -> None:
    told(hand.merchant, receiver)
    approved(hand)
    (claimed,) = deliveries.claim(10)
    deliver()
    assert receiver.received == [], "it is leased to whoever claimed it"

    make_due()
    deliver()

    assert [request.headers["webhook-id"] for request in receiver.received] == [f"msg_{claimed.message_id.hex}"]


def test_a_webhook_is_given_up_after_three_days(hand: Hand, receiver: Receiver) -> None:
    told(hand.merchant, receiver)
    receiver.manner = answering(503)
    approved(hand)
    WebhookDelivery.objects.update(created_at=WebhookDelivery.objects.get().created_at - timedelta(days=3))

    deliver()

    delivery = WebhookDelivery.objects.get()
    assert (delivery.state, delivery.ended_at is not None) == ("exhausted", True)


def test_a_receiver_that_fails_is_tried_less_and_less_often_for_three_days(hand: Hand, receiver: Receiver) -> None:
    endpoint, secret = told(hand.merchant, receiver)
    receiver.manner = answering(503)
    approved(hand)
    pauses = []
    while WebhookDelivery.objects.get().state == "pending":
        deliver()
        if (delivery := WebhookDelivery.objects.get()).state == "pending":
            pauses.append(delivery.next_at - timezone.now())
            let_pass(pauses[-1])

    assert timedelta(days=2.99) < sum(pauses, timedelta()) < timedelta(days=3.01)
    assert max(pauses[:3]) < timedelta(minutes=1) < timedelta(hours=4) < max(pauses)
    assert WebhookDelivery.objects.get().state == "exhausted"
    tries = list(WebhookAttempt.objects.order_by("id").values_list("number", "response_code"))
    assert tries == [(number, 503) for number in range(1, len(pauses) + 2)]
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    assert {request.verified(secret)["type"] for request in receiver.received} == {"payment.approved"}

    let_pass(timedelta(minutes=1))
    recovery.recover()
    endpoint.refresh_from_db()
    assert endpoint.disabled_reason == "failing", "its three days are over, and no message came to say so"


def let_pass(time: timedelta) -> None:
    """Let everything about webhooks have happened so much earlier."""
    WebhookDelivery.objects.update(created_at=F("created_at") - time, next_at=F("next_at") - time)
    WebhookEndpoint.objects.update(failing_since=F("failing_since") - time)


def test_a_later_message_overtakes_one_that_was_refused_and_both_say_their_version(
    hand: Hand, receiver: Receiver
) -> None:
    _, secret = told(hand.merchant, receiver)
    receiver.manner = answering(500)
    first = approved(hand)
    deliver()
    receiver.manner = answering(204)
    second = approved(hand)
    deliver()
    make_due()
    deliver()

    said = [request.verified(secret)["data"] for request in receiver.received[1:]]
    assert [(one["id"], one["version"]) for one in said] == [
        (str(second.id), second.version),
        (str(first.id), first.version),
    ]


def test_the_desk_says_who_is_sent_nothing_any_more(hand: Hand, receiver: Receiver) -> None:
    endpoint, _ = told(hand.merchant, receiver)
    receiver.manner = answering(410)
    approved(hand)
    deliver()

    found = {item.key: item for item in attention.items(desk.read_figures(), timezone.now())}
    notice = found[f"webhooks-{endpoint.id}"]
    assert (notice.title, notice.detail) == (
        "Warung Kopi is sent no webhooks any more",
        f"it answered 410 Gone: {receiver.url}",
    )
    assert str(endpoint.id) in notice.address
    endpoints.change(hand.merchant.pk, endpoint.id, {}, enabled=True, actor="api:test")
    assert f"webhooks-{endpoint.id}" not in {item.key for item in attention.items(desk.read_figures(), timezone.now())}


def test_an_endpoint_that_failed_for_three_days_is_disabled_and_what_waits_for_it_given_up(
    hand: Hand, receiver: Receiver
) -> None:
    endpoint, _ = told(hand.merchant, receiver)
    receiver.manner = answering(503)
    approved(hand)
    WebhookEndpoint.objects.update(failing_since=endpoint.created_at - timedelta(days=3))

    deliver()
    endpoint.refresh_from_db()
    assert (endpoint.disabled_reason, endpoint.disabled_at is not None) == ("failing", True)

    recovery.recover()
    assert WebhookDelivery.objects.get().state == "exhausted"
    approved(hand)
    assert WebhookMessage.objects.count() == 1


def test_who_failed_once_before_everything_stood_still_is_tried_again_before_it_is_disabled(
    hand: Hand, receiver: Receiver
) -> None:
    endpoint, _ = told(hand.merchant, receiver)
    receiver.manner = answering(503)
    approved(hand)
    deliver()
    receiver.manner = answering(204)
    let_pass(timedelta(days=4))

    recovery.recover()
    endpoint.refresh_from_db()
    assert endpoint.disabled_at is None

    deliver()
    recovery.recover()
    endpoint.refresh_from_db()
    assert (endpoint.disabled_at, endpoint.failing_since) == (None, None)


def test_what_waits_for_its_next_try_does_not_lengthen_the_three_days(hand: Hand, receiver: Receiver) -> None:
    endpoint, _ = told(hand.merchant, receiver)
    receiver.manner = answering(503)
    approved(hand)
    deliver()
    WebhookEndpoint.objects.update(failing_since=F("failing_since") - timedelta(days=3))
    WebhookDelivery.objects.update(next_at=F("next_at") + timedelta(hours=6))

    recovery.recover()

    endpoint.refresh_from_db()
    assert endpoint.disabled_reason == "failing"
    assert WebhookDelivery.objects.get().state == "exhausted"


def test_another_address_has_three_days_of_its_own(hand: Hand, receiver: Receiver) -> None:
    endpoint, _ = told(hand.merchant, receiver)
    receiver.manner = answering(503)
    approved(hand)
    deliver()
    WebhookEndpoint.objects.update(failing_since=F("failing_since") - timedelta(days=3))

    mended = {"url": f"{receiver.url}/mended"}
    endpoints.change(hand.merchant.pk, endpoint.id, mended, enabled=None, actor="api:test")
    recovery.recover()

    endpoint.refresh_from_db()
    assert (endpoint.disabled_at, endpoint.failing_since) == (None, None)


def test_gone_disables_at_once(hand: Hand, receiver: Receiver) -> None:
    endpoint, _ = told(hand.merchant, receiver)
    receiver.manner = answering(410)

    approved(hand)
    deliver()

    endpoint.refresh_from_db()
    assert endpoint.disabled_reason == "gone"


def test_both_secrets_sign_while_one_replaces_the_other(hand: Hand, receiver: Receiver) -> None:
    endpoint, old = told(hand.merchant, receiver)
    _, new = endpoints.rotate(hand.merchant.pk, endpoint.id, timedelta(hours=1), actor="api:test")

    approved(hand)
    deliver()
    receiver.received[0].verified(old)
    receiver.received[0].verified(new)

    WebhookEndpoint.objects.update(previous_until=endpoint.created_at)
    approved(hand)
    deliver()
    receiver.received[1].verified(new)
    with pytest.raises(Exception, match="No matching signature"):
        receiver.received[1].verified(old)


def test_recovery_rings_for_what_is_due(hand: Hand, receiver: Receiver, rings: list[tuple[str, float]]) -> None:
    told(hand.merchant, receiver)
    approved(hand)
    assert ("webhooks", 0.0) in rings
    rings.clear()

    recovery.recover()

    assert ("webhooks", 0.0) in rings


def test_a_test_message_tells_of_no_payment(hand: Hand, receiver: Receiver) -> None:
    endpoint, secret = told(hand.merchant, receiver)

    endpoints.send_test(hand.merchant.pk, endpoint.id)
    deliver()

    assert receiver.received[0].verified(secret)["type"] == "webhook.test"


def make_due() -> None:
    """Let time pass until what waits is due."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE transactions_webhookdelivery SET next_at = now() WHERE state IN ('pending', 'sending')")


def test_figures_say_how_endpoints_and_deliveries_stand(hand: Hand, receiver: Receiver) -> None:
    endpoint, _ = told(hand.merchant, receiver)
    receiver.manner = answering(503)
    approved(hand)
    deliver()
    make_due()

    figures = deliveries.figures(100)
    assert (figures.enabled, figures.failing, figures.disabled, figures.pending) == (0, 1, 0, 1)
    assert figures.oldest_s >= figures.overdue_s >= 0
    WebhookEndpoint.objects.update(disabled_at=endpoint.created_at, disabled_reason="gone")
    figures = deliveries.figures(100)
    assert (figures.enabled, figures.failing, figures.disabled, figures.pending) == (0, 0, 1, 0)


def test_what_waits_for_its_time_costs_a_claim_nothing(hand: Hand, receiver: Receiver) -> None:
    """An endpoint that is down has all that it was not told waiting, and whoever claims for others passes by it."""
    endpoint, _ = told(hand.merchant, receiver)
    with connection.cursor() as cursor:
        cursor.execute(
            """INSERT INTO transactions_webhookdelivery (message_id, endpoint_id, state, next_at, tries, created_at)
            SELECT %s, %s, 'pending', now() + n * interval '1 minute', 1, now() FROM generate_series(10, 20000) AS n""",
            [uuid4(), endpoint.id],
        )
        cursor.execute("ANALYZE transactions_webhookdelivery")

    assert _blocks_read(deliveries._CLAIM, {"limit": 128}) < 50
    assert _blocks_read(f"SELECT {deliveries.IS_DUE}", {}) < 50


def _blocks_read(statement: str, parameters: dict[str, Any]) -> int:
    (told_of,) = rows(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters)
    plan = told_of[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
