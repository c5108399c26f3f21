"""Who has which role, and who chooses a password: one asks, another agrees, and nobody agrees about himself.

A password is known to its owner alone. Two people give one half each of a one-time code, with which the owner chooses
it: neither of them can choose it alone.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import permutations
from typing import Any, Final

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from staff import requests
from staff.audit import Actor, subject_of
from staff.models import Request
from staff.requests import Done, Kind, NotDone, NotPossible, State

ROLES: Final = "set_roles"
PASSWORD: Final = "new_password"  # noqa: S105  (what a request is called)
#: permission to ask for either
ASK: Final = "auth.change_user"
_APPROVE: Final = "staff.approve_person"
_WHOSE: Final = ("maker", "checker")
_MAKER, _CHECKER = _WHOSE


class _Half(PasswordResetTokenGenerator):
    """One half of a code: of one request and one of its two people, so that no half serves for the other or again."""

    def __init__(self, asked: Request, whose: str) -> None:
        super().__init__()
        self.key_salt = f"staff.people.{whose}.{asked.pk}"


def kinds() -> Sequence[Kind]:
    """Return the kinds of requests about people."""
    return (
        Kind(
            ROLES,
            gettext_lazy("Roles of a person"),
            gettext_lazy("From the next page on, the person may do what these roles may, and nothing else."),
            ASK,
            _APPROVE,
            _set_roles,
            _roles_facts,
            barred=_barred,
        ),
        Kind(
            PASSWORD,
            gettext_lazy("One-time code for a new password"),
            gettext_lazy(
                "A code in two halves: one is shown once to who agrees, the other once to who asked. Each brings a "
                "half to the person, and neither can use it alone. With both the person chooses a password, once, "
                "within a day. The password before works until then."
            ),
            ASK,
            _APPROVE,
            _give_code,
            _facts,
            tell=_half_of_maker,
            barred=_barred,
        ),
    )


def described(kind: str) -> tuple[Any, Any]:
    """Return what a kind of request is called, and what it would do."""
    found = next(one for one in kinds() if one.code == kind)
    return found.title, found.meaning


def objection_to(person: User, by: Actor) -> str:
    """Return why this person's roles or password cannot be asked for by that one; empty when they can."""
    if person.get_username() == by.name:
        return _("This is yourself: somebody else has to ask.")
    if person.is_superuser:
        return _("This person is above all roles; that is changed on the machine, with manage.py.")
    return ""


def ask_roles(person: User, roles: Iterable[Group], by: Actor, reason: str) -> Request:
    """Ask a second person; raises PermissionDenied, or NotPossible."""
    before, after = _roles_of(person), sorted(role.name for role in roles)
    if before == after:
        raise NotPossible(_("The person has just these roles already."))
    return _ask(ROLES, person, by, reason, {"before": before, "after": after})


def ask_code(person: User, by: Actor, reason: str) -> Request:
    """Ask a second person; raises PermissionDenied, or NotPossible."""
    return _ask(PASSWORD, person, by, reason, {})


def asked_about(person: User) -> Sequence[Request]:
    """Return what waits for a second person about somebody."""
    return list(requests.waiting(subject_of(person)))


def owner_of(name: str, halves: Sequence[str]) -> User | None:
    """Return whose one-time code this is, its halves in either order, locked; None for a wrong, used or old one."""
    person = User.objects.select_for_update().filter(username=name, is_active=True, is_superuser=False).first()
    if person is None:
        return None
    about = subject_of(person)
    given = Request.objects.filter(kind=PASSWORD, subject_kind=about.kind, subject=about.key, state=State.DONE)
    asked = given.order_by("-id").first()
    fits = asked and any(
        all(_Half(asked, whose).check_token(person, half) for whose, half in zip(_WHOSE, order, strict=True))
        for order in permutations(halves, len(_WHOSE))
    )
    return person if fits else None


def _ask(kind: str, person: User, by: Actor, reason: str, wanted: dict[str, Any]) -> Request:
    if objection := objection_to(person, by):
        requests.refused(kind, subject_of(person), by, reason, objection)
        raise NotPossible(objection)
    return requests.ask(kind, subject_of(person), by, reason, wanted)


def _barred(asked: Request, by: Actor) -> str:
    if User.objects.filter(pk=asked.subject, username=by.name).exists():
        return _("This is about yourself: somebody else has to decide.")
    return ""


def _set_roles(asked: Request) -> str:
    person = _person(asked)
    if _roles_of(person) != asked.parameters["before"]:
        raise NotDone(_("The person's roles were changed meanwhile: look again."))
    wanted = Group.objects.filter(name__in=asked.parameters["after"])
    if len(wanted) != len(asked.parameters["after"]):
        raise NotDone(_("One of these roles is not there any more: ask again."))
    person.groups.set(wanted)
    return _("%(person)s has the roles: %(roles)s.") % {"person": person, "roles": _named(asked.parameters["after"])}


def _give_code(asked: Request) -> Done:
    person = _person(asked)
    if not person.is_active:
        raise NotDone(_("The person may not sign in: make the account active first."))
    sentence = _("%(person)s chooses a password with both halves, from “Forgotten your password” on the sign-in page.")
    return Done(sentence % {"person": person}, secret=_Half(asked, _CHECKER).make_token(person))


def _half_of_maker(asked: Request) -> str:
    lasts = timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT)
    if asked.decided_at is None or timezone.now() > asked.decided_at + lasts:
        return ""
    person = User.objects.filter(pk=asked.subject, is_active=True, is_superuser=False).first()
    return _Half(asked, _MAKER).make_token(person) if person else ""


def _person(asked: Request) -> User:
    person = User.objects.select_for_update().filter(pk=asked.subject).first()
    if person is None or person.is_superuser:
        raise NotDone(_("There is no such person any more, or nobody may ask this of them."))
    return person


def _facts(asked: Request) -> list[tuple[str, Any]]:
    person = User.objects.filter(pk=asked.subject).first()
    if person is None:
        return []
    return [(_("Person"), person.get_full_name() or person), (_("Roles now"), _named(_roles_of(person)))]


def _roles_facts(asked: Request) -> list[tuple[str, Any]]:
    return [*_facts(asked), (_("Roles then"), _named(asked.parameters["after"]))]


def _roles_of(person: User) -> list[str]:
    return sorted(person.groups.values_list("name", flat=True))


def _named(roles: Sequence[str]) -> str:
    return ", ".join(roles) or _("none")
