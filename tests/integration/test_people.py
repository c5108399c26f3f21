"""Roles and passwords by two people: nobody raises himself alone, and nobody learns another's password."""

import re
import threading
from datetime import timedelta
from typing import Any

import pytest
import structlog
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.urls import reverse

from staff.admin.people import UserAdmin
from staff.models import Record, Request

CHOOSE = "/admin/password/"
GOOD = "seven blue kettles"


def sign_in(name: str, role: str) -> Client:
    user = User.objects.create_user(name, is_staff=True)
    user.groups.set([Group.objects.get(name=role)])
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def nina(database: None) -> Client:
    """Who asks."""
    return sign_in("nina", "security officer")


@pytest.fixture
def omar(database: None) -> Client:
    """Who agrees."""
    return sign_in("omar", "security officer")


@pytest.fixture
def bob(database: None) -> User:
    """Whom it is about."""
    return User.objects.create_user("bob", password="old and known", is_staff=True)


def ask_roles(client: Client, person: User, *roles: str) -> str:
    chosen = list(Group.objects.filter(name__in=roles).values_list("pk", flat=True))
    where = reverse("admin:auth_user_roles", args=[person.pk])
    response: Any = client.post(where, {"roles": chosen, "reason": "new at the desk"}, follow=True)
    return str(response.content.decode())


def ask_code(client: Client, person: User) -> str:
    where = reverse("admin:auth_user_password_change", args=[person.pk])
    response: Any = client.post(where, {"reason": "forgot it"}, follow=True)
    return str(response.content.decode())


def agree(client: Client) -> Any:
    where = reverse("admin:staff_request_decide", args=[Request.objects.latest("id").pk])
    return client.post(where, {"decision": "approve", "note": "seen"}, follow=True)


def code_in(response: Any) -> str:
    found = re.search(r'class="fm-secret">([^<]+)<', response.content.decode())
    return found.group(1) if found else ""


def half_of_maker(client: Client) -> str:
    where = reverse("admin:staff_request_decide", args=[Request.objects.latest("id").pk])
    return code_in(client.post(where, {"decision": "tell"}, follow=True))


def choose(code: tuple[str, str], name: str = "bob", password: str = GOOD, **other: str) -> Any:
    given = {"username": name, "code": code[0], "other": code[1], "password": password, "again": password, **other}
    return Client().post(CHOOSE, given, follow=True)


def opens(person: User, password: str) -> bool:
    person.refresh_from_db()
    return person.check_password(password)


def roles_of(person: User) -> list[str]:
    return sorted(person.groups.values_list("name", flat=True))


class TestRoles:
    def test_one_asks_another_agrees(self, nina: Client, omar: Client, bob: User) -> None:
        page = ask_roles(nina, bob, "operator")
        assert "Nothing happens until somebody else agrees" in page
        assert "nina asked for it" in page
        assert "somebody else has to agree" in agree(nina).content.decode()
        assert roles_of(bob) == []

        assert "bob has the roles: operator." in agree(omar).content.decode()

        assert roles_of(bob) == ["operator"]
        told = list(Record.objects.filter(action="set_roles").order_by("id").values_list("who", "result"))
        assert told == [("nina", "asked"), ("nina", "refused"), ("omar", "approved"), ("nina", "done")]

    def test_nobody_agrees_to_roles_of_his_own(self, nina: Client, omar: Client) -> None:
        ask_roles(nina, User.objects.get(username="omar"), "security officer", "supervisor")

        assert "This is about yourself" in agree(omar).content.decode()

        assert Request.objects.get().state == "open"

    @pytest.mark.parametrize("page", ["change", "roles", "password_change"])
    def test_nor_asks_for_them(self, nina: Client, page: str) -> None:
        where = reverse(f"admin:auth_user_{page}", args=[User.objects.get(username="nina").pk])

        assert nina.post(where, {"reason": "why not"}).status_code == 403

    def test_nor_does_who_is_above_all_roles(self, omar: Client) -> None:
        root = User.objects.create_superuser("root")
        client = Client()
        client.force_login(root, backend="django.contrib.auth.backends.ModelBackend")

        assert "This is yourself" in ask_roles(client, root, "operator")
        assert not Request.objects.exists()

    def test_what_changed_meanwhile_stays(self, nina: Client, omar: Client, bob: User) -> None:
        ask_roles(nina, bob, "operator")
        bob.groups.set([Group.objects.get(name="viewer")])

        assert "changed meanwhile" in agree(omar).content.decode()

        assert roles_of(bob) == ["viewer"]

    def test_the_same_roles_are_not_asked_for(self, nina: Client, bob: User) -> None:
        assert "just these roles already" in ask_roles(nina, bob)


