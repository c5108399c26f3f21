"""A whole new configuration of a link: judged, then taken over by the worker that holds it, or refused with the reason.

The worker looks before it leaves what works; where nobody holds the link there is nothing to look from, and the
configuration stands at once.
"""

from dataclasses import dataclass
from typing import Any, Final

from django.db import transaction

from processor import commands, links, versions
from processor.checking import check
from processor.commands import UnknownLink, Wanting
from processor.link.console import Verb
from processor.models import Link
from processor.versions import FIELDS, Author, Document, Outdated, hosts_of
from staff.audit import Actor, Result, record
from staff.masking import mask_text

#: the worker answers within 5 s, or nobody holds the link any more
_PATIENCE_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Proposal:
    """What became of a new configuration: its version where it stands already, or the command that decides."""

    version: int | None = None
    command_id: int | None = None


@transaction.atomic
def propose(name: str, configuration: Document, expected: int, actor: Actor, why: str) -> Proposal:
    """Let a link have another configuration; raises UnknownLink, LinkRefused or Outdated.

    Who asked, and for what, is written down with it.
    """
    author = Author(actor.name, mask_text(why))
    link = _judged(name, configuration)
    if link.version != expected:
        raise Outdated
    changed = versions.differences(versions.document(link), configuration)
    if not changed:
        return Proposal(version=expected)  # what stands already is no version of its own, and costs no session
    detail = {"version": expected, "changed": changed}
    record("link.configure", actor, Result.ASKED, subject=commands.subject_of(name), why=why, detail=detail)
    if not links.is_held(name):
        return Proposal(version=apply(name, configuration, expected, author).version)
    parameters = {"configuration": configuration, "version": expected, "author": author.name, "why": author.why}
    by = Wanting(author.name, author.why)
    return Proposal(command_id=commands.ask(name, Verb.CONFIGURE, parameters, by, _PATIENCE_S))


def apply(name: str, configuration: Document, expected: int, author: Author) -> Link:
    """Let it stand, from now on."""
    changes = {field: configuration[field] for field in FIELDS}
    return links.configure(name, changes, hosts_of(configuration), author, expected)


def preview(name: str, configuration: Document) -> list[tuple[str, Any, Any]]:
    """Return what a configuration would change; raises UnknownLink or LinkRefused."""
    _judged(name, configuration)
    return versions.differences(versions.document(Link.objects.get(name=name)), configuration)


def _judged(name: str, configuration: Document) -> Link:
    link = Link.objects.filter(name=name).first()
    if link is None:
        raise UnknownLink(f"There is no link {name}.")
    wanted = Link(name=name, **{field: configuration[field] for field in FIELDS})
    check(wanted, hosts_of(configuration))
    return link
