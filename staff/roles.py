"""Which role may do what, as one table; each role is a group of that name that every `migrate` makes so again.

Permissions are named by their strings, patterns too: staff knows the packages above as little as a doorbell does. An
installation that wants another cut makes a group of its own.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from django.apps import apps
from django.contrib.auth.management import create_permissions
from django.contrib.auth.models import Group, Permission
from django.db import connections
from django.utils.translation import gettext_lazy as _

from staff.audit import FERRYMAN, Subject, record

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise


class UnknownPermission(Exception):
    """A role names a permission that no model has; correct the table in `staff.roles`."""


@dataclass(frozen=True, slots=True)
class Role:
    """A group of the role's name; `may` are permissions as "app.codename", with * for anything."""

    name: str
    meaning: "StrPromise"
    may: tuple[str, ...]


_LOOK: Final = (
    "processor.view_link",
    "processor.view_message",
    "processor.view_route",
    "queueing.view_lane",
    "queueing.view_queueentry",
    "transactions.view_hostfile",
    "transactions.view_payment",
    "transactions.view_webhook*",
)
_WORK: Final = (
    *_LOOK,
    "processor.add_route",
    "processor.change_route",
    "processor.configure_link",
    "processor.operate_link",
    "staff.view_request",
    "transactions.cancel_payment",
    "transactions.capture_payment",
    "transactions.change_webhookendpoint",
    "transactions.export_payment",
    "transactions.reconcile_hostfile",
    "transactions.refund_payment",
    "transactions.replay_webhook",
    "transactions.resolve_payment",
    "transactions.retry_payment",
    "transactions.reverse_payment",
    "transactions.use_terminal",
    "transactions.view_job",
    "transactions.void_payment",
)
_AGREE: Final = (
    *_WORK,
    "processor.approve_link",
    "processor.reveal_message",
    "transactions.approve_payment",
)
_GUARD: Final = (
    "auth.add_user",
    "auth.change_user",
    "auth.view_group",
    "auth.view_user",
    "axes.view_*",
    "processor.approve_key",
    "processor.replace_key",
    "processor.view_key",
    "processor.view_link",
    "staff.approve_person",
    "staff.export_record",
    "staff.view_record",
    "staff.view_request",
    "transactions.add_apikey",
    "transactions.add_merchant",
    "transactions.approve_apikey",
    "transactions.change_apikey",
    "transactions.change_merchant",
    "transactions.replace_apikey",
    "transactions.view_apikey",
    "transactions.view_merchant",
)

ROLES: Final = (
    Role("viewer", _("Looks at payments and links, and changes nothing."), _LOOK),
    Role("operator", _("Retries and cancels payments, and asks for what needs a second person."), _WORK),
    Role("supervisor", _("Does what an operator does, and agrees to what others asked for."), _AGREE),
    Role("security officer", _("Says who may sign in, makes merchants and keys, and reads the audit."), _GUARD),
    Role("auditor", _("Reads everything, and changes nothing."), ("*.view_*", "*.export_*")),
)
NAMES: Final = frozenset(role.name for role in ROLES)


def establish(using: str = "default", **_kwargs: Any) -> None:
    """Make each role's group have exactly what the table says; hears Django say that the migrations are done."""
    tables = connections[using].introspection.table_names()
    if not {"auth_group", "auth_permission", "staff_record"} <= set(tables):
        return  # somebody migrates a part of the whole
    for config in apps.get_app_configs():
        create_permissions(config, verbosity=0, using=using)
    known = {_named(permission): permission for permission in Permission.objects.select_related("content_type")}
    for role in ROLES:
        _establish(role, {name: known[name] for name in allowed(role, known)})


def allowed(role: Role, known: Any) -> set[str]:
    """Return the names among those known that a role may; raises UnknownPermission for a name that fits none."""
    fitting = {pattern: {name for name in known if fnmatchcase(name, pattern)} for pattern in role.may}
    if missing := sorted(pattern for pattern, names in fitting.items() if not names):
        raise UnknownPermission(f"{role.name}: {', '.join(missing)}")
    return set().union(*fitting.values())


def _establish(role: Role, may: dict[str, Permission]) -> None:
    group, is_new = Group.objects.get_or_create(name=role.name)
    had = {_named(permission) for permission in group.permissions.select_related("content_type")}
    if had == may.keys():
        return
    group.permissions.set(may.values())
    if not is_new:
        detail = {"given": sorted(may.keys() - had), "taken": sorted(had - may.keys())}
        record("set_role", FERRYMAN, subject=Subject("auth.group", str(group.pk)), detail=detail)


def _named(permission: Permission) -> str:
    return f"{permission.content_type.app_label}.{permission.codename}"
