"""A link's key put in by one person, and in force when another agrees; between them wrapped, and in no request."""

from datetime import timedelta
from typing import Any

import pytest
import structlog
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from processor import links
from processor.keys import store
from processor.keys.software import derive, mac_context, terminal_check_value
from processor.models import Key, Link
from staff import requests
from staff.models import Record, Request
from tests.integration.conftest import Hand

OLD, NEW = bytes(range(32)), bytes(range(100, 132))


def officer(name: str) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.groups.set([Group.objects.get(name="security officer")])
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def nina(hand: Hand) -> Client:
    """Who puts the key in; the link has one already."""
    store.install(Link.objects.get(), Key.Type.TSK, OLD)
    return officer("nina")


@pytest.fixture
def omar(hand: Hand) -> Client:
    """Who compares its check value."""
    return officer("omar")


def put_in(client: Client, digits: str = NEW.hex(" "), kind: str = "TSK") -> Any:
    where = reverse("admin:link_key", args=[Link.objects.get().pk, kind])
    return client.post(where, {"key": digits, "reason": "letter 12 of the bank"}, follow=True)


def decide(client: Client, decision: str = "approve") -> str:
    where = reverse("admin:staff_request_decide", args=[Request.objects.latest("id").pk])
    return client.post(where, {"decision": decision, "note": "compared"}, follow=True).content.decode()


def signs_with() -> bytes | None:
    store._remembered.clear()
    config = links.read("bank")
    assert config
    return store.keys_of(config).sign_with


def states() -> list[tuple[int, str]]:
    return list(Key.objects.order_by("version").values_list("version", "state"))


def test_a_new_key_is_in_force_when_a_second_person_agrees(nina: Client, omar: Client) -> None:
    config = links.read("bank")
    assert config
    before = signs_with()
    page = put_in(nina).content.decode()

    assert "Nothing happens until somebody else agrees" in page
    assert "nina asked for it" in page
    assert signs_with() == before
    shown = omar.get(reverse("admin:staff_request_change", args=[Request.objects.get().pk])).content.decode()
    assert terminal_check_value(NEW) in shown
    assert terminal_check_value(OLD) in shown

    assert "is in force on bank" in decide(omar)

    assert signs_with() == derive(NEW, mac_context(config.bank_uuid)) != before
    assert states() == [(1, "EXPIRED"), (2, "ACTIVE")]
    told = Record.objects.filter(action="replace_link_key").order_by("id").values_list("who", "result")
    assert list(told) == [("nina", "asked"), ("omar", "approved"), ("nina", "done")]


def checked_with() -> tuple[bytes, ...]:
    store._remembered.clear()
    config = links.read("bank")
    assert config
    return store.keys_of(config).check_with


def test_an_answer_to_what_was_signed_before_is_believed_until_it_is_due_no_more(nina: Client, omar: Client) -> None:
    before = signs_with()
    put_in(nina)
    decide(omar)

    after = signs_with()
    assert checked_with() == (before, after)

    Key.objects.filter(state="EXPIRED").update(expired_at=timezone.now() - timedelta(minutes=15))

    assert checked_with() == (after,)
    assert signs_with() == after


def test_the_new_key_signs_when_every_process_knows_to_check_with_it(nina: Client, omar: Client, settings: Any) -> None:
    settings.CACHE_SECONDS = 5
    before = signs_with()
    put_in(nina)
    decide(omar)

    assert signs_with() == before
    assert len(checked_with()) == 2

    Key.objects.filter(state="EXPIRED").update(expired_at=timezone.now() - timedelta(seconds=11))

    assert signs_with() != before


def test_nobody_agrees_to_ones_own_key(nina: Client) -> None:
    put_in(nina)

    decide(nina)

    assert states() == [(1, "ACTIVE"), (2, "PENDING")]


@pytest.mark.parametrize("decision", ["turn_down", "withdraw"])
def test_a_key_that_is_not_wanted_is_forgotten(nina: Client, omar: Client, decision: str) -> None:
    put_in(nina)

    decide(omar if decision == "turn_down" else nina, decision)

    assert states() == [(1, "ACTIVE")]


def test_a_key_that_nobody_agreed_to_in_time_is_forgotten(nina: Client) -> None:
    put_in(nina)
    Request.objects.update(expires_at=timezone.now())

    requests.expire()

    assert states() == [(1, "ACTIVE")]


def test_a_second_key_waits_until_the_first_is_decided(nina: Client, omar: Client) -> None:
    put_in(nina)

    assert "waits for a second person already" in put_in(nina, OLD.hex(), "TPK").content.decode()

    assert Request.objects.count() == 1
    assert states() == [(1, "ACTIVE"), (2, "PENDING")]


@pytest.mark.parametrize("digits", ["", "ab", "xy" * 32, NEW.hex() + "00"])
def test_what_is_no_key_is_refused_and_not_repeated(nina: Client, digits: str) -> None:
    response = put_in(nina, digits)

    assert response.status_code == 200
    assert not Request.objects.exists()
    if len(digits) > 2:
        assert digits not in response.content.decode()


def test_the_key_is_nowhere_in_the_clear(nina: Client, omar: Client) -> None:
    with structlog.testing.capture_logs() as logs:
        pages = put_in(nina).content.decode() + decide(omar)

    needles = [NEW.hex(), NEW.hex().upper(), NEW.hex(" ")]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT string_agg(t::text, '') FROM staff_request t), "
            "(SELECT string_agg(t::text, '') FROM staff_record t), "
            "(SELECT string_agg(t::text, '') FROM processor_key t), "
            "(SELECT string_agg(t::text, '') FROM django_session t)"
        )
        kept = str(cursor.fetchone())
    for needle in needles:
        assert needle not in pages + kept + str(logs)
