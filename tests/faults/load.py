"""Clients under faults: they post, repeat with the same key until told, cancel, wait, and remember all of it."""

import random
import threading
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.acceptance.conftest import Ferry
from tests.faults.stack import ProxiedFerry
from tests.stack import wait_until

_FINAL: Final = frozenset({"approved", "declined", "reversed", "expired", "cancelled", "failed"})
#: what the host makes of an amount by its last two digits, and how often it is asked to; 71 and 74 cut the session,
#: so they are rare: a link that is cut every few seconds shows nothing of how it recovers from other faults
_ENDINGS: Final = {0: 9000, 51: 400, 91: 200, 68: 100, 69: 60, 70: 80, 71: 2, 72: 40, 73: 40, 74: 2}
_AGAIN_S: Final = 0.3
#: staff make voids and refunds of their own, under keys that no client has
_CLIENTS_OWN: Final = (
    "SELECT count(*) AS payments FROM transactions_payment WHERE NOT starts_with(idempotency_key, 'staff,')"
)


@dataclass(slots=True)
class Told:
    """What a client knows of one payment."""

    key: str
    body: Mapping[str, Any]
    #: where it was posted
    path: str = "/payments"
    payment_id: str = ""
    #: a final status, once one was told
    end: str = ""


def contradicted(ferry: Ferry, told_of: Sequence[Told]) -> Iterator[str]:
    """What clients were told and is not so: I1 and I3."""
    rows = ferry.sql("SELECT id::text, status, idempotency_key AS key FROM transactions_payment")
    payments = {row.id: row for row in rows}
    for told in told_of:
        row = payments.get(told.payment_id)
        if row is None:
            yield f"payment {told.payment_id} was accepted and is gone"
        elif row.key != told.key:
            yield f"payment {told.payment_id} answered the key {told.key} and has {row.key}"
        elif told.end and told.end != row.status:
            yield f"payment {told.payment_id} was said to be {told.end} and is {row.status}"


@dataclass(slots=True)
class Clients:
    """Threads that post at a rate; `contradictions` is what they were told that cannot be."""

    ferry: ProxiedFerry
    seed: int
    rate: float
    threads: int = 12
    told: list[Told] = field(default_factory=list)
    contradictions: list[str] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    _stopping: threading.Event = field(default_factory=threading.Event)
    _running: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin to post."""
        for number in range(self.threads):
            thread = threading.Thread(target=self._post_for_ever, args=(number,), daemon=True)
            self._running.append(thread)
            thread.start()

    def stop(self, within_s: float) -> None:
        """Post nothing new; fails when one is not told its answer in time."""
        self._stopping.set()
        running = self._running
        wait_until(lambda: not any(thread.is_alive() for thread in running), within_s, "every client was answered")

    def check(self) -> list[str]:
        """Hold what was told against the truth: I1 and I3."""
        before = len(self.contradictions)
        found = [*self.contradictions, *contradicted(self.ferry, self.told)]
        known = len({told.key for told in self.told})
        exist = self.ferry.sql(_CLIENTS_OWN)[0].payments
        if exist != known:
            found.append(f"{known} payments were told of and {exist} exist")
        with self.ferry.client() as client:
            for told in random.Random(self.seed).sample(self.told, min(200, len(self.told))):
                self._post(client, told, {})
        return [*found, *self.contradictions[before:]]

    # One client

    def _post_for_ever(self, number: int) -> None:
        dice = random.Random(f"{self.seed}/{number}")
        with self.ferry.client() as client:
            client.timeout = httpx.Timeout(10)
            due = time.monotonic() + dice.random()
            while not self._stopping.wait(max(0.0, due - time.monotonic())):
                due = max(due + self.threads / self.rate, time.monotonic() - 1)
                self._tell_one(client, dice)

    def _tell_one(self, client: httpx.Client, dice: random.Random) -> None:
        told = Told(_key(dice), _body(dice))
        headers = {"Prefer": "wait=2"} if dice.random() < 0.05 else {}
        while not self._post(client, told, headers):
            time.sleep(_AGAIN_S * dice.random())
        self.told.append(told)
        if told.end == "approved" and dice.random() < 0.7:
            self._give_back(client, told, dice)
        if dice.random() < 0.05:
            self._post(client, told, {})
        if dice.random() < 0.03:
            self._cancel(client, told)

    def _give_back(self, client: httpx.Client, original: Told, dice: random.Random) -> None:
        """Void it, or refund it in parts, some of which are more than is left."""
        path = f"/payments/{original.payment_id}"
        if dice.random() < 0.3:
            children = [Told(_key(dice), {}, f"{path}/void")]
        else:
            part = {"amount": original.body["amount"] * dice.choice([3, 5, 10]) // 10}
            children = [Told(_key(dice), part, f"{path}/refund") for _ in range(dice.randrange(1, 4))]
        for child in children:
            while not self._post(client, child, {}):
                time.sleep(_AGAIN_S * dice.random())
            if child.payment_id:
                self.told.append(child)

    def _post(self, client: httpx.Client, told: Told, headers: Mapping[str, str]) -> bool:
        try:
            answer = client.post(told.path, json=told.body, headers={"Idempotency-Key": told.key, **headers})
        except httpx.TransportError:
            return False
        if answer.status_code == 409 and told.path != "/payments" and not told.payment_id:
            return True  # no more may be given back
        return self._hear(answer, told)

    def _cancel(self, client: httpx.Client, told: Told) -> None:
        try:
            answer = client.post(f"/payments/{told.payment_id}/cancel")
        except httpx.TransportError:
            return
        if answer.status_code != 409:
            self._hear(answer, told)

    def _hear(self, answer: httpx.Response, told: Told) -> bool:
        self.statuses[answer.status_code] = self.statuses.get(answer.status_code, 0) + 1
        if answer.status_code not in (200, 202):
            if answer.status_code not in (429, 500, 502, 503, 504):
                self.contradictions.append(f"key {told.key} was answered {answer.status_code}: {answer.text}")
            return answer.status_code < 429
        payment = answer.json()
        if told.payment_id not in ("", payment["id"]):
            self.contradictions.append(f"key {told.key} stands for {told.payment_id} and for {payment['id']}")
        told.payment_id = payment["id"]
        if payment["status"] in _FINAL:
            if told.end not in ("", payment["status"]):
                self.contradictions.append(f"payment {payment['id']} was {told.end} and then {payment['status']}")
            told.end = payment["status"]
        return True


def _key(dice: random.Random) -> str:
    return str(uuid.UUID(int=dice.getrandbits(128)))


def _body(dice: random.Random) -> dict[str, Any]:
    ending = dice.choices(list(_ENDINGS), list(_ENDINGS.values()))[0]
    body: dict[str, Any] = {
        "operation": "purchase",
        "amount": 100 * dice.randrange(10, 1000) + ending,
        "currency": "IDR",
        "card": {"pan": "4111111111111111"},
        "expires_in": 3600 if dice.random() < 0.9 else 20,
        "priority": dice.choice([5, 5, 5, 9, 0]),
    }
    if dice.random() < 0.1:
        body["lane"] = f"till-{dice.randrange(5)}"
    return body
