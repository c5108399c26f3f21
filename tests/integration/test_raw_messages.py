"""Messages as they were on the wire: sealed beside their masked fields, shown with a reason, forgotten in time."""

from datetime import timedelta
from typing import Any

import pytest
import structlog
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from processor import revealing
from processor.codec.message import decode
from processor.keys import store
from processor.models import Key, Link, Message
from staff.audit import Actor
from staff.models import Record
from tests.builders import BANK, PAN
from tests.integration.conftest import Hand
from transactions import journal, recovery
from transactions.domain.values import Operation

WHY = "the bank disputes field 4"


def sign_in(role: str) -> Client:
    user = User.objects.create_user(role, is_staff=True)
    user.groups.set([Group.objects.get(name=role)])
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def sari(hand: Hand) -> Client:
    """A supervisor."""
    return sign_in("supervisor")


def may() -> Actor:
    return Actor("sari", "192.0.2.7", may=lambda _: True)


def pay(hand: Hand, **details: Any) -> tuple[bytes, Message, Message]:
    """A payment of which both messages are in the journal; returns the bytes that went out as well."""
    details = {"pan": PAN, **details}
    hand.accept(**details)
    (taken,) = hand.take()
    hand.answer(taken)
    out, back = Message.objects.order_by("id")
    return taken.body, out, back


def page_of(message: Message) -> str:
    return reverse("admin:message_raw", args=[message.pk])


