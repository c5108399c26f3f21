"""Webhooks in the back office: read with every try, sent once more and replayed, each with a reason and a record."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from staff.models import Record
from tests.integration.conftest import Hand
from tests.receiver import Receiver, answering, receiving
from transactions.admin import replays, webhooks
from transactions.finding import first_id
from transactions.models import Merchant, Payment, WebhookDelivery, WebhookEndpoint, WebhookReplay
from transactions.webhooks import endpoints, replaying
from transactions.webhooks.delivering import deliver
from transactions.webhooks.endpoints import Wanted
from transactions.webhooks.replaying import Filters

VIEW = ("view_webhookendpoint", "view_webhookdelivery", "view_webhookreplay", "view_payment")
REPLAY = reverse("admin:transactions_webhookreplay_add")


@pytest.fixture(autouse=True)
def here(settings: Any) -> None:
    """Receivers listen on loopback."""
    settings.WEBHOOK_PRIVATE_ADDRESSES = True


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who takes everything."""
    with receiving() as listening:
        yield listening


@pytest.fixture
def staff(hand: Hand) -> Callable[..., Client]:
    """A signed-in member of staff with some permissions."""

    def sign_in(*permissions: str) -> Client:
        user = User.objects.create_user("dewi", password="x", is_staff=True)
        for codename in (*VIEW, *permissions):
            user.user_permissions.add(Permission.objects.get(codename=codename))
        client = Client()
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
        return client

    return sign_in


class Killed(BaseException):
    """The process ends here."""


def killed(*_: Any, **__: Any) -> None:
    raise Killed


def told(hand: Hand, receiver: Receiver) -> WebhookEndpoint:
    """An endpoint at a receiver."""
    return endpoints.create(hand.merchant.pk, Wanted(receiver.url), actor="api:test")[0]


def approved(hand: Hand) -> Payment:
    """A payment that the host approves."""
    payment = hand.accept()
    hand.answer(hand.take()[0])
    return payment


def text(response: Any) -> str:
    assert response.status_code == 200, response
    return str(response.content.decode())


def page_of(row: Any) -> str:
    return reverse(f"admin:transactions_{row._meta.model_name}_change", args=[row.pk])


def test_a_delivery_shows_every_try(hand: Hand, receiver: Receiver, staff: Callable[..., Client]) -> None:
    endpoint = told(hand, receiver)
    receiver.manner = answering(503, b"we are closed")
    payment = approved(hand)
    deliver()
    dewi = staff()

    page = text(dewi.get(page_of(WebhookDelivery.objects.get())))
    assert "503" in page
    assert "we are closed" in page
    assert "Send once more" not in page, "she may not"
    assert "failing" in text(dewi.get(page_of(endpoint)))
    listed = text(dewi.get(reverse("admin:transactions_webhookdelivery_changelist"), {"q": str(payment.id)}))
    assert "payment.approved" in listed
    assert "payment.approved" in text(dewi.get(page_of(payment))), "its story tells it too"


def test_one_is_sent_once_more_for_a_reason_that_is_kept(
    hand: Hand, receiver: Receiver, staff: Callable[..., Client]
) -> None:
    told(hand, receiver)
    approved(hand)
    deliver()
    before = WebhookDelivery.objects.get()
    dewi = staff("replay_webhook")
    address = reverse("admin:webhook_resend", args=[before.pk])
    assert "Send once more" in text(dewi.get(address))

    dewi.post(address, {"reason": "they lost it"})
    deliver()

    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    kept = WebhookReplay.objects.get()
    assert (kept.actor, kept.reason, kept.deliveries) == ("staff:dewi", "they lost it", 1)
    assert Record.objects.get(action="resend_webhook").why == "they lost it"


def test_a_replay_is_looked_at_before_it_is_sent_and_says_what_came_of_it(
    hand: Hand, receiver: Receiver, staff: Callable[..., Client]
) -> None:
    untold = approved(hand)
    told(hand, receiver)
    already = approved(hand)
    deliver()
    dewi = staff("replay_webhook")
    asked = {"merchant": hand.merchant.pk, "status": "approved", "reason": "a day was lost"}

    looked = dewi.post(REPLAY, asked)
    assert "Payments: 2." in text(looked)
    assert not WebhookReplay.objects.exists()
    seen = looked.context["form"].data["seen"]
    assert "Payments: 2." in text(dewi.post(REPLAY, {**asked, "since": "2020-01-01T00:00", "seen": seen}))
    assert not WebhookReplay.objects.exists(), "it is not what was looked at"
    dewi.post(REPLAY, {**asked, "seen": seen})
    deliver()

    made = WebhookReplay.objects.get()
    assert (made.actor, made.payments, made.deliveries) == ("staff:dewi", 2, 2)
    assert len(receiver.received) == 3
    assert {untold.id, already.id} == set(
        WebhookDelivery.objects.filter(replay=made, state="delivered").values_list("message__payment_id", flat=True)
    )
    page = text(dewi.get(page_of(made)))
    assert "2 delivered" in page
    assert "a day was lost" in page
    assert Record.objects.get(action="replay_webhooks").detail["deliveries"] == 2


def test_a_replay_is_narrowed_by_time(hand: Hand, receiver: Receiver, staff: Callable[..., Client]) -> None:
    told(hand, receiver)
    approved(hand)
    dewi = staff("replay_webhook")
    asked = {"merchant": hand.merchant.pk, "until": "2020-01-01T00:00", "reason": "a day was lost"}

    assert "No payment that has ended fits" in text(dewi.post(REPLAY, asked))


