"""`GET payments`: filters that all hold together, pages that never look through everything, cursors that are ours."""

import uuid
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from django.test import Client

from processor import links
from tests.integration.conftest import Hand
from tests.integration.test_api import is_problem, key_of
from transactions import paging, services
from transactions.api import auth
from transactions.domain.values import Operation, ReasonCode
from transactions.following import FollowUp, follow
from transactions.models import Merchant, Payment


@pytest.fixture(autouse=True)
def nothing_remembered() -> None:
    auth._remembered.clear()
    links._remembered_live.clear()


@pytest.fixture
def api(hand: Hand) -> Client:
    return Client(headers={"Authorization": f"Bearer {key_of(hand.merchant, 'read')}"})


@pytest.fixture
def payments(hand: Hand) -> dict[str, Payment]:
    """Some of each, and another merchant's that fit as well."""
    made = {
        "big": hand.accept(5000, "big", reference="order-1", lane="a"),
        "dear": hand.accept(9000, "dear", operation=Operation.AUTHORISATION, pan="5555555555554444"),
        "gone": hand.accept(100, "gone", reference="order-2"),
        "other": hand.accept(100, "other", currency="USD", reference="order-1"),
    }
    services.cancel(made["gone"].id, actor="api:test", reason=ReasonCode.CANCELLED_BY_CLIENT)
    for taken in hand.take():
        hand.answer(taken)
    capture = FollowUp(Operation.CAPTURE, made["dear"].id, 400)
    receipt = follow(
        capture, merchant_id=hand.merchant.id, idempotency_key="part", actor="api:test", request_id="request"
    )
    made["part"] = Payment.objects.get(id=receipt.payment.id)
    mine, hand.merchant = hand.merchant, Merchant.objects.create(name="Toko Buku")
    hand.accept(5000, "big", reference="order-1", lane="a")
    hand.merchant = mine
    return made


def pages(api: Client, query: str) -> Iterator[Any]:
    address: str | None = f"/api/v1/payments?{query}"
    while address:
        response = api.get(address)
        assert response.status_code == 200, response.json()
        yield response.json()["items"]
        address = response.json()["next"]


def listed(api: Client, payments: dict[str, Payment], query: str) -> list[str]:
    names = {str(payment.id): name for name, payment in payments.items()}
    return [names[item["id"]] for items in pages(api, query) for item in items]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "part other gone dear big"),
        ("status=approved", "other dear big"),
        ("status=queued", "part"),
        ("status=cancelled", "gone"),
        ("status=cancelled&reference=order-1", ""),
        ("status=approved&reference=order-1&currency=IDR", "big"),
        ("operation=capture", "part"),
        ("original={dear}", "part"),
        ("original={big}", ""),
        ("card_last4=4444", "part dear"),
        ("card_last4=4444&operation=authorisation", "dear"),
        ("reference=order-1", "other big"),
        ("idempotency_key=gone", "gone"),
        ("lane=a", "big"),
        ("link=bank&currency=USD", "other"),
        ("link=elsewhere", ""),
        ("amount_from=5000", "dear big"),
        ("amount_from=400&amount_to=5000", "part big"),
    ],
)
@pytest.mark.parametrize("limit", [1, 25])
def test_filters_hold_together(
    api: Client, payments: dict[str, Payment], query: str, expected: str, limit: int
) -> None:
    ids = {name: payment.id for name, payment in payments.items()}

    assert listed(api, payments, f"{query.format(**ids)}&limit={limit}") == expected.split()


def test_a_span_of_time_begins_with_its_first_moment_and_ends_before_its_last(
    api: Client, payments: dict[str, Payment]
) -> None:
    since, until = quote(payments["dear"].created_at.isoformat()), quote(payments["other"].created_at.isoformat())

    assert listed(api, payments, f"created_from={since}&created_to={until}") == ["gone", "dear"]
    later = quote((payments["part"].created_at + timedelta(days=2)).isoformat())
    assert listed(api, payments, f"created_from={later}") == []


@pytest.mark.parametrize("query", ["status=approved", "status=cancelled", "lane=a", "reference=order-1", ""])
def test_a_long_way_is_gone_in_stretches(
    api: Client, payments: dict[str, Payment], query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = listed(api, payments, query)
    monkeypatch.setattr(paging, "STRETCH", 1)
    monkeypatch.setattr(paging, "SELDOM_STRETCH", 1)

    found = list(pages(api, query))

    names = {str(payment.id): name for name, payment in payments.items()}
    assert [names[item["id"]] for items in found for item in items] == everything
    assert all(len(items) <= 1 for items in found)


@pytest.mark.parametrize(
    "query",
    [
        "colour=red",
        "status=lost",
        "status=approved&status=declined",
        "currency=idr",
        "card_last4=12345",
        "card_last4=%D9%A1%D9%A2%D9%A3%D9%A4",
        "original=1",
        "amount_from=-1",
        "amount_to=1.5",
        "amount_to=9999999999999",
        "created_from=yesterday",
        "created_from=2026-11-21T00:00:00",
        "created_to=0001-01-01T00:00:00Z",
        "reference=",
        "lane=%00",
        "limit=101",
    ],
)
def test_what_is_no_filter_is_400_and_not_repeated(api: Client, query: str) -> None:
    response = api.get(f"/api/v1/payments?{query}")

    assert is_problem(response, 400, "parameter")
    value = query.partition("=")[2]
    assert not value or len(value) < 4 or value not in response.json()["detail"]


@pytest.mark.parametrize("cursor", ["", "x", str(uuid.uuid4()), "ImEi:1vLr4b:x"])
def test_a_cursor_that_is_not_ours_is_400(api: Client, cursor: str) -> None:
    assert is_problem(api.get(f"/api/v1/payments?cursor={cursor}"), 400, "cursor")
