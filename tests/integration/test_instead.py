"""In place of a page that somebody does not get: what happened, that nothing was changed, and where to go on."""

import pytest
from django.test import Client
from django.urls import reverse

from staff.models import Record
from tests.integration.conftest import Hand
from tests.integration.test_roles import sign_in

DESK = f'href="{reverse("admin:index")}"'


def test_what_is_not_open_to_a_role_says_so_and_whom_to_ask(hand: Hand) -> None:
    page = sign_in("vera", "viewer").get(reverse("admin:auth_user_changelist"))

    assert page.status_code == 403
    for said in ("not open to you, and nothing was changed", "ask a security officer", DESK):
        assert said in page.content.decode()


@pytest.mark.parametrize("path", ["nowhere/", "transactions/payment/nonsense/change/"])
def test_what_is_not_there_says_what_to_search_for(hand: Hand, path: str) -> None:
    page = sign_in("vera", "viewer").get(f"/admin/{path}")

    assert page.status_code == 404
    for said in ("There is nothing at this address", "A payment is never removed", DESK):
        assert said in page.content.decode()


def test_a_form_from_before_the_last_sign_in_changes_nothing_and_says_so(hand: Hand) -> None:
    payment = hand.accept()
    client = sign_in("olga", "operator")
    client.handler.enforce_csrf_checks = True
    where = reverse("admin:payment_cancel", args=[payment.id])

    page = client.post(where, {"reason": "the shop closed", "csrfmiddlewaretoken": "an older one"})

    assert page.status_code == 403
    assert "This page was too old, and nothing was changed" in page.content.decode()
    payment.refresh_from_db()
    assert payment.status == "queued"
    assert Record.objects.filter(who="olga", result="refused", subject=where).exists()


def test_nor_does_an_old_page_for_signing_in(hand: Hand) -> None:
    page = Client(enforce_csrf_checks=True).post(reverse("admin:login"), {"username": "olga", "password": "x"})

    assert page.status_code == 403
    for said in ("This page was too old", "Sign in", DESK):
        assert said in page.content.decode()


def test_a_bug_of_ours_says_what_it_means_for_the_money(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    client = sign_in("olga", "operator")
    client.raise_request_exception = False
    monkeypatch.setattr("transactions.admin.desk.attention.items", None)

    page = client.get(reverse("admin:index"))

    assert page.status_code == 500
    assert "either done as a whole or not at all" in page.content.decode()


@pytest.mark.parametrize("name", ["admin:payment_keep_search", "report_settlement_ask"])
def test_the_address_of_a_form_leads_to_its_page(hand: Hand, name: str) -> None:
    page = sign_in("olga", "operator").get(reverse(name), follow=True)

    assert (page.status_code, len(page.redirect_chain)) == (200, 1)
