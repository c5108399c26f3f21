"""A merchant's receiver under faults: it takes webhooks well or badly, and remembers what it was told."""

import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler
from typing import Final

from standardwebhooks import WebhookVerificationError

from tests.faults.stack import ProxiedFerry
from tests.faults.telling import Heard, Telling, digest, violations
from tests.receiver import Manner, Received, Receiver, answering, cut_off
from tests.stack import wait_until

_TELL_WITHIN_S: Final = 180.0
_ENDED: Final = "SELECT id, status FROM transactions_payment WHERE ended_at IS NOT NULL"
_MESSAGES: Final = "SELECT id, payment_id, type, body FROM transactions_webhookmessage WHERE payment_id IS NOT NULL"
_DELIVERIES: Final = "SELECT message_id, state FROM transactions_webhookdelivery"
_OWED: Final = "SELECT 1 FROM transactions_webhookdelivery WHERE state IN ('pending', 'sending') LIMIT 1"
#: nobody waits for the hours between two tries
_NOW: Final = """
WITH endpoint AS (UPDATE transactions_webhookendpoint SET quiet_until = NULL, failing_since = NULL)
UPDATE transactions_webhookdelivery SET next_at = clock_timestamp() WHERE state = 'pending'"""
_TAKEN: Final = answering(204)
#: a 200 counts, whatever becomes of its body
_TAKING: Final = (_TAKEN, cut_off)


class Listener:
    """An endpoint of the merchant whose payments are posted; `manner` is how it answers now."""

    def __init__(self, ferry: ProxiedFerry) -> None:
        self._ferry = ferry
        self._lock = threading.Lock()
        self._heard: dict[str, Heard] = defaultdict(Heard)
        self._forged: list[str] = []
        self._secret = ""
        self._receiver = Receiver(self._answer, self._hear)
        self.manner: Manner = _TAKEN
        self._receiver.serve()

    def subscribe(self) -> None:
        """Ask to be told."""
        with self._ferry.client() as client:
            answer = client.post("/webhook-endpoints", json={"url": self._receiver.url})
            assert answer.status_code == 201, answer.text
            self._secret = answer.json()["secret"]

    def stop(self) -> None:
        """Listen no more."""
        self._receiver.stop()

    def behave(self) -> None:
        """Take everything from now on."""
        self.manner = _TAKEN

    def wait_until_told(self) -> None:
        """Have what is owed sent now instead of later, and wait until nothing is."""
        self.behave()
        self._ferry.sql(f"{_NOW} RETURNING id")
        wait_until(lambda: not self._ferry.sql(_OWED), _TELL_WITHIN_S, "every webhook is delivered or given up")

    def violations(self) -> list[str]:
        """Return everything that does not hold, with the name of its check."""
        ferry = self._ferry
        telling = Telling(ferry.sql(_ENDED), ferry.sql(_MESSAGES), ferry.sql(_DELIVERIES), self._heard)
        return violations(telling) + [f"h1: {name} was not signed as agreed" for name in self._forged]

    def __str__(self) -> str:
        times = sum(heard.times for heard in self._heard.values())
        return f"webhooks: {len(self._heard)} messages, {times} times told"

    def _hear(self, request: Received) -> None:
        name = request.headers["webhook-id"]
        try:
            request.verified(self._secret)
        except WebhookVerificationError:
            self._forged.append(name)
        with self._lock:
            heard = self._heard[name]
            heard.times += 1
            heard.digests.add(digest(request.body))

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        manner = self.manner
        manner(handler)
        if manner in _TAKING:
            with self._lock:
                self._heard[handler.headers["webhook-id"]].taken += 1
