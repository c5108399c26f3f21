"""The clerk of a merchant: captures, refunds and voids what was approved, sometimes twice at once.

Has dice of his own, so that a seed without him is the same seed as before.
"""

import random
import uuid
from functools import partial
from typing import TYPE_CHECKING, Final

from tests.simulation.clients import ask
from tests.simulation.tables import Row
from transactions.accepting import KeyReused, LinkUnavailable
from transactions.domain.values import Operation
from transactions.following import FollowUp, follow

if TYPE_CHECKING:
    from tests.simulation.seed import Seed

_LOOKS_EVERY_S: Final = 2.0
_FOLLOWED_BY: Final = {
    "authorisation": (Operation.CAPTURE, Operation.CAPTURE, Operation.REFUND, Operation.VOID),
    "purchase": (Operation.REFUND, Operation.REFUND, Operation.VOID, Operation.CAPTURE),
    "bill_payment": (Operation.REFUND, Operation.VOID),
    "transfer": (Operation.VOID,),
    "deposit": (Operation.VOID,),
    "withdrawal": (Operation.VOID,),
    "refund": (Operation.REFUND, Operation.VOID),
}


class Clerk:
    """At work in one seed of three."""

    def __init__(self, seed: "Seed") -> None:
        self._seed = seed
        self._dice = random.Random(f"clerk of {seed.world.seed}")
        self._asked = 0
        #: chance that something follows an approved payment, at each look
        self.acts = self._dice.choice([0.0, 0.0, 0.15])

    def look(self) -> None:
        """Look now, and again while he is at work."""
        if not self.acts:
            return
        for payment in list(self._seed.tables.payments.values()):
            if payment.status == "approved" and payment.operation in _FOLLOWED_BY and self._dice.random() < self.acts:
                self._follow(payment)
        self._seed.world.after(_LOOKS_EVERY_S, None, self.look)

    def _follow(self, payment: Row) -> None:
        """Ask once, or a few times at once: under keys of their own, or under one."""
        dice = self._dice
        operation = dice.choice(_FOLLOWED_BY[payment.operation])
        part = dice.randrange(1, payment.amount + 1) if operation is not Operation.VOID else None
        order = FollowUp(operation, payment.id, dice.choice([None, part]), priority=dice.choice([5, 9]))
        shares_a_key = dice.random() < 0.5
        for _ in range(dice.choice([1, 1, 2, 3])):
            self._asked += not shares_a_key
            asking = partial(self._ask, order, f"clerk-{self._asked}", uuid.UUID(int=dice.getrandbits(128), version=4))
            self._seed.later(self._seed.web, dice.uniform(0.0, 0.3), partial(ask, asking))
        self._asked += 1

    def _ask(self, order: FollowUp, key: str, own_id: uuid.UUID) -> None:
        try:
            follow(
                order,
                merchant_id=1,
                idempotency_key=key,
                actor="api:clerk",
                request_id=key,
                payment_id=own_id,
            )
        except (KeyReused, LinkUnavailable):
            return
        self._seed.tables.seen[f"{order.operation} asked for"] += 1
        if self._dice.random() < max(0.2, *(client.cancels for client in self._seed.clients)):
            self._seed.later(self._seed.web, self._dice.uniform(0.0, 8.0), lambda: self._seed.cancel(own_id))