class TestPasswords:
    @pytest.fixture
    def code(self, nina: Client, omar: Client, bob: User) -> tuple[str, str]:
        ask_code(nina, bob)
        return code_in(agree(omar)), half_of_maker(nina)

    def test_the_code_is_shown_once_and_the_owner_chooses(self, nina: Client, omar: Client, bob: User) -> None:
        assert "nina asked for it" in ask_code(nina, bob)
        with structlog.testing.capture_logs() as logs:
            response = agree(omar)
        code = code_in(response)
        assert code
        mine = half_of_maker(nina)
        assert mine
        assert half_of_maker(nina) == ""
        assert "no-store" in response["Cache-Control"]
        assert code not in str(logs) + str(response.cookies)
        assert code not in str(list(Record.objects.values()) + list(Request.objects.values()))
        again = omar.get(reverse("admin:staff_request_change", args=[Request.objects.get().pk])).content.decode()
        assert code not in again
        assert opens(bob, "old and known")

        page = choose((mine, code))

        assert "The password is yours now" in page.content.decode()
        assert opens(bob, GOOD)
        assert Record.objects.filter(action="choose_password", result="done").values_list("who", flat=True)[0] == "bob"

    def test_neither_of_the_two_can_use_it_alone(self, nina: Client, omar: Client, bob: User) -> None:
        ask_code(nina, bob)
        of_checker = code_in(agree(omar))
        assert half_of_maker(omar) == ""
        of_maker = half_of_maker(nina)

        assert "is wrong" in choose((of_checker, of_checker)).content.decode()
        assert "is wrong" in choose((of_maker, of_maker)).content.decode()

        assert opens(bob, "old and known")

    def test_halves_of_two_requests_do_not_fit(self, nina: Client, omar: Client, bob: User) -> None:
        ask_code(nina, bob)
        of_checker = code_in(agree(omar))
        ask_code(omar, bob)
        agree(nina)
        of_maker = half_of_maker(omar)

        assert "is wrong" in choose((of_checker, of_maker)).content.decode()

        assert opens(bob, "old and known")

    def test_it_works_once(self, code: tuple[str, str], bob: User) -> None:
        choose(code)

        assert "the code was used" in choose(code, password="another good phrase").content.decode()

        assert opens(bob, GOOD)

    def test_it_is_of_one_person(self, code: tuple[str, str], bob: User) -> None:
        User.objects.create_user("eve", password="hers and known", is_staff=True)

        assert "is wrong" in choose(code, name="eve").content.decode()
        assert "is wrong" in choose(("d0-" + 32 * "0", code[1])).content.decode()
        assert "is wrong" in choose(code, name="nobody").content.decode()

        assert Record.objects.filter(action="choose_password", result="failed").count() == 3
        assert opens(bob, "old and known")

    def test_it_is_too_old_after_a_day(self, code: tuple[str, str], bob: User, settings: Any) -> None:
        settings.PASSWORD_RESET_TIMEOUT = -timedelta(seconds=1).total_seconds()

        choose(code)

        assert opens(bob, "old and known")

    def test_a_weak_or_mistyped_password_is_refused_and_the_code_is_not_used(
        self, code: tuple[str, str], bob: User
    ) -> None:
        assert "too short" in choose(code, password="kettle").content.decode()
        assert "not the same password" in choose(code, again="seven red kettles").content.decode()
        assert opens(bob, "old and known")

        choose(code)
        assert opens(bob, GOOD)

    def test_no_officer_sets_a_password_in_any_form(self, nina: Client, bob: User) -> None:
        given = {"password1": GOOD, "password2": GOOD, "password": GOOD, "usable_password": "true"}
        nina.post(reverse("admin:auth_user_password_change", args=[bob.pk]), {**given, "reason": "because"})
        nina.post(reverse("admin:auth_user_change", args=[bob.pk]), {**given, "is_active": "on"})
        assert opens(bob, "old and known")

        nina.post(reverse("admin:auth_user_add"), {**given, "username": "carol", "is_staff": "on"})
        assert not User.objects.get(username="carol").has_usable_password()

    def test_whoever_is_above_all_roles_is_none_of_theirs(self, nina: Client, omar: Client, bob: User) -> None:
        ask_code(nina, bob)
        User.objects.filter(pk=bob.pk).update(is_superuser=True)

        assert code_in(agree(omar)) == ""

        assert Request.objects.get().state == "failed"


def test_a_password_that_is_chosen_while_somebody_changes_the_name_is_not_lost(
    nina: Client, omar: Client, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_code(nina, bob)
    code = (code_in(agree(omar)), half_of_maker(nina))
    keep = UserAdmin.save_form

    def choose_apart() -> None:
        choose(code)
        connection.close()

    def kept_late(admin: UserAdmin, *given: Any, **named: Any) -> Any:
        owner = threading.Thread(target=choose_apart)
        owner.start()
        owner.join(timeout=30)
        return keep(admin, *given, **named)

    monkeypatch.setattr(UserAdmin, "save_form", kept_late)
    page = reverse("admin:auth_user_change", args=[bob.pk])
    given = {"first_name": "Robert", "last_name": "", "email": "", "is_active": "on", "is_staff": "on"}
    assert nina.post(page, given).status_code == 302

    assert opens(bob, GOOD)
    assert (bob.first_name, bob.is_active, bob.is_staff) == ("Robert", True, True)
