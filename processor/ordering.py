"""What staff may do to a link: who may, what needs a second person, and how it is done once they agree.

A command that may change what becomes of payments and a new configuration are requests first; the rest is asked of the
worker at once. What a link refuses is `link.console`'s to say.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from processor import commands, configuring
from processor.checking import LinkRefused
from processor.commands import CommandRefused, UnknownLink
from processor.configuring import Proposal
from processor.link.console import DANGEROUS, MEANINGS, Verb, allowed_messages, misfit
from processor.links import read
from processor.models import Link
from processor.phrases import say
from processor.versions import Document, Outdated
from staff import requests
from staff.audit import Actor
from staff.models import Request
from staff.requests import Kind, NotDone

OPERATE: Final = "processor.operate_link"
CONFIGURE: Final = "processor.configure_link"
_APPROVE: Final = "processor.approve_link"
_COMMAND_KIND: Final = "command_link"
_CONFIGURE_KIND: Final = "configure_link"


def needs_second(verb: Verb) -> bool:
    """Say whether somebody else has to agree first."""
    return verb in DANGEROUS


def tell(link: Link, verb: Verb, parameters: Mapping[str, Any], by: Actor, reason: str) -> Request | int:
    """Ask the worker, and return the command's id; or ask a second person, and return the request.

    Raises PermissionDenied, CommandRefused, or NotPossible when the same waits already.
    """
    if not by.may(OPERATE):
        raise PermissionDenied
    if not needs_second(verb):
        return commands.order(link.name, verb, parameters, by, reason)
    config = read(link.name)
    messages = allowed_messages(config.dialect) if config else ()
    if wrong := misfit(verb, parameters, len(config.endpoints) if config else 0, messages):
        raise CommandRefused(wrong)
    wanted = {"verb": verb.value, "parameters": dict(parameters)}
    return requests.ask(_COMMAND_KIND, commands.subject_of(link.name), by, reason, wanted)


def propose(link: Link, configuration: Document, expected: int, by: Actor, reason: str) -> Request:
    """Ask a second person for another configuration; raises PermissionDenied, LinkRefused, Outdated or NotPossible."""
    if not by.may(CONFIGURE):
        raise PermissionDenied
    changed = configuring.preview(link.name, configuration)
    if link.version != expected:
        raise Outdated
    wanted = {"configuration": configuration, "version": expected, "changed": changed}
    return requests.ask(_CONFIGURE_KIND, commands.subject_of(link.name), by, reason, wanted)


def asked_about(link: Link) -> Sequence[Request]:
    """Return what waits for a second person about a link."""
    return list(requests.waiting(commands.subject_of(link.name)))


def kinds() -> Sequence[Kind]:
    """Return the kinds of requests about links."""
    return (
        Kind(
            _COMMAND_KIND,
            gettext_lazy("Command to a link"),
            gettext_lazy("The worker that holds the link is told to do it, and answers on the link's page."),
            OPERATE,
            _APPROVE,
            _carry_out_command,
            _command_facts,
        ),
        Kind(
            _CONFIGURE_KIND,
            gettext_lazy("Configuration of a link"),
            gettext_lazy(
                "The worker that holds the link looks whether the hosts are there. It takes the configuration over "
                "within seconds, or refuses it with the reason and goes on as before."
            ),
            CONFIGURE,
            _APPROVE,
            _carry_out_configuration,
            _configuration_facts,
        ),
    )


def _carry_out_command(asked: Request) -> str:
    verb, link = Verb(asked.parameters["verb"]), _link_of(asked)
    try:
        commands.order(link.name, verb, asked.parameters["parameters"], Actor(asked.maker), asked.reason)
    except (CommandRefused, UnknownLink) as error:
        raise NotDone(say(str(error))) from None
    return _("The worker of %(link)s was asked; its answer is on the link's page.") % {"link": link.name}


def _carry_out_configuration(asked: Request) -> str:
    wanted, link = asked.parameters, _link_of(asked)
    try:
        proposal: Proposal = configuring.propose(
            link.name, wanted["configuration"], wanted["version"], Actor(asked.maker), asked.reason
        )
    except (LinkRefused, Outdated, UnknownLink) as error:
        raise NotDone(say(str(error))) from None
    if proposal.version:
        return _("Version %(version)s stands; no worker holds the link.") % {"version": proposal.version}
    return _("The worker of %(link)s decides; its answer is on the link's page.") % {"link": link.name}


def _command_facts(asked: Request) -> list[tuple[str, Any]]:
    verb = Verb(asked.parameters["verb"])
    given = ", ".join(f"{name} {value}" for name, value in asked.parameters["parameters"].items())
    facts = [(_("Link"), _link_of(asked).name), (_("Command"), spoken(verb)), (_("What it does"), say(MEANINGS[verb]))]
    return [*facts, *([(_("With"), given)] if given else [])]


def _configuration_facts(asked: Request) -> list[tuple[str, Any]]:
    facts: list[tuple[str, Any]] = [(_("Link"), _link_of(asked).name)]
    return facts + [
        (field_name(field), f"{value(old)} → {value(new)}") for field, old, new in asked.parameters["changed"]
    ]


def _link_of(asked: Request) -> Link:
    return Link.objects.get(pk=asked.subject)


def spoken(verb: Verb) -> str:
    """Return a command as its button says it."""
    return say(verb.value.replace("_", " ").capitalize())


def field_name(field: str) -> str:
    """Return a field of a configuration in words."""
    name = field.removesuffix("_s").replace("_", " ").capitalize()
    return say(f"{name} (s)" if field.endswith("_s") else name)


def value(given: Any) -> str:
    """Return a field's value in words."""
    if isinstance(given, list):
        return ", ".join(f"{host['host']}:{host['port']}" for host in given)
    if given is None:
        return "–"
    return {True: _("on"), False: _("off")}[given] if isinstance(given, bool) else f"{given}"
