"""The desk: staff who look at what is on hold, ask the bank where they must, and do something about it.

Owns what a careful person does; whether it is allowed is the product's to say.
"""

import uuid
from typing import TYPE_CHECKING, Any, Final

from processor import commands
from processor.link.console import WORDS, Verb
from tests.simulation.clients import ask
from tests.simulation.tables import Row
from transactions import services
from transactions.domain.values import ReasonCode, Status

if TYPE_CHECKING:
    from tests.simulation.seed import Seed

_LOOK_EVERY_S: Final = 3.0
#: nobody settles with the bank what may be on its way to it yet
_ON_ITS_WAY_S: Final = 25.0
_ACTOR: Final = "staff:simulated"
_PATIENCE_S: Final = 15.0


class Staff:
    """Looks at the desk every few seconds."""

    def __init__(self, seed: "Seed") -> None:
        self._seed = seed
        #: chance that something is done about what is on hold, at each look
        self.acts = 0.0
        #: chance that something is asked of the link's holder, at each look
        self.commands = 0.0

    def look(self) -> None:
        """Look now and again."""
        world = self._seed.world
        for entry in self.held():
            if world.chance(self.acts):
                self.act(entry)
        if world.chance(self.commands):
            self.command(world.random.choice(WORDS))
        world.after(_LOOK_EVERY_S, None, self.look)

    def command(self, verb: Verb, endpoint: int | None = None) -> None:
        """Ask something of the link's holder."""
        link, dice = self._seed.tables.one["link"], self._seed.world.random
        parameters: dict[str, Any] = {}
        if verb is Verb.FAIL_OVER:
            parameters["endpoint"] = endpoint or dice.randrange(1, len(link.endpoints) + 1)
        elif verb is Verb.SEND:
            parameters["message"] = dice.choice(["echo", "sign_on"])
        by = commands.Wanting(_ACTOR, "why not")
        self._seed.later(
            self._seed.web, 0.0, lambda: ask(lambda: commands.ask("bank", verb, parameters, by, _PATIENCE_S))
        )

    def put_link_right(self) -> None:
        """After all: the link is to carry, with its first host, and whatever was asked is to be answered."""
        tables = self._seed.tables
        if any(command.state in ("open", "running") for command in tables.commands.values()):
            return
        if tables.one["lease"].wanted != "open":
            self.command(Verb.ESTABLISH)
        elif tables.one["lease"].wanted_endpoint:
            self.command(Verb.FAIL_OVER, 1)

    def held(self) -> list[Row]:
        """What is on hold."""
        return [entry for entry in self._seed.tables.entries.values() if entry.state == "held"]

    def act(self, entry: Row) -> None:
        """Do one of the four things that staff can."""
        action = self._seed.world.random.choice([self._retry, self._cancel, self._reverse, self._resolve])
        self._seed.later(self._seed.web, 0.0, lambda: ask(lambda: action(entry)))

    def _retry(self, entry: Row) -> None:
        services.retry(entry.payment_id, actor=_ACTOR, note="go on")

    def _cancel(self, entry: Row) -> None:
        services.cancel(entry.payment_id, actor=_ACTOR, reason=ReasonCode.CANCELLED_BY_STAFF, note="not wanted")

    def _reverse(self, entry: Row) -> None:
        services.reverse(entry.payment_id, actor=_ACTOR, note="nobody knows")

    def _resolve(self, entry: Row) -> None:
        """The bank says whether it holds the money; what it holds and nobody wants it gives back by hand."""
        payment_id, number = entry.payment_id, entry.reverses or entry.attempt
        if number is None or self._may_be_on_its_way(payment_id):
            return
        host, attempt = self._seed.host, self._seed.tables.attempts[payment_id, number]
        wanted = self._seed.world.chance(0.5) and not _is_final(self._seed.tables.payments[payment_id])
        approved = host.holds(attempt) and wanted
        if not approved:
            host.give_back(attempt)
        outcome = Status.APPROVED if approved else Status.REVERSED
        services.resolve(payment_id, outcome=outcome, evidence="a letter of the bank", actor=_ACTOR)

    def _may_be_on_its_way(self, payment_id: uuid.UUID) -> bool:
        latest = self._seed.world.now - _ON_ITS_WAY_S
        return any(intent.payment_id == payment_id and intent.at > latest for intent in self._intents())

    def _intents(self) -> Any:
        return self._seed.tables.intents.values()


def _is_final(payment: Row) -> bool:
    return Status(payment.status).is_final
