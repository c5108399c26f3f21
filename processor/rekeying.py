"""Replacing a link's key: one puts it in, another compares its check value with the bank's letter and agrees.

Between the two it lies wrapped as a PENDING key; the request names it and its check value, and never holds it.
"""

from collections.abc import Sequence
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from processor import commands
from processor.keys import store
from processor.models import Key, Link
from staff import requests
from staff.audit import Actor, Subject
from staff.models import Request
from staff.requests import Kind, NotDone

REPLACE: Final = "replace_link_key"
#: permission to put a key in, and to agree
ASK: Final = "processor.replace_key"
_APPROVE: Final = "processor.approve_key"
MEANINGS: Final = {
    Key.Type.TPK: gettext_lazy("PIN blocks are expected under the new key from then on; the one before expires."),
    Key.Type.TSK: gettext_lazy(
        "Messages are signed with the new key within seconds. Answers to what was signed with the one before are "
        "believed until they are due no more, a minute longer than the link is patient."
    ),
}


def kinds() -> Sequence[Kind]:
    """Return the kind of requests about links' keys."""
    return (
        Kind(
            REPLACE,
            gettext_lazy("New key of a link"),
            gettext_lazy(
                "Compare the check value with the one in the bank's letter: if they differ, turn it down. The new key "
                "is in force within seconds, and the one before expires."
            ),
            ASK,
            _APPROVE,
            _carry_out,
            _facts,
            _drop,
        ),
    )


@transaction.atomic
def ask(link: Link, kind: Key.Type, terminal_key: bytes, by: Actor, reason: str) -> Request:
    """Keep a key wrapped and ask a second person; raises PermissionDenied, KeyProblem, or NotPossible."""
    if not by.may(ASK):
        raise PermissionDenied
    if asked_about(link):
        raise requests.NotPossible(_("A key of this link waits for a second person already."))
    staged = store.stage(link, kind, terminal_key)
    wanted = {"key": staged.pk, "type": kind.value, "check_value": staged.check_value}
    return requests.ask(REPLACE, commands.subject_of(link.name), by, reason, wanted)


def asked_about(link: Link) -> Sequence[Request]:
    """Return what waits for a second person about a link's keys."""
    return list(requests.waiting(Subject("processor.link", str(link.pk))).filter(kind=REPLACE))


def _carry_out(asked: Request) -> str:
    activated = store.activate(asked.parameters["key"])
    if activated is None:
        raise NotDone(_("The key that was put in is not there any more: put it in again."))
    named = {"kind": Key.Type(activated.type).label, "check": activated.check_value, "link": activated.link.name}
    return _("The %(kind)s with the check value %(check)s is in force on %(link)s.") % named


def _drop(asked: Request) -> None:
    store.discard(asked.parameters["key"])


def _facts(asked: Request) -> list[tuple[str, Any]]:
    link = Link.objects.get(pk=asked.subject)
    kind = Key.Type(asked.parameters["type"])
    now = Key.objects.filter(link=link, type=kind, state=Key.State.ACTIVE).first()
    return [
        (_("Link"), link.name),
        (_("Key"), kind.label),
        (_("Check value"), asked.parameters["check_value"]),
        (_("Check value in force now"), now.check_value if now else _("none")),
        (_("What it does"), MEANINGS[kind]),
    ]