def test_a_replay_goes_by_when_payments_were_accepted_and_not_by_the_clock_that_made_their_ids(hand: Hand) -> None:
    payment = approved(hand)
    slow = first_id(payment.created_at, -timedelta(minutes=10))
    Payment.objects.filter(id=payment.id).update(id=slow)
    moment = timedelta(seconds=1)

    def counted(since: datetime | None = None, until: datetime | None = None) -> int:
        return replaying.count(hand.merchant.pk, Filters(since=since, until=until))

    assert counted(payment.created_at - moment, payment.created_at + moment) == 1
    assert (counted(until=payment.created_at), counted(since=payment.created_at + moment)) == (0, 0)


@pytest.mark.parametrize("at", ["0001-01-01T00:00", "1900-01-01T00:00", "9999-12-31T23:59"])
def test_no_time_is_too_early_or_too_late_for_a_replay(hand: Hand, staff: Callable[..., Client], at: str) -> None:
    approved(hand)
    dewi = staff("replay_webhook")
    asked = {"merchant": hand.merchant.pk, "reason": "a day was lost"}

    assert [dewi.post(REPLAY, {**asked, end: at}).status_code for end in ("since", "until")] == [200, 200]


def test_a_replay_is_narrowed_by_merchant_payment_and_end(
    hand: Hand, receiver: Receiver, staff: Callable[..., Client]
) -> None:
    first, second = approved(hand), approved(hand)
    declined = hand.accept()
    hand.answer(hand.take()[0], "51")
    stranger = Merchant.objects.create(name="Toko Sebelah")
    told(hand, receiver)
    dewi = staff("replay_webhook")

    cases: list[tuple[dict[str, Any], set[UUID]]] = [
        ({"merchant": hand.merchant.pk}, {first.id, second.id, declined.id}),
        ({"merchant": hand.merchant.pk, "payment": str(second.id)}, {second.id}),
        ({"merchant": hand.merchant.pk, "status": "declined"}, {declined.id}),
        ({"merchant": stranger.pk}, set()),
        ({"merchant": stranger.pk, "payment": str(first.id)}, set()),
    ]
    for narrowed, expected in cases:
        WebhookReplay.objects.all().delete()
        asked = {**narrowed, "reason": "a day was lost"}
        seen = dewi.post(REPLAY, asked).context["form"].data["seen"]
        dewi.post(REPLAY, {**asked, "seen": seen})
        sent = WebhookDelivery.objects.filter(replay__in=WebhookReplay.objects.all())
        assert set(sent.values_list("message__payment_id", flat=True)) == expected, narrowed


def test_an_endpoint_is_disabled_and_enabled_for_a_reason(
    hand: Hand, receiver: Receiver, staff: Callable[..., Client]
) -> None:
    endpoint = told(hand, receiver)
    dewi = staff("change_webhookendpoint")

    dewi.post(reverse("admin:webhook_disable", args=[endpoint.id]), {"reason": "they asked for it"})
    endpoint.refresh_from_db()
    assert endpoint.disabled_reason == "by_staff"
    dewi.post(reverse("admin:webhook_enable", args=[endpoint.id]), {"reason": "they are ready"})
    endpoint.refresh_from_db()

    assert endpoint.disabled_at is None
    assert {row.action for row in Record.objects.filter(kind="transactions.webhookendpoint")} == {
        "disable_webhook_endpoint",
        "enable_webhook_endpoint",
    }


def test_what_cannot_be_written_down_is_not_done(
    hand: Hand, receiver: Receiver, staff: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = told(hand, receiver)
    payment = approved(hand)
    deliver()
    dewi = staff("replay_webhook", "change_webhookendpoint")
    asked = {"merchant": hand.merchant.pk, "payment": str(payment.id), "reason": "a day was lost"}
    seen = dewi.post(REPLAY, asked).context["form"].data["seen"]
    for page in (replays, webhooks):
        monkeypatch.setattr(page, "record", killed)

    with pytest.raises(Killed):
        dewi.post(REPLAY, {**asked, "seen": seen})
    with pytest.raises(Killed):
        dewi.post(reverse("admin:webhook_disable", args=[endpoint.id]), {"reason": "they asked for it"})

    endpoint.refresh_from_db()
    assert endpoint.disabled_at is None
    assert not WebhookReplay.objects.exists()
    assert WebhookDelivery.objects.count() == 1


def test_who_only_looks_can_send_and_change_nothing(
    hand: Hand, receiver: Receiver, staff: Callable[..., Client]
) -> None:
    endpoint = told(hand, receiver)
    approved(hand)
    deliver()
    dewi = staff()
    refused = [
        reverse("admin:webhook_resend", args=[WebhookDelivery.objects.get().pk]),
        reverse("admin:webhook_disable", args=[endpoint.id]),
        REPLAY,
    ]
    assert [dewi.post(address, {"reason": "I want to"}).status_code for address in refused] == [403, 403, 403]
    assert len(receiver.received) == 1


def test_no_page_shows_a_secret(hand: Hand, receiver: Receiver, staff: Callable[..., Client]) -> None:
    endpoint, secret = endpoints.create(hand.merchant.pk, Wanted(receiver.url), actor="api:test")

    assert secret not in text(staff("change_webhookendpoint").get(page_of(endpoint)))


def test_an_empty_list_says_that_it_is_empty_unless_it_was_narrowed(hand: Hand, staff: Callable[..., Client]) -> None:
    dewi, deliveries = staff(), reverse("admin:transactions_webhookdelivery_changelist")

    assert "There is nothing among the webhook deliveries now." in text(dewi.get(deliveries))
    for narrowed in ({"state__exact": "delivered"}, {"q": "7"}):
        assert "Nothing fits this search and these filters." in text(dewi.get(deliveries, narrowed))
