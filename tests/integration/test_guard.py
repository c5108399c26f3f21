"""The first page of who guards the house: what waits, which keys end soon, whose sign-ins were refused."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from staff import requests
from staff.audit import Actor, Result, record, subject_of
from tests.integration.conftest import Hand
from transactions.models import ApiKey

INDEX = reverse("admin:index")


def sign_in(name: str, role: str) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.groups.set([Group.objects.get(name=role)])
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def nina(hand: Hand) -> Client:
    """A security officer."""
    return sign_in("nina", "security officer")


def desk(client: Client) -> str:
    return str(client.get(INDEX).content.decode())


def key(hand: Hand, name: str, days: int, **more: Any) -> ApiKey:
    ends = timezone.now() + timedelta(days=days)
    made: tuple[Any, str] = ApiKey.objects.create_key(name=name, merchant=hand.merchant, expiry_date=ends, **more)
    key: ApiKey = made[0]
    return key


def ask(maker: str, about: ApiKey) -> None:
    requests.ask("revoke_api_key", subject_of(about), Actor(maker, may=lambda _: True), f"{maker} lost it")


def test_with_nothing_to_do_it_says_so(nina: Client) -> None:
    page = desk(nina)

    for said in ("Nothing waits for you.", "No key expires within 30 days.", "No sign-in was refused"):
        assert said in page


def test_requests_that_others_made_and_nina_decides(nina: Client, hand: Hand) -> None:
    payment = hand.accept()
    ask("omar", key(hand, "till", 90))
    ask("nina", key(hand, "web", 90))
    requests.ask("reverse_payment", subject_of(payment), Actor("opal", may=lambda _: True), "a letter")

    page = desk(nina)

    assert "omar asks: Revocation of an API key" in page
    assert "nina lost it" not in page
    assert "a letter" not in page


def test_keys_that_end_soon_with_where_to_replace_them(nina: Client, hand: Hand) -> None:
    soon, _later, _gone = key(hand, "till", 7), key(hand, "web", 60), key(hand, "old", 3, revoked=True)

    page = desk(nina)

    assert f"{soon.prefix}, till" in page
    assert reverse("admin:api_key_replace", args=[soon.pk]) in page
    assert "web" not in page
    assert ", old" not in page


def test_refused_sign_ins_by_name(nina: Client) -> None:
    for _turn in range(3):
        record("sign_in", Actor("bob"), Result.FAILED)
    record("sign_in", Actor("bob"), Result.REFUSED)
    record("sign_in", Actor("carol"))

    page = desk(nina)

    assert "3 wrong passwords, locked for a while" in page
    assert "/admin/staff/record/?q=bob" in page
    assert "?q=carol" not in page


def test_it_asks_as_much_however_much_there_is(nina: Client, hand: Hand) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as asked:
            desk(nina)
        return len(asked)

    statements()
    before = statements()
    for number in range(30):
        ask("omar", key(hand, f"till {number}", 7))
        record("sign_in", Actor(f"stranger {number}"), Result.FAILED)

    assert statements() == before


def test_who_guards_nothing_and_sees_no_payments_is_told(hand: Hand) -> None:
    User.objects.create_user("dewi", is_staff=True)
    client = Client()
    client.force_login(User.objects.get(username="dewi"), backend="django.contrib.auth.backends.ModelBackend")

    assert "may not see payments" in desk(client)
