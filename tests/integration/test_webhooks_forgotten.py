"""Webhooks that ended long ago are forgotten; what is still to be delivered, and who replayed what, never."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from tests.integration.conftest import Hand
from tests.receiver import Receiver, receiving
from transactions import recovery
from transactions.models import Payment, WebhookAttempt, WebhookDelivery, WebhookMessage, WebhookReplay
from transactions.webhooks import endpoints, forgetting, replaying
from transactions.webhooks.delivering import deliver
from transactions.webhooks.endpoints import Wanted
from transactions.webhooks.errors import UnknownDelivery
from transactions.webhooks.replaying import Filters


@pytest.fixture(autouse=True)
def on_this_machine(settings: Any) -> None:
    """Receivers listen on loopback; a month is kept."""
    settings.WEBHOOK_PRIVATE_ADDRESSES = True
    settings.WEBHOOK_DAYS = 30


@pytest.fixture
def receiver(hand: Hand) -> Iterator[Receiver]:
    """Somebody who is told everything, and takes it."""
    with receiving() as listening:
        endpoints.create(hand.merchant.pk, Wanted(listening.url), actor="api:test")
        yield listening


def told(hand: Hand) -> WebhookDelivery:
    """A payment that ended, and was told of."""
    hand.accept()
    hand.answer(hand.take()[0])
    deliver()
    return WebhookDelivery.objects.latest("id")


def age(days: float, **which: Any) -> None:
    """Let deliveries have been made, and have ended, so long ago."""
    then = timezone.now() - timedelta(days=days)
    which = which or {"id__gt": 0}
    WebhookDelivery.objects.filter(ended_at__isnull=True, **which).update(created_at=then)
    WebhookDelivery.objects.filter(ended_at__isnull=False, **which).update(created_at=then, ended_at=then)


def replayed(hand: Hand) -> WebhookReplay:
    """Everything sent once more, by Dewi."""
    return replaying.replay(hand.merchant.pk, Filters(), actor="staff:dewi", reason="they lost it")


@pytest.mark.usefixtures("receiver")
def test_old_deliveries_go_with_their_tries_and_messages_and_young_ones_stay(hand: Hand) -> None:
    old, young = told(hand), told(hand)
    age(30.1, id=old.pk)
    age(29.9, id=young.pk)

    recovery.recover()

    assert WebhookDelivery.objects.get().pk == young.pk
    assert WebhookAttempt.objects.get().delivery_id == young.pk
    assert WebhookMessage.objects.get().pk == young.message_id
    assert Payment.objects.count() == 2


@pytest.mark.usefixtures("receiver")
@pytest.mark.parametrize("state", ["pending", "sending"])
def test_what_is_still_to_be_delivered_is_never_forgotten(hand: Hand, state: str) -> None:
    delivery = told(hand)
    WebhookDelivery.objects.update(state=state, ended_at=None)
    age(400)

    assert forgetting.forget() == 0
    assert WebhookDelivery.objects.get().pk == delivery.pk
    assert WebhookMessage.objects.exists()


def test_a_message_is_kept_while_another_delivery_needs_it(hand: Hand, receiver: Receiver) -> None:
    delivery = told(hand)
    age(31)
    replaying.replay(hand.merchant.pk, Filters(), actor="staff:dewi", reason="they lost it")

    assert forgetting.forget() == 1
    deliver()

    assert [request.headers["webhook-id"] for request in receiver.received] == [f"msg_{delivery.message_id.hex}"] * 2


def test_what_was_forgotten_can_be_replayed_all_the_same(hand: Hand, receiver: Receiver) -> None:
    told(hand)
    age(31)
    forgetting.forget()
    assert not WebhookMessage.objects.exists()

    made = replayed(hand)
    deliver()

    assert (made.deliveries, replaying.outcome(made)) == (1, {"delivered": 1})
    assert len(receiver.received) == 2


@pytest.mark.usefixtures("receiver")
def test_a_replay_keeps_what_came_of_it(hand: Hand) -> None:
    for _ in range(3):
        told(hand)
    made = replayed(hand)
    deliver()
    ids = list(WebhookDelivery.objects.filter(replay=made).order_by("id").values_list("id", flat=True))
    WebhookDelivery.objects.filter(id=ids[0]).update(state="exhausted")
    age(31, id__in=ids[:2])

    assert forgetting.forget() == 2
    made.refresh_from_db()
    assert replaying.outcome(made) == {"delivered": 2, "exhausted": 1}
    age(31, id=ids[2])
    forgetting.forget()
    made.refresh_from_db()
    assert replaying.outcome(made) == {"delivered": 2, "exhausted": 1}
    assert (made.actor, made.reason) == ("staff:dewi", "they lost it")


@pytest.mark.usefixtures("receiver")
def test_a_run_forgets_no_more_than_its_batches(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "_BATCH", 2)
    monkeypatch.setattr(forgetting, "_BATCHES", 2)
    for _ in range(5):
        told(hand)
    age(31)

    assert [forgetting.forget() for _ in range(3)] == [4, 1, 0]


@pytest.mark.usefixtures("receiver")
def test_a_message_that_somebody_is_sending_again_is_not_forgotten(hand: Hand) -> None:
    delivery = told(hand)
    age(31)
    with transaction.atomic():
        replayed(hand)
        forgetter = threading.Thread(target=forget_apart)
        forgetter.start()
        forgetter.join(10)
        assert not forgetter.is_alive()

    assert WebhookDelivery.objects.get().message_id == delivery.message_id
    assert WebhookMessage.objects.get().pk == delivery.message_id


@pytest.mark.usefixtures("receiver")
def test_what_is_forgotten_cannot_be_sent_again(hand: Hand) -> None:
    delivery = told(hand)
    age(31)
    forgetting.forget()

    with pytest.raises(UnknownDelivery):
        replaying.resend(hand.merchant.pk, delivery.endpoint_id, delivery.pk, actor="staff:dewi")
    assert not WebhookReplay.objects.exists()


def test_nothing_is_written_about_payments_of_which_nobody_wants_to_hear(hand: Hand) -> None:
    hand.accept()
    hand.answer(hand.take()[0])

    assert replayed(hand).deliveries == 0
    assert not WebhookMessage.objects.exists()


def forget_apart() -> None:
    """Forget, on a connection of another."""
    forgetting.forget()
    connection.close()
