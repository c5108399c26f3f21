"""API keys made, changed, replaced and revoked by two people; the secret goes to the second one, once."""

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import structlog
from django.contrib.auth.models import Group, User
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from staff.models import Record, Request
from tests.integration.conftest import Hand
from transactions.api import auth
from transactions.models import ApiKey


@pytest.fixture(autouse=True)
def nothing_is_remembered() -> Iterator[None]:
    """Keys are looked up anew."""
    auth._remembered.clear()
    yield
    auth._remembered.clear()


def officer(name: str) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.groups.set([Group.objects.get(name="security officer")])
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def nina(hand: Hand) -> Client:
    """Who asks."""
    return officer("nina")


@pytest.fixture
def omar(hand: Hand) -> Client:
    """Who agrees."""
    return officer("omar")


@pytest.fixture
def key(hand: Hand) -> tuple[ApiKey, str]:
    """A till's key, with its secret."""
    made: tuple[Any, str] = ApiKey.objects.create_key(name="till", merchant=hand.merchant, scopes=["read"])
    return made


def ask(client: Client, key: ApiKey, what: str, **given: Any) -> Any:
    where = reverse(f"admin:api_key_{what}", args=[key.pk])
    return client.post(where, {"reason": "it is a year old", **given}, follow=True)


def decide(client: Client, decision: str = "approve") -> Any:
    where = reverse("admin:staff_request_decide", args=[Request.objects.latest("id").pk])
    return client.post(where, {"decision": decision, "note": "seen"})


def works(secret: str) -> bool:
    auth._remembered.clear()
    return bool(Client().get("/api/v1/payments", headers={"Authorization": f"Bearer {secret}"}).status_code == 200)


def secret_in(response: Any) -> str:
    found = re.search(r'class="fm-secret">([^<]+)<', response.content.decode())
    return found.group(1) if found else ""


def test_nobody_replaces_a_key_alone(nina: Client, key: tuple[ApiKey, str]) -> None:
    page = ask(nina, key[0], "replace", overlap_hours=0).content.decode()

    assert "Nothing happens until somebody else agrees" in page
    assert "nina asked for it" in page
    refused = decide(nina)
    assert refused.status_code == 403
    assert "somebody else has to agree" in refused.content.decode()
    assert ApiKey.objects.count() == 1
    assert works(key[1])


def test_the_secret_is_shown_once_to_who_agrees(nina: Client, omar: Client, key: tuple[ApiKey, str]) -> None:
    ask(nina, key[0], "replace", overlap_hours=0)

    with structlog.testing.capture_logs() as logs:
        response = decide(omar)

    secret = secret_in(response)
    assert works(secret)
    assert not works(key[1])
    assert "no-store" in response["Cache-Control"]
    assert secret not in str(logs)
    assert secret not in str(response.cookies)
    asked = Request.objects.get()
    again = nina.get(reverse("admin:staff_request_change", args=[asked.pk])).content.decode()
    assert secret not in again + omar.get(reverse("admin:staff_request_change", args=[asked.pk])).content.decode()
    assert secret not in str(list(Record.objects.values()) + list(Request.objects.values()))
    assert secret not in str([session.get_decoded() for session in Session.objects.all()])


def test_the_new_key_may_what_the_old_one_might(nina: Client, omar: Client, key: tuple[ApiKey, str]) -> None:
    ApiKey.objects.update(created=timezone.now() - timedelta(days=300), expiry_date=timezone.now() + timedelta(days=65))
    ask(nina, key[0], "replace", overlap_hours=0)
    decide(omar)

    made = ApiKey.objects.exclude(pk=key[0].pk).get()
    assert (made.name, made.merchant, made.scopes) == ("till", key[0].merchant, ["read"])
    assert made.expiry_date is not None
    assert (made.expiry_date - timezone.now()).days in (364, 365)


def test_both_work_for_as_long_as_was_asked(nina: Client, omar: Client, key: tuple[ApiKey, str]) -> None:
    ask(nina, key[0], "replace", overlap_hours=24)
    assert (
        "one day" in omar.get(reverse("admin:staff_request_change", args=[Request.objects.get().pk])).content.decode()
    )
    secret = secret_in(decide(omar))

    assert works(secret)
    assert works(key[1])
    ApiKey.objects.filter(pk=key[0].pk).update(expiry_date=timezone.now() - timedelta(seconds=1))
    assert not works(key[1])


def test_an_overlap_never_prolongs_a_key(nina: Client, omar: Client, key: tuple[ApiKey, str]) -> None:
    soon = timezone.now() + timedelta(hours=1)
    ApiKey.objects.update(expiry_date=soon)
    ask(nina, key[0], "replace", overlap_hours=24)
    decide(omar)

    assert ApiKey.objects.get(pk=key[0].pk).expiry_date == soon


