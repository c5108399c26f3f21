"""A database that commits, with a merchant and a link; and a holder's hand to play the link worker."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest
from django.conf import settings
from django.db import connection
from psycopg import Cursor
from pytest_django import DjangoDbBlocker

from processor import links
from processor.codec.message import Message, decode, encode
from processor.keys.pan_vault import vault_of
from processor.models import InboundFrame, Link
from processor.store import Filing, LinkReport, LinkStore, Taken
from queueing import backlog, clock
from tests.builders import BANK
from transactions import forwarding, judging, settling
from transactions.accepting import Order, Receipt, accept
from transactions.domain.values import Operation
from transactions.models import Event, Merchant, Payment

T = TypeVar("T")

_EMPTIED = (
    "transactions_event, transactions_payment, transactions_attempt, transactions_apikey, transactions_merchant, "
    "transactions_webhookendpoint, transactions_webhookmessage, transactions_webhookdelivery, "
    "transactions_webhookattempt, transactions_webhookreplay, "
    "queueing_queueentry, queueing_lane, processor_link, processor_endpoint, processor_lease, processor_linkstatus, "
    "processor_inboundframe, processor_linkcommand, processor_linkversion, processor_linkevent, processor_message, "
    "processor_key, queueing_process, transactions_minute, django_session, auth_user, axes_accessattempt, "
    "staff_record, staff_request, transactions_job, transactions_jobitem, "
    "transactions_hostfile, transactions_hostline, transactions_difference"
)

_ONLY_ADDED = ("transactions_event", "staff_record")


@pytest.fixture
def database(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Commits are real; afterwards everything is emptied, events too."""
    with django_db_blocker.unblock():
        yield
        with connection.cursor() as cursor:
            for table in _ONLY_ADDED:
                cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
            cursor.execute(f"TRUNCATE {_EMPTIED} CASCADE")
            for table in _ONLY_ADDED:
                cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
            cursor.execute("SELECT relname FROM pg_class WHERE relkind = 'S' AND relname LIKE 'processor_stan_%'")
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP SEQUENCE {name}")


@pytest.fixture
def merchant(database: None) -> Merchant:
    """The first merchant."""
    return Merchant.objects.create(name="Warung Kopi")


@pytest.fixture
def link(database: None) -> Link:
    """The link `bank`, configured and not up."""
    facts = {"dialect": "bank-ascii87", "framing": "ascii4", "terminal_id": "ATM-001", "card_acceptor_id": "TRM-ISS001"}
    return links.configure("bank", facts, [("127.0.0.1", 1)])


