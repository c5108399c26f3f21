"""What changes by itself on a link's page: how it is, what its worker answered, and what became of it step by step."""

from typing import Any, Final

from django.utils.translation import gettext as _

from processor import commands, links, versions
from processor.admin.words import described, seconds, sentence, weighed
from processor.link.console import CommandState, Verb
from processor.link.health import WEIGHTS, Layer
from processor.models import LinkCommand, LinkEvent, Message
from processor.ordering import spoken
from processor.overview import Overview, overview
from processor.phrases import named, say

RECENT: Final = 12
#: what a page that is looked at is sent anew
LIVE_PARTS: Final = ("commands", "health", "history")
_STEPS: Final = 24
_COLOURS: Final = {
    CommandState.OPEN: "info",
    CommandState.RUNNING: "info",
    CommandState.DONE: "success",
    CommandState.REFUSED: "warning",
    CommandState.FAILED: "danger",
    CommandState.EXPIRED: "warning",
}


def _history(name: str, before: int | None) -> dict[str, Any]:
    """What became of it, newest first: from a step on, and where older ones begin if there are any."""
    steps = LinkEvent.objects.filter(link=name, **({"id__lt": before} if before else {})).order_by("-id")
    found = list(steps[: _STEPS + 1])
    return {
        "history": [(step, named(step.state), named(step.cause)) for step in found[:_STEPS]],
        "older": found[_STEPS - 1].pk if len(found) > _STEPS else None,
        "before": before,
    }


def live(name: str, before: int | None = None) -> dict[str, Any]:
    """What changes by itself."""
    now, seen = links.live(name), overview(name)
    assert seen is not None  # noqa: S101  (a link that was found has its status)
    every = {layer: seen.configuration[f"health_{layer.value}_s"] for layer in Layer}
    return {
        "sentence": sentence(name),
        "is_up": bool(now and now.carries),
        "commands": [_shown(command) for command in commands.latest(name, RECENT)],
        "health": weighed(seen.health),
        "health_state": say(seen.health.state.value),
        "layers": [
            (say(layer.value), WEIGHTS[layer], seconds(every[layer]), weighed(seen.layers.get(layer.value)))
            for layer in Layer
        ],
        "hosts_now": _hosts(seen),
        **_history(name, before),
    }


def number(given: str) -> int | None:
    """Return a step's number from an address; None for anything else."""
    return int(given) if given.isascii() and given.isdigit() and len(given) <= 18 else None


def _shown(command: LinkCommand) -> dict[str, Any]:
    parameters = {} if command.verb == Verb.CONFIGURE else command.parameters
    given = {field: value for field, value in parameters.items() if not isinstance(value, dict)}
    config = links.remembered(command.link)
    told = []
    for way, title in (("sent", _("Sent")), ("received", _("Received"))):
        if config and (said := command.detail.get(way)):
            message = Message(link=command.link, mti=said["mti"], fields=said["fields"])
            told.append((f"{title}: {said['mti']} {described(message)[0]}", described(message)[1]))
    return {
        "row": command,
        "words": spoken(Verb(command.verb)),
        "given": ", ".join(f"{field} {number}" for field, number in given.items()),
        "state": named(command.state),
        "answer": say(command.answer),
        "colour": _COLOURS[CommandState(command.state)],
        "told": told,
    }


def _hosts(seen: Overview) -> list[tuple[str, str]]:
    """Each host, and what it is now."""
    shown = []
    for one in seen.configuration[versions.ENDPOINTS]:
        host = f"{one['host']}:{one['port']}"
        roles = [
            word
            for word, holds in (
                (_("in use"), seen.live.up and host == seen.status.endpoint),
                (_("preferred"), host == seen.preferred),
                (_("next if that is lost"), host == seen.next_endpoint),
            )
            if holds
        ]
        shown.append((host, ", ".join(roles)))
    return shown