def test_a_revoked_key_is_refused_and_the_audit_says_by_whom(
    nina: Client, omar: Client, key: tuple[ApiKey, str]
) -> None:
    ask(nina, key[0], "revoke")
    assert works(key[1])

    assert secret_in(decide(omar)) == ""

    assert not works(key[1])
    told = list(Record.objects.filter(action="revoke_api_key").order_by("id").values_list("who", "result"))
    assert told == [("nina", "asked"), ("omar", "approved"), ("nina", "done")]
    assert Request.objects.get().outcome == f"{key[0].prefix} is revoked."


def test_what_is_revoked_meanwhile_is_not_replaced(nina: Client, omar: Client, key: tuple[ApiKey, str]) -> None:
    ask(nina, key[0], "replace", overlap_hours=0)
    ApiKey.objects.update(revoked=True)

    assert secret_in(decide(omar)) == ""

    assert (Request.objects.get().state, ApiKey.objects.count()) == ("failed", 1)
    assert "revoked already" in ask(nina, key[0], "revoke").content.decode()


def test_no_form_changes_a_key(nina: Client, key: tuple[ApiKey, str]) -> None:
    where = reverse("admin:transactions_apikey_change", args=[key[0].pk])
    given = {"name": "till 2", "merchant": key[0].merchant_id, "scopes": ["pay"], "revoked": "on"}

    assert nina.post(where, given).status_code == 403

    kept = ApiKey.objects.get()
    assert (kept.name, kept.revoked, kept.scopes) == ("till", False, ["read"])


def ask_for_new(client: Client, hand: Hand, **given: Any) -> str:
    wanted = {"name": "till 2", "merchant": hand.merchant.pk, "scopes": ["read", "pay"], "reason": "a second till"}
    response: Any = client.post(reverse("admin:transactions_apikey_add"), {**wanted, **given}, follow=True)
    return str(response.content.decode())


def test_a_new_key_is_made_by_two_and_its_secret_shown_once(nina: Client, omar: Client, hand: Hand) -> None:
    page = ask_for_new(nina, hand)
    for said in ("Nothing happens until somebody else agrees", "till 2", "read payments, post and cancel payments"):
        assert said in page
    assert "somebody else has to agree" in decide(nina).content.decode()
    assert not ApiKey.objects.exists()

    response = decide(omar)

    secret, made = secret_in(response), ApiKey.objects.get()
    assert works(secret)
    assert (made.name, made.merchant, made.scopes, made.expiry_date) == ("till 2", hand.merchant, ["read", "pay"], None)
    assert "no-store" in response["Cache-Control"]
    assert secret not in str(response.cookies)
    assert secret not in str(list(Record.objects.values()) + list(Request.objects.values()))
    told = list(Record.objects.filter(action="make_api_key").order_by("id").values_list("who", "result"))
    assert told == [("nina", "asked"), ("nina", "refused"), ("omar", "approved"), ("nina", "done")]


def test_a_key_that_would_have_expired_is_not_made(nina: Client, omar: Client, hand: Hand) -> None:
    assert "That is past." in ask_for_new(nina, hand, expiry_date_0="2020-01-01", expiry_date_1="00:00")
    ask_for_new(nina, hand, expiry_date_0="2099-01-01", expiry_date_1="00:00")
    asked = Request.objects.get()
    Request.objects.update(parameters={**asked.parameters, "expiry_date": "2020-01-01T00:00:00+00:00"})

    assert secret_in(decide(omar)) == ""

    assert (Request.objects.get().state, ApiKey.objects.count()) == ("failed", 0)


def test_what_a_key_may_is_changed_by_two(nina: Client, omar: Client, key: tuple[ApiKey, str]) -> None:
    assert "nina asked for it" in ask(nina, key[0], "scopes", scopes=["webhooks"]).content.decode()
    assert works(key[1])

    decide(omar)

    assert ApiKey.objects.get().scopes == ["webhooks"]
    assert not works(key[1])


def test_scopes_that_changed_meanwhile_stay(nina: Client, omar: Client, key: tuple[ApiKey, str]) -> None:
    assert "may do just this already" in ask(nina, key[0], "scopes", scopes=["read"]).content.decode()
    ask(nina, key[0], "scopes", scopes=["read", "operate"])
    ApiKey.objects.update(scopes=["pay"])

    decide(omar)

    assert (Request.objects.get().state, ApiKey.objects.get().scopes) == ("failed", ["pay"])


def test_one_request_about_a_key_at_a_time(nina: Client, key: tuple[ApiKey, str]) -> None:
    ask(nina, key[0], "revoke")

    assert "asked for already" in ask(nina, key[0], "revoke").content.decode()
    assert Request.objects.count() == 1


def test_a_secret_is_in_no_row_of_the_database(nina: Client, omar: Client, key: tuple[ApiKey, str]) -> None:
    ask(nina, key[0], "replace", overlap_hours=72)
    secret = secret_in(decide(omar))
    assert secret

    with connection.cursor() as cursor:
        for table in ("staff_request", "staff_record", "transactions_apikey", "django_session", "django_admin_log"):
            cursor.execute(f"SELECT count(*) FROM {table} t WHERE t::text LIKE %s", [f"%{secret.partition('.')[2]}%"])
            assert cursor.fetchone() == (0,), table
