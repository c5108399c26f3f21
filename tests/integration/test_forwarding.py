"""Forwarding: what is made ready, when, and what is taken back."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from unittest.mock import Mock
from uuid import UUID

import psycopg
import pytest
from django.conf import settings
from django.db import IntegrityError, InterfaceError, OperationalError, connection, transaction
from django.db.models import F
from django.utils import timezone

from processor import links
from processor.codec.message import decode
from processor.keys.store import install
from processor.models import Key, Link
from queueing import queue
from queueing.database import rows
from queueing.models import QueueEntry
from tests.builders import BANK
from tests.integration.conftest import Hand, status_of
from transactions import auditing, forwarding, sealing, store
from transactions.domain.values import Operation
from transactions.iso8583 import Card
from transactions.models import Attempt
from transactions.services import retry
from transactions.store import Change


@pytest.fixture(autouse=True)
def everything_holds(hand: Hand) -> object:
    """Whatever a test does, the invariants hold afterwards."""
    yield
    assert [str(violation) for violation in auditing.violations()] == []


def states() -> list[str]:
    return list(QueueEntry.objects.order_by("id").values_list("state", flat=True))


def updates_of(table: str) -> Any:
    """What this transaction did, and what its session has not reported yet of those before it."""
    (counted,) = rows("SELECT * FROM pg_stat_xact_user_tables WHERE relname = %(table)s", {"table": table})
    return counted


def a_worker_starts_again() -> None:
    """What was marked was so before this process was started."""
    QueueEntry.objects.update(suspected_at=F("suspected_at") - timedelta(days=1))


def test_a_ready_payment_is_dispatched_sealed(hand: Hand, rings: list[tuple[str, float]]) -> None:
    payment = hand.accept()
    forwarding.forward()

    entry = QueueEntry.objects.get()
    assert status_of(payment) == "in_flight"
    assert (entry.state, entry.mti, entry.frame_version) == ("dispatched", "0200", 1)
    assert b"4111111111111111" not in bytes(entry.frame or b"")
    assert ("link.bank", 0.0) in rings


def test_dispatching_touches_no_index_of_the_payments(hand: Hand) -> None:
    for _ in range(40):
        hand.accept()

    with transaction.atomic():
        before = updates_of("transactions_payment")
        forwarding.forward()
        after = updates_of("transactions_payment")

    assert (after.n_tup_upd - before.n_tup_upd, after.n_tup_hot_upd - before.n_tup_hot_upd) == (40, 40)


def test_nothing_is_sealed_for_a_link_that_is_down(hand: Hand) -> None:
    hand.accept()
    hand.report(up=False)

    forwarding.forward()

    assert states() == ["ready"]


def test_a_link_whose_lease_is_not_renewed_is_down_whatever_its_status_says(hand: Hand) -> None:
    hand.accept()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE processor_lease SET renewed_at = renewed_at - interval '1 minute'")

    forwarding.forward()

    assert states() == ["ready"]


def test_an_open_breaker_takes_back_what_was_made_and_makes_nothing(hand: Hand) -> None:
    hand.accept()
    forwarding.forward()
    hand.accept()
    hand.report(up=True, breaker="open")

    forwarding.forward()
    assert states() == ["ready", "ready"]

    hand.report(up=True, breaker="half_open")
    forwarding.forward()
    assert states() == ["dispatched", "dispatched"]


def test_at_most_two_windows_are_ahead(hand: Hand, link: Link) -> None:
    links.configure("bank", {"window": 3})
    hand.version = 2
    hand.report(up=True)
    for amount in range(1, 11):
        hand.accept(amount)

    forwarding.forward()
    forwarding.forward()

    assert states() == ["dispatched"] * 6 + ["ready"] * 4


class TestTakenBack:
    def test_when_the_link_goes_down(self, hand: Hand) -> None:
        payment = hand.accept()
        forwarding.forward()
        hand.report(up=False)
        forwarding.forward()

        assert states() == ["ready"]
        assert status_of(payment) == "queued"
        assert Attempt.objects.get().outcome == "unsent"

    def test_and_it_goes_again_under_a_new_stan(self, hand: Hand) -> None:
        hand.accept()
        forwarding.forward()
        hand.report(up=False)
        forwarding.forward()
        hand.report(up=True)

        (taken,) = hand.take()

        assert taken.attempt == 2
        assert decode(taken.body, BANK).fields[11] == "000002"

    def test_when_the_configuration_changes(self, hand: Hand) -> None:
        hand.accept()
        forwarding.forward()
        links.configure("bank", {"window": 32})
        forwarding.forward()
        assert states() == ["ready"]

        hand.version = 2
        hand.report(up=True)
        assert len(hand.take()) == 1

    def test_after_writing_failed_five_times_it_ends_and_nothing_moved(self, hand: Hand) -> None:
        payment = hand.accept(expires_in_s=3600)
        for _ in range(5):
            QueueEntry.objects.filter(state="waiting").update(not_before=timezone.now())
            taken = hand.take()
            hand.run(lambda store, taken=taken: store.untake(taken, failed=True))  # type: ignore[misc]
            hand.report(up=False)
            forwarding.forward()
            hand.report(up=True)

        assert status_of(payment) == "failed"
        assert payment.reason == "retries_exhausted"


class TestWhatCannotBeEncoded:
    def test_it_is_held_and_its_siblings_go_on(self, hand: Hand) -> None:
        unsigned = hand.accept(1, operation=Operation.WITHDRAWAL, source_account="1", pin_block=bytes(32))
        sibling = hand.accept(2)

        forwarding.forward()

        assert status_of(unsigned) == "on_hold"
        assert status_of(sibling) == "in_flight"
        held = QueueEntry.objects.get(payment_id=unsigned.id)
        assert held.state == "held"
        assert "MAC key" in (held.held_reason or "")

    def test_it_goes_on_once_its_cause_is_gone_and_staff_say_so(self, hand: Hand, link: Link) -> None:
        payment = hand.accept(operation=Operation.WITHDRAWAL, source_account="1", pin_block=bytes(32))
        forwarding.forward()
        install(link, Key.Type.TSK, bytes(32))
        retry(payment.id, actor="staff:alice", note="key installed")

        assert len(hand.take()) == 1

    def test_a_bug_in_one_stops_no_other(self, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
        poisoned, healthy = hand.accept(1), hand.accept(2)
        open_card = sealing.open_card

        def breaking(sealed: bytes, payment_id: UUID) -> Card:
            if payment_id == poisoned.id:
                raise ZeroDivisionError
            return open_card(sealed, payment_id)

        monkeypatch.setattr("transactions.preparing.open_card", breaking)
        forwarding.forward()

        assert (status_of(poisoned), status_of(healthy)) == ("on_hold", "in_flight")

    def test_one_that_ended_three_workers_is_held_and_its_siblings_go_on(
        self, hand: Hand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        class Killed(BaseException):
            """In place of a SIGKILL while encoding: nothing of ours may catch it."""

        deadly, healthy = hand.accept(1), hand.accept(2)
        open_card = sealing.open_card

        def killing(sealed: bytes, payment_id: UUID) -> Card:
            if payment_id == deadly.id:
                raise Killed
            return open_card(sealed, payment_id)

        monkeypatch.setattr("transactions.preparing.open_card", killing)
        for _ in range(3):
            monkeypatch.setattr(forwarding, "_alone", {})
            with pytest.raises(Killed):
                forwarding.forward()
            a_worker_starts_again()
        assert states() == ["ready", "ready"]
        monkeypatch.setattr(forwarding, "_alone", {})
        forwarding.forward()

        assert (status_of(deadly), status_of(healthy)) == ("on_hold", "in_flight")

    def test_a_worker_without_memory_holds_nobodys_payment(self, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
        payment = hand.accept()

        def starved(*_: object) -> Card:
            raise MemoryError

        with monkeypatch.context() as patched:
            patched.setattr("transactions.preparing.open_card", starved)
            for already_alone in (0, 1, 1, 1, 1):
                patched.setattr(forwarding, "_alone", {"bank": already_alone})
                with pytest.raises(MemoryError):
                    forwarding.forward()

        forwarding.forward()
        assert status_of(payment) == "in_flight"

    def test_one_that_breaks_its_batch_is_found_and_held(self, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
        breaking, healthy = hand.accept(1), hand.accept(2)
        append = store.append

        def failing(changes: Iterable[Change]) -> set[UUID]:
            given = list(changes)
            if any(change.before.state.id == breaking.id and change.after.attempts for change in given):
                raise IntegrityError
            return append(given)

        monkeypatch.setattr("transactions.store.append", failing)
        monkeypatch.setattr(forwarding, "_alone", {"bank": 0})
        with pytest.raises(IntegrityError):
            forwarding.forward()
        forwarding.forward()

        assert (status_of(breaking), status_of(healthy)) == ("on_hold", "in_flight")

    def test_one_that_is_only_looked_at_again_and_again_is_not(
        self, hand: Hand, link: Link, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Link.objects.update(window=1)
        for amount in (1, 2, 3):
            hand.accept(amount)
        for _ in range(6):
            monkeypatch.setattr(forwarding, "_alone", {})
            forwarding.forward()

        assert states() == ["dispatched", "dispatched", "ready"]
        assert list(QueueEntry.objects.values_list("suspicions", flat=True)) == [0, 0, 0]

    def test_one_that_many_workers_begin_with_at_once_is_not(self, hand: Hand) -> None:
        payment = hand.accept(1)
        for _ in range(6):
            queue.suspect_next("bank")

        forwarding.forward()

        assert status_of(payment) == "in_flight"

    def test_one_that_ends_the_worker_which_was_faster_keeps_its_mark(
        self, hand: Hand, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        hand.accept(1)
        claim_one = queue.claim_one
        faster = psycopg.connect(settings.DATABASE_DIRECT_URL)

        def too_late(entry_id: int) -> object:
            faster.execute("SELECT 1 FROM queueing_queueentry WHERE id = %s FOR UPDATE", (entry_id,))
            return claim_one(entry_id)

        monkeypatch.setattr(forwarding, "_alone", {})
        monkeypatch.setattr(queue, "claim_one", too_late)
        forwarding.forward()
        faster.close()
        ((suspicions, state),) = QueueEntry.objects.values_list("suspicions", "state")

        assert (suspicions, state) == (1, "ready")

    def test_a_mark_is_not_taken_back_from_one_that_another_worker_may_die_of(self, hand: Hand) -> None:
        hand.accept(1)
        mark, other = (queue.suspect_next("bank") for _ in range(2))
        assert mark
        assert other
        assert (mark.counts, other.counts) == (True, False)

        with psycopg.connect(settings.DATABASE_DIRECT_URL) as dying, transaction.atomic():
            rows("SELECT set_config('lock_timeout', '2s', true)")
            dying.execute("SELECT 1 FROM queueing_queueentry FOR UPDATE")
            queue.trust(mark)
        assert QueueEntry.objects.get().suspicions == 1

        queue.trust(mark)
        assert QueueEntry.objects.get().suspicions == 0

    def test_one_whose_worker_died_again_and_again_is_held(self, hand: Hand) -> None:
        payment = hand.accept(1)
        for _ in range(4):
            queue.suspect_next("bank")
            a_worker_starts_again()

        forwarding.forward()

        assert status_of(payment) == "on_hold"

    def test_one_at_hand_when_the_database_goes_is_not(self, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
        payment = hand.accept(1)
        for error in (OperationalError, InterfaceError, OperationalError, InterfaceError):
            monkeypatch.setattr(forwarding, "_alone", {})
            with monkeypatch.context() as away:
                away.setattr(forwarding, "dispatch_batch", Mock(side_effect=error))
                with pytest.raises(error):
                    forwarding.forward()
            a_worker_starts_again()

        forwarding.forward()

        assert status_of(payment) == "in_flight"

    def test_a_held_head_blocks_its_lane(self, hand: Hand) -> None:
        hand.accept(1, lane="a", operation=Operation.WITHDRAWAL, source_account="1", pin_block=bytes(32))
        hand.accept(2, lane="a")

        assert hand.take() == []
        assert states() == ["held", "blocked"]


class TestStans:
    def test_they_cycle(self, hand: Hand, link: Link) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER SEQUENCE processor_stan_{link.pk} RESTART WITH 999999")
        hand.accept(1)
        hand.accept(2)

        hand.take()

        assert list(Attempt.objects.order_by("payment_id").values_list("stan", flat=True)) == [999999, 1]

    def test_one_that_is_open_is_passed_over(self, hand: Hand, link: Link) -> None:
        hand.accept(1)
        hand.take()
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER SEQUENCE processor_stan_{link.pk} RESTART WITH 1")
        hand.accept(2)
        hand.take()

        assert sorted(Attempt.objects.values_list("stan", flat=True)) == [1, 2]

    def test_one_is_not_used_twice_in_a_second(self, hand: Hand, link: Link) -> None:
        for amount in (1, 2, 3):
            with connection.cursor() as cursor:
                cursor.execute(f"ALTER SEQUENCE processor_stan_{link.pk} RESTART WITH 1")
            hand.accept(amount)
            hand.answer(hand.take()[0])

        identities = set(Attempt.objects.values_list("stan", "transmitted_at", "terminal_id"))
        assert len(identities) == 3


def test_what_expired_before_it_was_dispatched_ends_unsent(hand: Hand) -> None:
    payment = hand.accept(expires_in_s=-1)

    forwarding.forward()

    assert status_of(payment) == "expired"
    assert not QueueEntry.objects.exists()
