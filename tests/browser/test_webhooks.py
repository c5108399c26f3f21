"""Webhooks in a browser: what was told once is told again, and the receiver knows it."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import SignIn
from tests.browser.console import Console
from tests.browser.house import House
from tests.browser.steps import answer_to, page_of
from tests.receiver import Receiver, receiving
from tests.stack import wait_until

REPLAYS = "/admin/transactions/webhookreplay/"


@pytest.fixture
def receiver(house: House) -> Iterator[Receiver]:
    """Somebody who is told of every end, until the story is over."""
    with receiving() as listening, house.client() as client:
        made = client.post("/webhook-endpoints", json={"url": listening.url})
        assert made.status_code == 201, made.text
        yield listening
        client.delete(f"/webhook-endpoints/{made.json()['id']}")


def told(house: House, receiver: Receiver) -> dict[str, Any]:
    """Return a payment whose end the receiver was told."""
    payment = house.pay(125_000, wait_s=20)
    wait_until(lambda: receiver.received, 20, "the webhook came")
    return payment


def test_a_webhook_is_replayed_to_a_receiver_that_knows_it_by_its_id(
    operator: Console, house: House, receiver: Receiver
) -> None:
    payment = told(house, receiver)
    page = operator.page

    operator.open(REPLAYS)
    page.get_by_role("link", name="Add webhook replay").first.click()
    page.get_by_label("Merchant").select_option(label="Demo Merchant")
    page.get_by_label("Only this payment").fill(payment["id"])
    page.get_by_label("Why?").fill("the merchant lost a disk")
    page.get_by_role("button", name="Look what that would send").click()
    expect(page.get_by_text("Payments: 1. Enabled endpoints: 1.")).to_be_visible()
    assert operator.stumbles() == []
    assert len(receiver.received) == 1
    page.get_by_role("button", name="Send them once more").click()

    expect(page.get_by_text("1 payment, 1 delivery").first).to_be_visible()
    wait_until(lambda: len(receiver.received) == 2, 20, "it came once more")
    first, again = receiver.received
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.body == again.body
    operator.open(page_of(payment))
    expect(operator.page.locator(".fm-story")).to_contain_text("by operator")


def test_one_delivery_is_sent_once_more_from_its_page(operator: Console, house: House, receiver: Receiver) -> None:
    payment = told(house, receiver)

    operator.open(f"/admin/transactions/webhookdelivery/?q={payment['id']}")
    rows = operator.page.locator("#result_list tbody tr")
    expect(rows).to_have_count(1)
    rows.get_by_role("link").first.click()
    operator.page.get_by_role("link", name="Send once more").click()
    operator.page.get_by_label("Why?").fill("they ask for it")
    operator.page.get_by_role("button", name="Send once more").click()

    expect(operator.page.get_by_text("It is on its way once more").first).to_be_visible()
    wait_until(lambda: len(receiver.received) == 2, 20, "it came once more")
    assert len({request.headers["webhook-id"] for request in receiver.received}) == 1


def test_who_only_looks_is_offered_no_replay_and_refused_it(sign_in: SignIn, house: House, receiver: Receiver) -> None:
    payment = told(house, receiver)
    query = "SELECT d.id FROM transactions_webhookdelivery d JOIN transactions_webhookmessage m ON m.id = d.message_id"
    delivery = house.sql(f"{query} WHERE m.payment_id = %s", payment["id"])[0].id
    doors = [f"{REPLAYS}add/", f"/admin/transactions/webhookdelivery/{delivery}/resend/"]
    assert {answer_to(sign_in("operator"), door) for door in doors} == {200}

    for role in ("viewer", "auditor"):
        looker = sign_in(role)
        looker.open(REPLAYS)
        expect(looker.page.get_by_role("link", name="Add webhook replay")).to_have_count(0)
        looker.open(f"/admin/transactions/webhookdelivery/{delivery}/change/")
        expect(looker.page.get_by_role("link", name="Send once more")).to_have_count(0)
        assert {answer_to(looker, door) for door in doors} == {403}
