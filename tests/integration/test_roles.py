"""Roles: what each may do, that an upgrade makes them so again, and that nobody makes himself mightier."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse

from staff.models import Record
from staff.roles import ROLES, Role, UnknownPermission, allowed, establish


def sign_in(name: str, role: str) -> Client:
    """Somebody with a role, signed in."""
    user = User.objects.create_user(name, is_staff=True)
    user.groups.set([Group.objects.get(name=role)])
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def permissions(role: str) -> set[str]:
    found = Group.objects.get(name=role).permissions.select_related("content_type")
    return {f"{permission.content_type.app_label}.{permission.codename}" for permission in found}


class TestTheTable:
    def test_every_role_is_a_group_after_a_migration(self, database: None) -> None:
        assert {group.name for group in Group.objects.all()} >= {role.name for role in ROLES}

    def test_an_auditor_sees_everything_and_changes_nothing(self, database: None) -> None:
        names = {f"{p.content_type.app_label}.{p.codename}" for p in Permission.objects.select_related("content_type")}

        assert permissions("auditor") >= {name for name in names if ".view_" in name}
        assert {name.split(".")[1].split("_")[0] for name in permissions("auditor")} == {"view", "export"}

    def test_who_asks_for_money_to_move_does_not_agree_to_it(self, database: None) -> None:
        assert "transactions.reverse_payment" in permissions("operator")
        assert "transactions.approve_payment" not in permissions("operator")
        assert "transactions.approve_payment" in permissions("supervisor")

    def test_a_viewer_only_views(self, database: None) -> None:
        assert {name.split(".")[1].split("_")[0] for name in permissions("viewer")} == {"view"}

    def test_a_security_officer_touches_no_payment(self, database: None) -> None:
        assert not [name for name in permissions("security officer") if name.endswith("_payment")]

    def test_an_upgrade_makes_a_role_so_again_and_says_that_it_did(self, database: None) -> None:
        group = Group.objects.get(name="viewer")
        before = permissions("viewer")
        group.permissions.set([Permission.objects.get(codename="cancel_payment")])

        establish()

        assert permissions("viewer") == before
        row = Record.objects.get(action="set_role")
        assert (row.who, row.detail["taken"]) == ("ferryman", ["transactions.cancel_payment"])

    def test_a_second_time_it_changes_nothing(self, database: None) -> None:
        establish()
        establish()

        assert not Record.objects.exists()

    def test_a_name_that_fits_no_permission_is_said(self) -> None:
        role = Role("night", "", ("transactions.view_payment", "transactions.fly_payment"))  # type: ignore[arg-type]

        with pytest.raises(UnknownPermission, match=r"night: transactions\.fly_payment"):
            allowed(role, {"transactions.view_payment"})


class TestNobodyMakesHimselfMightier:
    @pytest.fixture
    def officer(self, database: None) -> Client:
        return sign_in("dewi", "security officer")

    def test_the_form_of_a_person_gives_no_roles(self, officer: Client) -> None:
        bob = User.objects.create_user("bob")
        operator = Group.objects.get(name="operator")
        form = {"first_name": "Bob", "is_active": "on", "is_staff": "on", "groups": [operator.pk]}

        response = officer.post(reverse("admin:auth_user_change", args=[bob.pk]), {**form, "is_superuser": "on"})

        assert response.status_code == 302
        bob.refresh_from_db()
        assert (bob.first_name, bob.is_staff, bob.is_superuser, bob.groups.count()) == ("Bob", True, False, 0)

    def test_but_not_to_oneself(self, officer: Client) -> None:
        dewi = User.objects.get(username="dewi")

        response = officer.post(reverse("admin:auth_user_change", args=[dewi.pk]), {"username": "dewi"})

        assert response.status_code == 403

    @pytest.mark.parametrize("page", ["change", "password_change"])
    def test_nor_touches_who_is_above_all_roles(self, officer: Client, page: str) -> None:
        root = User.objects.create_superuser("root")

        assert officer.post(reverse(f"admin:auth_user_{page}", args=[root.pk]), {"username": "x"}).status_code == 403

    def test_roles_are_edited_by_nobody(self, database: None) -> None:
        client = Client()
        client.force_login(User.objects.create_superuser("root"), backend="django.contrib.auth.backends.ModelBackend")
        group = Group.objects.get(name="viewer")

        for page in ("change", "delete"):
            address = reverse(f"admin:auth_group_{page}", args=[group.pk])
            assert client.post(address, {"name": "x", "post": "yes"}).status_code == 403
