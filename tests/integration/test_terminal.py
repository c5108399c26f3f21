"""The training terminal's page: where it is, who gets in, and what it is given."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django.fixtures import Settings

from config.terminal import CARDS
from config.terminal_words import FOR_TRANSLATORS
from processor import links
from processor.codec.describe import CODE_MEANINGS
from processor.keys.store import install
from processor.management.commands.simulator import TEST_BANK, TEST_TPK
from processor.models import Key, Link
from processor.simulator.scenarios import BEHAVIOURS, DECLINES, Behaviour
from staff.masking import luhn_fits
from staff.models import Record
from staff.roles import ROLES
from tests.integration.conftest import Hand
from tests.integration.test_roles import sign_in
from transactions.management.commands.demo import MERCHANT
from transactions.models import ApiKey, Merchant, Payment

PAGE, KEY = reverse("terminal"), reverse("terminal_key")
MAY = {"operator", "supervisor"}


@pytest.fixture
def training(hand: Hand, settings: Settings) -> Merchant:
    """A link under the simulator's key, the demonstration merchant, and the setting."""
    settings.TERMINAL_PAGE = True
    links.configure("bank", {"bank_uuid": TEST_BANK}, [("127.0.0.1", 1)])
    install(Link.objects.get(), Key.Type.TPK, bytes.fromhex(TEST_TPK))
    return Merchant.objects.create(name=MERCHANT)


def given(client: Client) -> dict[str, Any]:
    """What the page's script is given."""
    text = client.get(PAGE).content.decode()
    found = re.search(r'<script id="terminal-given" type="application/json">(.*?)</script>', text)
    assert found
    parsed: dict[str, Any] = json.loads(found[1])
    return parsed


def test_without_the_setting_there_is_nothing_for_anybody(training: Merchant, settings: Settings) -> None:
    settings.TERMINAL_PAGE = False
    operator = sign_in("alice", "operator")

    assert [client.get(PAGE).status_code for client in (operator, Client())] == [404, 404]
    assert operator.post(KEY).status_code == 404
    assert not ApiKey.objects.exists()


def test_it_is_off_unless_somebody_says_so(settings: Settings) -> None:
    assert settings.TERMINAL_PAGE is False


def test_a_stranger_is_asked_to_sign_in(training: Merchant) -> None:
    for answer in (Client().get(PAGE), Client().post(KEY)):
        assert (answer.status_code, answer.headers["Location"].split("?")[0]) == (302, reverse("admin:login"))


@pytest.mark.parametrize("role", sorted(role.name for role in ROLES))
def test_roles(training: Merchant, role: str) -> None:
    client = sign_in("alice", role)

    statuses = client.get(PAGE).status_code, client.post(KEY).status_code

    assert statuses == ((200, 201) if role in MAY else (403, 403))
    refused = Record.objects.filter(who="alice", result="refused").values_list("subject", flat=True)
    assert set(refused) == (set() if role in MAY else {PAGE, KEY})


def test_a_key_pays_and_reads_for_the_demonstration_and_ends_by_itself(training: Merchant) -> None:
    answer = sign_in("alice", "operator").post(KEY)

    made = ApiKey.objects.get()
    assert made.is_valid(answer.json()["key"])
    assert (made.merchant, made.scopes) == (training, ["pay", "read"])
    assert made.expiry_date is not None
    assert timedelta(hours=7) < made.expiry_date - timezone.now() < timedelta(hours=9)
    assert "no-store" in answer.headers["Cache-Control"]
    record = Record.objects.get(who="alice", action="add")
    assert record.subject == str(made.pk)
    assert answer.json()["key"] not in str(record.detail)


def test_keys_that_have_ended_are_cleared_away(training: Merchant) -> None:
    client = sign_in("alice", "operator")
    client.post(KEY)
    ApiKey.objects.update(expiry_date=timezone.now() - timedelta(seconds=1))

    client.post(KEY)

    assert ApiKey.objects.count() == 1


def test_a_key_is_not_made_for_another_sites_form(training: Merchant) -> None:
    operator = sign_in("alice", "operator")
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = operator.cookies

    assert strict.post(KEY).status_code == 403
    assert not ApiKey.objects.exists()


def test_only_our_own_script_runs_beside_a_pin(training: Merchant) -> None:
    answer = sign_in("alice", "operator").get(PAGE)

    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy + ";"
    assert "unsafe" not in policy
    assert re.findall(r"\son\w+=|\sstyle=|<style", answer.content.decode()) == []


def test_no_api_key_is_in_the_page(training: Merchant) -> None:
    client = sign_in("alice", "operator")
    secret = client.post(KEY).json()["key"]

    assert secret not in client.get(PAGE).content.decode()


def test_a_link_under_another_key_has_no_terminal(training: Merchant) -> None:
    other = bytes(range(32))
    install(Link.objects.get(), Key.Type.TPK, other)
    client = sign_in("alice", "operator")

    page = client.get(PAGE).content.decode()

    assert "published PIN key" in page
    assert "terminal-given" not in page
    assert other.hex().upper() not in page.upper()
    assert client.post(KEY).status_code == 409


def test_without_the_demonstration_it_says_what_to_do(hand: Hand, settings: Settings) -> None:
    settings.TERMINAL_PAGE = True
    client = sign_in("alice", "operator")

    assert "manage.py demo" in client.get(PAGE).content.decode()
    assert client.post(KEY).status_code == 409


def test_every_ending_of_the_simulator_is_offered(training: Merchant) -> None:
    page = sign_in("alice", "operator").get(PAGE).content.decode()

    assert set(re.findall(r'data-ending="(\d\d)"', page)) == {"00", *DECLINES, *BEHAVIOURS}


def test_cards_are_such_that_the_api_takes_them(training: Merchant) -> None:
    client = sign_in("alice", "operator")
    secret, handed = client.post(KEY).json()["key"], given(client)

    for number, card in enumerate(handed["cards"]):
        body = {
            "operation": "withdrawal",
            "amount": card["amounts"][0],
            "currency": card["currency"],
            "card": {"pan": card["pan"], "expiry": card["expiry"], "pin_block": "00" * 32},
            "source_account": card["account"],
            "link": handed["link"],
        }
        headers = {"Authorization": f"Bearer {secret}", "Idempotency-Key": f"terminal-{number}"}
        answer = Client().post(handed["payments"], body, content_type="application/json", headers=headers)
        assert answer.status_code == 202, answer.content

    assert all(luhn_fits(card.pan) for card in CARDS)
    assert {payment.merchant for payment in Payment.objects.all()} == {training}
    story = handed["story"].replace("{id}", str(Payment.objects.all()[0].id))
    assert client.get(story).status_code == 200


def test_translators_know_what_the_bank_says() -> None:
    assert {*CODE_MEANINGS.values(), *(behaviour.value for behaviour in Behaviour)} == FOR_TRANSLATORS


def test_the_page_speaks_the_viewers_language(training: Merchant) -> None:
    page = sign_in("alice", "operator").get(PAGE, headers={"Accept-Language": "id"}).content.decode()

    assert '<html lang="id"' in page
    assert "Pilih kartu" in page
    assert "Serahkan uangnya." in page


def test_every_status_has_its_words(training: Merchant) -> None:
    handed = given(sign_in("alice", "operator"))

    assert set(handed["states"]) == {value for value, _ in Payment._meta.get_field("status").choices or ()}
    cash = {status: state["cash"] for status, state in handed["states"].items()}
    assert cash.pop("approved") == "Hand out the money."
    assert set(cash.values()) == {"Do not hand out money."}