@pytest.fixture
def statements(settings: Any, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of the database from now on. What was remembered is forgotten, and then remembered for long."""
    settings.CACHE_SECONDS = 60
    monkeypatch.setattr(backlog, "_FRESH_S", 60.0)
    monkeypatch.setattr(backlog, "_remembered", {})
    monkeypatch.setattr(clock, "_FRESH_S", 60.0)
    monkeypatch.setattr(links, "_LIVE_FRESH_S", 60.0)
    monkeypatch.setattr(links, "_remembered_live", {})
    asked: list[str] = []
    execute = Cursor.execute

    def listening(cursor: Any, statement: Any, *args: Any, **kwargs: Any) -> Any:
        asked.append(statement)
        return execute(cursor, statement, *args, **kwargs)

    monkeypatch.setattr(Cursor, "execute", listening)
    return asked


class Forgetful(dict[str, Any]):
    """A memory that keeps nothing: what reads it looks again every time."""

    def get(self, key: str, default: Any = None) -> Any:
        """Nothing is remembered."""
        return default


@dataclass(slots=True)
class Hand:
    """Plays the holder of the link: it has the lease, says that the link is up, takes, and files."""

    merchant: Merchant
    epoch: int = 1
    version: int = 1
    taken: list[Taken] = field(default_factory=list)

    def run(self, work: Callable[[LinkStore], Awaitable[T]]) -> T:
        """Do something with a store of this epoch."""

        async def with_store() -> T:
            store = LinkStore(settings.DATABASE_DIRECT_URL, "bank", self.epoch, vault_of(settings.MASTER_KEY))
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(with_store())

    def hold(self) -> None:
        """Take the lease and come up."""
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE processor_lease SET epoch = %s, released = false, renewed_at = clock_timestamp()", [self.epoch]
            )
        self.report(up=True)

    def report(self, *, up: bool, breaker: str = "closed") -> None:
        """Say how the link is."""
        report = LinkReport(version=self.version, up=up, state="up" if up else "closed", breaker=breaker)
        self.run(lambda store: store.report(report))
        links._remembered_live.clear()

    def accept(self, amount: int = 100, key: str | None = None, **details: Any) -> Payment:
        """A client's payment."""
        receipt = self.receive(amount, key, **details)
        return Payment.objects.get(id=receipt.payment.id)

    def receive(self, amount: int = 100, key: str | None = None, **details: Any) -> Receipt:
        """A client's payment, and whether it was a replay."""
        given = {"operation": Operation.PURCHASE, "currency": "IDR", "pan": "4111111111111111", **details}
        return accept(
            Order(amount_minor=amount, **given),
            merchant_id=self.merchant.id,
            idempotency_key=key or f"key-{Payment.objects.count()}",
            actor="api:test",
            request_id="request",
        )

    def take(self, limit: int = 100) -> list[Taken]:
        """Forward what is ready, and take it."""
        forwarding.forward()
        self.taken = self.run(lambda store: store.take(limit, self.version))
        return self.taken

    def file(self, *filings: Filing) -> None:
        """File, without settling."""
        self.run(lambda store: store.file(filings))

    def answer(self, taken: Taken, code: str = "00", **changes: str) -> None:
        """The host answers; what it says is settled."""
        self.file(answering(taken, code, **changes))
        settling.settle()

    def silence(self, taken: Taken, cause: str = "timeout") -> None:
        """The host does not answer in time; that is settled."""
        self.file(Filing("silence", datetime.now(UTC), taken, cause))
        settling.settle()

    def stray(self, taken: Taken, code: str = "00") -> None:
        """An answer nobody waits for any more; it is settled."""
        filed = answering(taken, code)
        self.file(Filing("stray", filed.received_at, None, "", None, filed.body, "bank-ascii87"))
        settling.settle()


def answering(taken: Taken, code: str = "00", **changes: str) -> Filing:
    """The host's answer to what was taken."""
    asked = decode(taken.body, BANK)
    kept = {number: asked.fields[number] for number in (3, 4, 7, 11, 41, 49)}
    given = {int(name.removeprefix("f")): value for name, value in changes.items()}
    fields = {**kept, 37: "H00000000001", 38: "123456", 39: code, **given}
    body = encode(Message(f"{asked.mti[:2]}{int(asked.mti[2]) + 1}0", fields), BANK)
    return Filing("answer", datetime.now(UTC), taken, "", 0.02, body, "bank-ascii87")


@pytest.fixture
def hand(merchant: Merchant, link: Link) -> Hand:
    """A holder whose link is up."""
    holder = Hand(merchant)
    holder.hold()
    return holder


def status_of(payment: Payment) -> str:
    """The payment's status now."""
    payment.refresh_from_db()
    return payment.status


def rewrite_event(event: Event) -> None:
    """Change a stored event as only somebody with the database in hand can."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE transactions_event DISABLE TRIGGER USER")
        Event.objects.filter(payment_id=event.payment_id, version=event.version).update(data=event.data)
        cursor.execute("ALTER TABLE transactions_event ENABLE TRIGGER USER")


@pytest.fixture
def unsettled(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> Payment:
    """A payment that was sent and answered, and whose answer our own code could not work on."""
    payment = hand.accept()
    taken = hand.take()[0]

    def fails(*_: object) -> object:
        raise ValueError

    with monkeypatch.context() as broken:
        broken.setattr(judging, "judge", fails)
        hand.answer(taken)
    assert status_of(payment) == "on_hold"
    assert InboundFrame.objects.get().failed == "ValueError"
    return payment


@pytest.fixture
def refused(hand: Hand) -> Payment:
    """A payment nobody answered, whose reversal the host refuses."""
    payment = hand.accept()
    hand.silence(hand.take()[0])
    hand.answer(hand.take()[0], "57")
    assert status_of(payment) == "on_hold"
    return payment
