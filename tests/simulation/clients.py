"""Clients and staff: they post, repeat, change their minds, and remember what they were told."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import psycopg
from django.db import OperationalError

from tests.builders import PAN
from tests.simulation.world import Actor
from transactions import accepting, services
from transactions.domain.errors import NotAllowed, UnknownPayment
from transactions.domain.values import Operation, ReasonCode

if TYPE_CHECKING:
    from tests.simulation.seed import Seed

_CLIENT_WAITS_S: Final = 3.0
_AWAY: Final = (OperationalError, psycopg.OperationalError)


@dataclass(slots=True)
class Told:
    """What a client was told with a 2xx."""

    key: str
    payment_id: uuid.UUID
    amount: int


@dataclass(slots=True)
class Client:
    """Posts payments with a key each, repeats what nobody answered, and sometimes another body under the same key."""

    seed: "Seed"
    number: int
    other_bodies: float = 0.0
    lost_answers: float = 0.0
    cancels: float = 0.0
    retries: float = 0.0
    told: list[Told] = field(default_factory=list)
    _keys: int = 0

    def post(self, order: accepting.Order) -> None:
        """Begin with a payment."""
        self._keys += 1
        self._send(order, f"client-{self.number}-{self._keys}", 0)

    def _send(self, order: accepting.Order, key: str, tries: int) -> None:
        world = self.seed.world
        actor = Actor(self.seed.web.process.name, self.seed.web.process)
        answered: list[bool] = []
        world.after(world.between(0.0, 0.01), actor, lambda: self._serve(order, key, answered))
        if world.chance(0.05):  # the client or a proxy sends it twice at once
            world.after(world.between(0.0, 0.02), actor, lambda: self._serve(order, key, answered))
        if world.chance(self.other_bodies):
            other = replace(order, amount_minor=order.amount_minor + 100_000)
            world.after(world.between(0.0, 5.0), actor, lambda: self._serve(other, key, []))

        def again() -> None:
            if not answered and tries < 12:
                self._send(order, key, tries + 1)

        world.after(_CLIENT_WAITS_S, None, again)

    def _serve(self, order: accepting.Order, key: str, answered: list[bool]) -> None:
        world = self.seed.world
        try:
            receipt = accepting.accept(
                order,
                merchant_id=1,
                idempotency_key=key,
                actor="api:test",
                request_id=key,
                payment_id=uuid.UUID(int=world.random.getrandbits(128), version=4),
            )
        except (accepting.KeyReused, accepting.LinkUnavailable):
            return
        except _AWAY:
            return
        world.block(world.between(0.0, 0.01))
        if world.chance(self.lost_answers):
            world.fault("answer to a client lost")
            return
        answered.append(True)
        self.told.append(Told(key, receipt.payment.id, order.amount_minor))
        if world.chance(self.cancels):
            self.seed.later(self.seed.web, world.between(0.0, 3.0), lambda: self.seed.cancel(receipt.payment.id))
        if world.chance(self.retries):
            self.seed.later(self.seed.web, world.between(1.0, 20.0), lambda: self.seed.retry(receipt.payment.id))


def some_order(seed: "Seed", ending: str) -> accepting.Order:
    """Return a payment of any kind; the end of its amount tells the host what to do with it."""
    dice = seed.world.random
    operation = dice.choice(
        [Operation.PURCHASE] * 4
        + [Operation.WITHDRAWAL, Operation.BALANCE_INQUIRY, Operation.DEPOSIT, Operation.TRANSFER]
        + [Operation.BILL_PAYMENT, Operation.AUTHORISATION]
    )
    return accepting.Order(
        operation=operation,
        amount_minor=int(f"{dice.randrange(1, seed.highest_amount)}{ending}"),
        currency="IDR",
        source_account="1000000001",
        destination_account="2000000002",
        biller="PLN",
        customer_number="5300",
        lane=dice.choice([None, None, "a", "b"]),
        priority=dice.choice([5, 5, 5, 0, 9]),
        expires_in_s=dice.choice([None, 5, 20, 60, 600]),
        pan=PAN,
        expiry="2912",
    )


def ask(action: Callable[[], object]) -> None:
    """Ask for something that may be refused."""
    try:
        action()
    except (NotAllowed, UnknownPayment, *_AWAY):
        return


def cancelling(payment_id: uuid.UUID) -> None:
    """A client cancels."""
    ask(lambda: services.cancel(payment_id, actor="api:test", reason=ReasonCode.CANCELLED_BY_CLIENT))


def retrying(payment_id: uuid.UUID) -> None:
    """Staff let a payment go on."""
    ask(lambda: services.retry(payment_id, actor="staff", note="go on"))