class TestKeeping:
    def test_both_are_kept_byte_by_byte(self, hand: Hand) -> None:
        sent, out, back = pay(hand)

        assert revealing.reveal(out.pk, may(), WHY).body == sent
        assert revealing.reveal(back.pk, may(), WHY).fields["38"] == "123456"

    def test_neither_is_readable_in_the_database(self, hand: Hand) -> None:
        _sent, out, _back = pay(hand)

        with connection.cursor() as cursor:
            cursor.execute("SELECT m::text, encode(sealed_body, 'escape') FROM processor_message m ORDER BY id")
            assert PAN not in str(cursor.fetchall())
        assert PAN not in bytes(out.sealed_body or b"").decode("latin-1")

    @pytest.mark.parametrize("is_remembered", [True, False], ids=["remembered", "read again"])
    def test_a_pin_block_is_blanked_and_all_else_is_as_it_was(self, hand: Hand, *, is_remembered: bool) -> None:
        pin = bytes(range(1, 33))
        sent, out = _pay_with_pin(hand, pin, is_remembered=is_remembered)

        kept = revealing.reveal(out.pk, may(), WHY)

        assert decode(sent, BANK).fields[123] == pin.hex().upper()
        assert kept.body == sent.replace(pin.hex().upper().encode(), b"0" * 64).replace(pin, bytes(32))
        assert len(kept.body) == len(sent)
        assert kept.fields["123"] == "0" * 64

    def test_a_track_in_an_answer_is_blanked(self, hand: Hand) -> None:
        hand.accept()
        hand.answer(hand.take()[0], f35=f"{PAN}=30121010000012300000")

        kept = revealing.reveal(Message.objects.get(outward=False).pk, may(), WHY)

        assert set(kept.fields["35"]) == {"0"}
        assert b"=3012" not in kept.body

    def test_nothing_is_kept_where_none_is_wanted(self, hand: Hand, settings: Settings) -> None:
        settings.RAW_MESSAGE_DAYS = 0

        pay(hand)

        assert not Message.objects.exclude(sealed_body=None).exists()

    def test_they_are_forgotten_in_time_and_their_fields_are_not(
        self, hand: Hand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(revealing, "_BATCH", 1)
        for _ in range(2):
            hand.accept()
            hand.answer(hand.take()[0])
        young = Message.objects.latest("id")
        Message.objects.exclude(pk=young.pk).update(at=timezone.now() - timedelta(days=31))

        recovery.recover()

        assert list(Message.objects.exclude(sealed_body=None)) == [young]
        assert all(message.fields for message in Message.objects.all())
        with pytest.raises(revealing.NotKept):
            revealing.reveal(Message.objects.earliest("id").pk, may(), WHY)

    def test_a_run_removes_no_more_than_its_batches(self, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(revealing, "_BATCH", 1)
        monkeypatch.setattr(revealing, "_BATCHES", 1)
        pay(hand)
        Message.objects.update(at=timezone.now() - timedelta(days=31))

        assert [revealing.forget() for _ in range(3)] == [1, 1, 0]


class TestLooking:
    def test_the_payments_page_leads_there_who_may(self, sari: Client, hand: Hand) -> None:
        _sent, out, back = pay(hand)
        story = reverse("admin:transactions_payment_change", args=[out.payment_id])

        page = sari.get(story).content.decode()
        assert page_of(out) in page
        assert page_of(back) in page
        assert "Show raw message" not in sign_in("operator").get(story).content.decode()

    def test_nothing_is_shown_before_a_reason_is_given(self, sari: Client, hand: Hand) -> None:
        _sent, out, _back = pay(hand)

        for response in (sari.get(page_of(out)), sari.post(page_of(out), {"reason": ""})):
            assert PAN not in response.content.decode()
            assert "no-store" in response["Cache-Control"]
        assert not Record.objects.filter(action="reveal_message").exists()

    def test_it_is_shown_in_the_clear_and_written_down(self, sari: Client, hand: Hand) -> None:
        sent, out, _back = pay(hand)

        with structlog.testing.capture_logs() as logs:
            response = sari.post(page_of(out), {"reason": WHY})

        page = response.content.decode()
        assert PAN in page
        assert sent[:16].hex(" ") in page
        assert "no-store" in response["Cache-Control"]
        assert PAN not in str(logs)
        row = Record.objects.get(action="reveal_message")
        assert (row.who, row.kind, row.subject) == ("supervisor", "processor.message", str(out.pk))
        assert (row.why, row.address, row.result) == (WHY, "127.0.0.1", "done")
        assert row.detail == {"link": "bank", "mti": "0200", "direction": "out", "payment": str(out.payment_id)}

    def test_what_cannot_be_written_down_is_not_opened(self, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
        _sent, out, _back = pay(hand)
        opened: list[object] = []

        def fails(*_: object, **__: object) -> None:
            raise ConnectionError

        monkeypatch.setattr(revealing, "record", fails)
        monkeypatch.setattr(revealing, "_opened", lambda *_: opened.append(1))

        with pytest.raises(ConnectionError):
            revealing.reveal(out.pk, may(), WHY)
        assert opened == []

    def test_the_service_asks_for_the_permission_itself(self, hand: Hand) -> None:
        _sent, out, _back = pay(hand)

        with pytest.raises(PermissionDenied):
            revealing.reveal(out.pk, Actor("opal"), WHY)

    def test_what_is_not_kept_says_so(self, sari: Client, hand: Hand) -> None:
        _sent, out, _back = pay(hand)
        Message.objects.update(sealed_body=None)

        assert "Its bytes are not kept" in sari.get(page_of(out)).content.decode()
        assert "Its bytes are not kept" in sari.post(page_of(out), {"reason": WHY}, follow=True).content.decode()

    def test_another_master_key_opens_nothing(self, sari: Client, hand: Hand, settings: Settings) -> None:
        _sent, out, _back = pay(hand)
        settings.MASTER_KEY = "ab" * 32

        page = sari.post(page_of(out), {"reason": WHY}, follow=True).content.decode()

        assert "another MASTER_KEY" in page
        told = Record.objects.filter(action="reveal_message").order_by("id")
        assert [row.result for row in told] == ["done", "failed"]


def _pay_with_pin(hand: Hand, pin: bytes, *, is_remembered: bool) -> tuple[bytes, Message]:
    store.install(Link.objects.get(), Key.Type.TSK, bytes(range(32)))
    hand.accept(operation=Operation.WITHDRAWAL, source_account="1", pin_block=pin)
    (taken,) = hand.take()
    if not is_remembered:
        journal.SENT._messages.clear()
    hand.silence(taken)
    return taken.body, Message.objects.get()
