"""Commands of staff to the worker that holds a link: asking, looking, and giving up on what nobody took.

A command is a row; the holder learns of it with its next renewal, within a second, and carries it out once or never.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

import msgspec
import structlog
from django.db import transaction

from processor import links
from processor import statements as sql
from processor.errors import ProcessorError
from processor.link.console import CommandState, Verb, allowed_messages, misfit
from processor.models import Link, LinkCommand
from queueing.database import rows, run
from staff.audit import Actor, Result, Subject, record
from staff.masking import mask_text

PATIENCE_S: Final = 60.0
#: until nobody took it, or whoever did has had the longest that a command takes
_LONGEST_S: Final = PATIENCE_S + 60.0
_LOOK_EVERY_S: Final = 0.1
_KEPT: Final = timedelta(days=90)
_NOBODY: Final = (
    "No worker of the link took it in time, so nothing was done. Start one for the link's queue, and ask again."
)

_log = structlog.get_logger(__name__)


class UnknownLink(ProcessorError):
    """There is no such link."""

    permanent = True


class CommandRefused(ProcessorError):
    """The command does not fit the link."""

    permanent = True


@dataclass(frozen=True, slots=True)
class Wanting:
    """Who asks for something, and why."""

    actor: str
    reason: str = ""


def ask(link: str, verb: Verb, parameters: Mapping[str, Any], by: Wanting, patience_s: float = PATIENCE_S) -> int:
    """Ask a link's worker for something; returns the command's id. Raises UnknownLink or CommandRefused."""
    config = links.read(link)
    if config is None or not link:
        raise UnknownLink(f"There is no link {link}.")
    if wrong := misfit(verb, parameters, len(config.endpoints), allowed_messages(config.dialect)):
        raise CommandRefused(wrong)
    asked = {
        "link": link,
        "verb": verb.value,
        "parameters": msgspec.json.encode(dict(parameters)).decode(),
        "asked_by": by.actor,
        "reason": mask_text(by.reason),
        "patience_s": patience_s,
    }
    command_id = int(rows(sql.ASK_COMMAND, asked)[0].id)
    _log.info("link.asked", link=link, verb=verb.value, command=command_id, actor=by.actor)
    return command_id


def order(link: str, verb: Verb, parameters: Mapping[str, Any], actor: Actor, reason: str) -> int:
    """As `ask`, for a person or a client: it is written down who asked, for what and why."""
    with transaction.atomic():
        command_id = ask(link, verb, parameters, Wanting(actor.name, reason))
        detail = {"command": verb.value, "id": command_id, **parameters}
        record("link.command", actor, Result.ASKED, subject=subject_of(link), why=reason, detail=detail)
    return command_id


def subject_of(link: str) -> Subject:
    """Return a link as the subject of records and requests."""
    return Subject("processor.link", str(Link.objects.only("pk").get(name=link).pk))


def find(link: str, command_id: int) -> LinkCommand | None:
    """Return a link's command by its id."""
    return LinkCommand.objects.filter(link=link, id=command_id).first()


def wait(link: str, command_id: int) -> LinkCommand:
    """Return a command once it has its answer, or as it is when its worker takes too long."""
    until = time.monotonic() + _LONGEST_S
    while True:
        command = LinkCommand.objects.get(link=link, id=command_id)
        if is_over(command) or time.monotonic() > until:
            return command
        expire()
        time.sleep(_LOOK_EVERY_S)


def latest(link: str, limit: int) -> list[LinkCommand]:
    """Return a link's commands, newest first."""
    return list(LinkCommand.objects.filter(link=link).order_by("-id")[:limit])


def is_over(command: LinkCommand) -> bool:
    """Say whether a command has its answer."""
    return command.state not in (CommandState.OPEN, CommandState.RUNNING)


def expire() -> int:
    """Give up on commands that nobody took in time; returns how many."""
    return len(rows(sql.EXPIRE_COMMANDS, {"answer": _NOBODY}))


def prune_history() -> None:
    """Forget what became of links long ago."""
    run(sql.PRUNE_HISTORY, {"kept": _KEPT})
