"""Webhook endpoints as a client keeps them over the API."""

import socket
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from tests.integration.conftest import Hand
from tests.receiver import Receiver, answering, receiving, resolving_to
from transactions.api import auth, throttle
from transactions.models import ApiKey, Merchant, WebhookDelivery, WebhookEndpoint, WebhookReplay
from transactions.webhooks.delivering import deliver

ENDPOINTS = "/api/v1/webhook-endpoints"


def client_of(merchant: Merchant, *scopes: str) -> Client:
    """A client with a key of a merchant."""
    key = ApiKey.objects.create_key(name="test", merchant=merchant, scopes=list(scopes))[1]
    return Client(headers={"Authorization": f"Bearer {key}"})


@pytest.fixture(autouse=True)
def here(settings: Any) -> None:
    """Receivers listen on loopback; no key is remembered."""
    settings.WEBHOOK_PRIVATE_ADDRESSES = True
    auth._remembered.clear()
    throttle._buckets.clear()


@pytest.fixture
def api(hand: Hand) -> Client:
    """The merchant's client."""
    return client_of(hand.merchant, "read", "webhooks")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Somebody who takes everything."""
    with receiving() as listening:
        yield listening


def made(api: Client, url: str, **more: Any) -> dict[str, Any]:
    """An endpoint, made."""
    response = api.post(ENDPOINTS, {"url": url, **more}, content_type="application/json")
    assert response.status_code == 201, response.content
    assert response["Location"] == f"{ENDPOINTS}/{response.json()['id']}"
    return dict(response.json())


def patched(api: Client, endpoint: dict[str, Any], **changes: Any) -> Any:
    """An endpoint, changed."""
    return api.patch(f"{ENDPOINTS}/{endpoint['id']}", changes, content_type="application/json")


def test_a_secret_is_shown_once_and_verifies(api: Client, receiver: Receiver) -> None:
    endpoint = made(api, receiver.url, description="the shop")
    assert endpoint["secret"].startswith("whsec_")
    shown = api.get(f"{ENDPOINTS}/{endpoint['id']}").json()
    assert ("secret" in shown, shown["enabled"], shown["description"]) == (False, True, "the shop")
    assert api.get(ENDPOINTS).json()["items"] == [shown]

    delivery = api.post(f"{ENDPOINTS}/{endpoint['id']}/test")
    assert (delivery.status_code, delivery.json()["state"]) == (202, "pending")
    deliver()

    assert receiver.received[0].verified(endpoint["secret"])["type"] == "webhook.test"
    (listed,) = api.get(f"{ENDPOINTS}/{endpoint['id']}/deliveries").json()["items"]
    assert (listed["state"], listed["webhook_id"]) == ("delivered", receiver.received[0].headers["webhook-id"])
    assert [attempt["response_code"] for attempt in listed["attempts"]] == [204]


def test_a_rotated_secret_overlaps(api: Client, receiver: Receiver) -> None:
    endpoint = made(api, receiver.url)
    address = f"{ENDPOINTS}/{endpoint['id']}/rotate-secret"
    rotated = api.post(address, {"overlap_seconds": 3600}, content_type="application/json").json()
    assert rotated["previous_secret_until"] is not None
    api.post(f"{ENDPOINTS}/{endpoint['id']}/test")
    deliver()

    for secret in (endpoint["secret"], rotated["secret"]):
        receiver.received[0].verified(secret)


def test_a_disabled_endpoint_is_told_nothing_until_it_is_enabled(hand: Hand, api: Client, receiver: Receiver) -> None:
    endpoint = made(api, receiver.url)
    disabled = patched(api, endpoint, enabled=False).json()
    assert (disabled["enabled"], disabled["disabled_reason"]) == (False, "by_client")
    assert api.post(f"{ENDPOINTS}/{endpoint['id']}/test").status_code == 409
    hand.accept()
    hand.answer(hand.take()[0])
    assert not WebhookDelivery.objects.exists()

    assert patched(api, endpoint, enabled=True, event_types=["payment.declined"]).json()["enabled"] is True
    hand.accept()
    hand.answer(hand.take()[0], "51")
    assert WebhookDelivery.objects.count() == 1


def test_a_deleted_endpoint_is_not_there_any_more(api: Client, receiver: Receiver) -> None:
    endpoint = made(api, receiver.url)

    assert api.delete(f"{ENDPOINTS}/{endpoint['id']}").status_code == 204

    assert api.get(f"{ENDPOINTS}/{endpoint['id']}").status_code == 404
    assert api.get(ENDPOINTS).json()["items"] == []
    assert WebhookEndpoint.objects.count() == 1


def test_a_webhook_is_sent_once_more_with_the_same_id_and_a_record(hand: Hand, api: Client, receiver: Receiver) -> None:
    endpoint = made(api, receiver.url)
    hand.accept()
    hand.answer(hand.take()[0])
    deliver()
    (listed,) = api.get(f"{ENDPOINTS}/{endpoint['id']}/deliveries?state=delivered").json()["items"]

    again = api.post(f"{ENDPOINTS}/{endpoint['id']}/deliveries/{listed['id']}/resend")
    deliver()

    assert (again.status_code, again.json()["webhook_id"]) == (202, listed["webhook_id"])
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1
    assert len(receiver.received) == 2
    assert WebhookReplay.objects.get().actor.startswith("api:")


def test_deliveries_come_in_pages(api: Client, receiver: Receiver) -> None:
    endpoint = made(api, receiver.url)
    receiver.manner = answering(500)
    for _ in range(27):
        api.post(f"{ENDPOINTS}/{endpoint['id']}/test")

    first = api.get(f"{ENDPOINTS}/{endpoint['id']}/deliveries").json()
    second = api.get(first["next"]).json()

    assert (len(first["items"]), len(second["items"]), second["next"]) == (25, 2, None)
    assert api.get(f"{ENDPOINTS}/{endpoint['id']}/deliveries?cursor=forged").status_code == 400
    assert api.get(f"{ENDPOINTS}/{endpoint['id']}/deliveries?state=lost").status_code == 400


def test_another_merchants_endpoint_is_not_found(api: Client, receiver: Receiver) -> None:
    endpoint = made(api, receiver.url)
    delivery = api.post(f"{ENDPOINTS}/{endpoint['id']}/test").json()
    stranger = client_of(Merchant.objects.create(name="Toko Sebelah"), "webhooks")
    own = made(stranger, receiver.url)
    address = f"{ENDPOINTS}/{endpoint['id']}"

    answers = [
        stranger.get(address),
        patched(stranger, endpoint, enabled=False),
        stranger.delete(address),
        stranger.post(f"{address}/rotate-secret", {}, content_type="application/json"),
        stranger.post(f"{address}/test"),
        stranger.get(f"{address}/deliveries"),
        stranger.post(f"{address}/deliveries/{delivery['id']}/resend"),
        stranger.post(f"{ENDPOINTS}/{own['id']}/deliveries/{delivery['id']}/resend"),
        stranger.get(f"{ENDPOINTS}/{uuid.uuid4()}"),
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert {answer["Content-Type"] for answer in answers} == {"application/problem+json"}


def test_a_key_needs_the_scope(hand: Hand) -> None:
    assert client_of(hand.merchant, "read", "pay", "operate").get(ENDPOINTS).status_code == 403


@pytest.mark.parametrize(
    ("body", "pointer", "code"),
    [
        ({}, "/url", "required"),
        ({"url": 5}, "/url", "type"),
        ({"url": "https://a:b@example.com/"}, "/url", "credentials"),
        ({"url": "gopher://example.com/"}, "/url", "url"),
        ({"url": "http://127.0.0.1:22/"}, "/url", "port"),
        ({"url": "https://example.com/", "event_types": ["payment.lost"]}, "/event_types", "choice"),
        ({"url": "https://example.com/", "event_types": "payment.approved"}, "/event_types", "type"),
        ({"url": "https://example.com/", "secret": "mine"}, "/secret", "unknown_field"),
    ],
)
def test_what_is_no_endpoint_is_refused_with_its_place(
    api: Client, body: dict[str, Any], pointer: str, code: str
) -> None:
    response = api.post(ENDPOINTS, body, content_type="application/json")

    assert response.status_code == 422
    assert [(error["pointer"], error["code"]) for error in response.json()["errors"]] == [(pointer, code)]


def test_a_private_address_is_refused_unless_a_setting_allows_it(
    api: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.WEBHOOK_PRIVATE_ADDRESSES = False
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to("169.254.169.254"))

    response = api.post(ENDPOINTS, {"url": "https://metadata.example.com/"}, content_type="application/json")

    assert (response.status_code, response.json()["errors"][0]["code"]) == (422, "private_address")
    assert "metadata" not in response.content.decode(), "no value is repeated"


def test_a_merchant_has_twenty_endpoints_at_most(api: Client, receiver: Receiver) -> None:
    for _ in range(20):
        made(api, receiver.url)

    assert api.post(ENDPOINTS, {"url": receiver.url}, content_type="application/json").status_code == 409
