"""Ferryman running for people who look at it: every process, the demonstration logins, and some payments."""

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from tests.stack import Stack, fresh_database, wait_until

#: the simulator's answers by the amount's last digits; 00 approves
_AMOUNTS: Final = (125_000, 990_000, 5_000_000, 1_250_051, 760_005, 84_000)
#: what has a page, and the row that is shown
_PLACES: Final = (
    ("payment", "id", "FROM transactions_payment ORDER BY id DESC"),
    ("link", "id", "FROM processor_link"),
    ("message", "id", "FROM processor_message WHERE sealed_body IS NOT NULL ORDER BY id DESC"),
    ("key", "id", "FROM transactions_apikey WHERE NOT revoked ORDER BY created"),
    ("file", "id", "FROM transactions_hostfile"),
    ("difference", "id", "FROM transactions_difference WHERE worked_at IS NULL ORDER BY id"),
)


class House(Stack):
    """A stack that is lived in."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.logins: dict[str, Mapping[str, str]] = {}
        #: role -> the cookies of who has signed in already
        self.signed_in: dict[str, Any] = {}

    def move_in(self) -> None:
        """Migrate, make the demonstration data, start everything, and let some payments cross."""
        demo = json.loads(self.manage("prepare", "--simulator", f"127.0.0.1:{self.simulator_port}"))
        self.api_key = demo["api_key"]
        self.logins = {**demo["staff"], "admin": {"user": demo["admin_user"], "password": demo["admin_password"]}}
        self.start("simulator", "web", "worker", "link", "beat")
        self.wait_until_up(60)
        for amount in _AMOUNTS:
            self.pay(amount, wait_s=20)
        self.compare_with_the_bank()

    def pay(self, amount: int, wait_s: int = 0, **details: Any) -> dict[str, Any]:
        """Post a purchase."""
        body = {"operation": "purchase", "amount": amount, "currency": "IDR", "card": {"pan": "4111111111111111"}}
        headers = {"Idempotency-Key": str(uuid.uuid4())} | ({"Prefer": f"wait={wait_s}"} if wait_s else {})
        with self.client() as client:
            answer = client.post("/payments", json={**body, **details}, headers=headers)
        assert answer.status_code in (200, 202), answer.text
        payment: dict[str, Any] = answer.json()
        return payment

    def read(self, payment: Mapping[str, Any]) -> dict[str, Any]:
        """Return a payment as its client reads it now."""
        with self.client() as client:
            found: dict[str, Any] = client.get(f"/payments/{payment['id']}").json()
        return found

    def becomes(self, payment: Mapping[str, Any], status: str) -> None:
        """Wait until a payment has a status."""
        wait_until(lambda: self.read(payment)["status"] == status, 30, f"the payment is {status}")

    def written(self, payment: Mapping[str, Any], mti: str) -> list[dict[str, Any]]:
        """Return what the bank saw of a payment in messages of one kind."""
        rows = self.sql("SELECT stan FROM transactions_attempt WHERE payment_id = %s", payment["id"])
        stans = {f"{row.stan:06d}" for row in rows}
        seen = [line for line in self.journal() if line["what"] == "in" and line.get("mti") == mti]
        return [line for line in seen if line["stan"] in stans]

    def nothing_is_wrong(self) -> None:
        """Check every hash chain and every invariant that the database can show."""
        assert "nothing is wrong" in self.manage("verify")

    def newest_payment(self) -> str:
        """Return the id of the payment accepted last."""
        return str(self.sql("SELECT id FROM transactions_payment ORDER BY id DESC LIMIT 1")[0].id)

    def link_id(self) -> int:
        """Return the key of the link."""
        return int(self.sql("SELECT id FROM processor_link")[0].id)

    def places(self) -> dict[str, Any]:
        """Return one of everything that has a page: its name -> its key. The payment is the newest."""
        return {name: self.sql(f"SELECT {key} AS key {rest} LIMIT 1")[0].key for name, key, rest in _PLACES}

    def compare_with_the_bank(self) -> None:
        """Let the bank's list say something else of one payment, know another, and lack the rest."""
        known = self.sql("SELECT rrn, business_date FROM transactions_attempt WHERE outcome = 'approved' LIMIT 1")[0]
        lines = f"rrn,stan,local_date,amount,currency,operation,response\n{known.rrn},,,9.00,IDR,purchase,00\n"
        lines += "999999999999,,,5.00,IDR,purchase,00\n"
        statements = (
            "from datetime import date",
            "from staff.audit import FERRYMAN",
            "from io import BytesIO",
            "from transactions.reconciliation import begin",
            f"begin(BytesIO({lines.encode()!r}), date.fromisoformat('{known.business_date}'), 'bank', FERRYMAN)",
        )
        self.manage("shell", "-v", "0", "-c", "; ".join(statements))
        wait_until(
            lambda: self.sql("SELECT 1 FROM transactions_hostfile WHERE ended_at IS NOT NULL"), 30, "they are compared"
        )

    def silence_the_bank(self) -> None:
        """Stop the simulator."""
        self.processes["simulator"].stop()

    def bring_the_bank_back(self) -> None:
        """Start the simulator, and see the link up."""
        self.start("simulator")
        wait_until(lambda: self._readiness() == "ready", 60, "the link is up again")


@contextmanager
def lived_in(folder: Path, database_server: str, broker_url: str) -> Iterator[House]:
    """Yield a house with everything running, and end it."""
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    with fresh_database(database_server) as database_url:
        house = House(folder / "state", database_url, broker_url)
        house.settings |= {"RECOVERY_SECONDS": "2", "CACHE_SECONDS": "1"}
        house.settings |= {"TERMINAL_PAGE": "1", "WEBHOOK_PRIVATE_ADDRESSES": "1"}
        try:
            house.move_in()
            yield house
        finally:
            house.stop()
