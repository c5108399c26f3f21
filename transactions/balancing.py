"""Our totals of a business date beside the host's: asked for through the link's worker (0500), read from its answer.

The history of asking is that of the link's commands. Changes no payment.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import msgspec
from django.core.exceptions import PermissionDenied

from processor import commands
from processor.link.console import Verb
from processor.link.reconciliation import Totals
from processor.models import LinkCommand
from staff.audit import Actor
from transactions import reporting
from transactions.domain.money import letters_of, numeric_code
from transactions.reports.totals import totals

RECONCILE: Final = "transactions.reconcile_hostfile"
#: the commands about one date and link that are looked at: of each currency the newest counts
_RECENT: Final = 200


@dataclass(frozen=True, slots=True)
class Told:
    """The last time that a host was asked about a currency: our totals then, and its own where it gave them."""

    command: LinkCommand
    ours: Totals
    theirs: Totals | None

    @property
    def is_over(self) -> bool:
        """True once there is an answer, or will be none."""
        return commands.is_over(self.command)


def ask(day: date, link: str, currency: str, by: Actor) -> int:
    """Have a link's host asked for its totals; returns the command's id.

    Raises PermissionDenied, UnknownLink and CommandRefused. While one waits for its answer, it is that one.
    """
    if not by.may(RECONCILE):
        raise PermissionDenied
    waiting = last_told(day, link).get(currency)
    if waiting and not waiting.is_over:
        return waiting.command.id
    ours = totals(reporting.counted(day, link)).get(currency, Totals())
    parameters = {
        "business_date": day.isoformat(),
        "currency": numeric_code(currency),
        "totals": msgspec.to_builtins(ours),
    }
    return commands.order(link, Verb.RECONCILE, parameters, by, f"settlement of {day:%Y-%m-%d} in {currency}")


def last_told(day: date, link: str) -> Mapping[str, Told]:
    """Return what was last asked and answered of a date, by currency."""
    asked = LinkCommand.objects.filter(
        link=link, verb=Verb.RECONCILE.value, parameters__business_date=day.isoformat()
    ).order_by("-id")[:_RECENT]
    newest: dict[str, Told] = {}
    for command in asked:
        newest.setdefault(letters_of(command.parameters["currency"]) or "", _told(command))
    return newest


def _told(command: LinkCommand) -> Told:
    theirs = command.detail.get("totals")
    return Told(
        command,
        msgspec.convert(command.parameters["totals"], Totals),
        msgspec.convert(theirs, Totals) if theirs else None,
    )
