"""From a filed answer to a payment's end: every way it can go."""

import threading
from collections.abc import Collection
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from processor.codec.message import decode
from processor.keys.store import LinkKeys
from processor.models import InboundFrame, Message
from processor.store import Filing, Taken
from queueing import queue
from queueing.models import Lane, QueueEntry
from tests.builders import BANK
from tests.integration.conftest import Hand, answering, status_of
from tests.stack import wait_until
from transactions import auditing, forwarding, settling
from transactions.domain.values import Operation, ReasonCode
from transactions.models import Attempt, Event, Payment
from transactions.services import cancel


@pytest.fixture(autouse=True)
def everything_holds(hand: Hand) -> object:
    """Whatever a test does, the invariants hold afterwards."""
    yield
    assert [str(violation) for violation in auditing.violations()] == []


def events_of(payment: Payment) -> list[str]:
    return list(Event.objects.filter(payment_id=payment.id).order_by("version").values_list("type", flat=True))


def on_the_wire(taken: Taken) -> tuple[str, str]:
    message = decode(taken.body, BANK)
    return message.mti, message.fields[11]


def due(hand: Hand) -> list[Taken]:
    """What waits for its time is due now."""
    QueueEntry.objects.filter(state="waiting").update(not_before=timezone.now() - timedelta(seconds=1))
    return hand.take()


def test_an_approval_ends_it(hand: Hand) -> None:
    payment = hand.accept()
    (taken,) = hand.take()

    hand.answer(taken)

    payment.refresh_from_db()
    assert (payment.status, payment.response_code, payment.authorisation_code) == ("approved", "00", "123456")
    assert (payment.host_rrn, payment.accepted_attempt) == ("H00000000001", 1)
    assert events_of(payment) == ["Accepted", "Dispatched", "Approved"]
    assert not QueueEntry.objects.exists()
    assert not InboundFrame.objects.exists()


def test_what_the_wire_knows_is_kept_with_the_attempt(hand: Hand) -> None:
    payment = hand.accept()
    (taken,) = hand.take()
    hand.answer(taken)

    attempt = Attempt.objects.get(payment_id=payment.id)
    assert attempt.epoch == 1
    assert attempt.taken_at is not None
    assert attempt.answered_at is not None
    assert attempt.taken_at <= attempt.answered_at


def test_a_decline_ends_it(hand: Hand) -> None:
    payment = hand.accept()
    (taken,) = hand.take()

    hand.answer(taken, "51")

    assert status_of(payment) == "declined"


def test_a_passing_decline_is_tried_three_times_under_new_stans(hand: Hand) -> None:
    payment = hand.accept()
    stans = []
    for taken in (hand.take(), None, None):
        (one,) = taken or due(hand)
        stans.append(on_the_wire(one)[1])
        hand.answer(one, "91")

    assert status_of(payment) == "declined"
    assert payment.reason == "retries_exhausted"
    assert len(set(stans)) == 3


def test_silence_becomes_a_reversal_in_the_same_commit(hand: Hand) -> None:
    payment = hand.accept()
    (taken,) = hand.take()

    hand.silence(taken)

    entry = QueueEntry.objects.get()
    assert status_of(payment) == "reversing"
    assert (entry.kind, entry.state, entry.priority, entry.expires_at) == ("reversal", "ready", 10, None)


def test_a_reversal_is_0420_then_0421_until_the_host_accepts_it(hand: Hand) -> None:
    payment = hand.accept()
    hand.silence(hand.take()[0])
    (first,) = hand.take()
    hand.silence(first)
    (second,) = due(hand)
    hand.answer(second, "91")
    (third,) = due(hand)
    hand.answer(third, "94")

    assert [on_the_wire(one)[0] for one in (first, second, third)] == ["0420", "0421", "0421"]
    assert len({on_the_wire(one)[1] for one in (first, second, third)}) == 1
    assert len({decode(one.body, BANK).fields[7] for one in (first, second, third)}) == 1
    assert status_of(payment) == "reversed"


def test_a_reversal_that_was_never_written_is_still_0420(hand: Hand) -> None:
    hand.accept()
    hand.silence(hand.take()[0])
    (first,) = hand.take()
    hand.run(lambda store: store.untake([first], failed=True))
    hand.report(up=False)
    forwarding.forward()
    hand.report(up=True)

    (again,) = hand.take()

    assert on_the_wire(again) == ("0420", on_the_wire(first)[1])


def test_an_original_the_host_never_had_needs_no_undoing(hand: Hand) -> None:
    payment = hand.accept()
    hand.silence(hand.take()[0])

    hand.answer(hand.take()[0], "25")

    assert status_of(payment) == "reversed"


def test_a_refused_reversal_is_held_and_goes_on_when_told(hand: Hand) -> None:
    from transactions.services import retry  # noqa: PLC0415

    payment = hand.accept()
    hand.silence(hand.take()[0])
    hand.answer(hand.take()[0], "57")
    assert status_of(payment) == "on_hold"

    retry(payment.id, actor="staff:alice", note="the bank agreed")
    hand.answer(hand.take()[0], "00")

    assert status_of(payment) == "reversed"
    assert Event.objects.get(payment_id=payment.id, type="RetryRequested").actor == "staff:alice"


def test_reversals_go_before_everything_else(hand: Hand) -> None:
    hand.accept(1)
    hand.silence(hand.take()[0])
    for amount in (2, 3):
        hand.accept(amount, priority=9)

    assert [one.mti for one in hand.take()] == ["0420", "0200", "0200"]


@pytest.mark.parametrize("changes", [{"f4": "000000000999"}, {"f49": "840"}], ids=["amount", "currency"])
def test_an_answer_that_does_not_fit_is_undone(hand: Hand, changes: dict[str, str]) -> None:
    payment = hand.accept()

    hand.answer(hand.take()[0], **changes)

    assert status_of(payment) == "reversing"
    assert payment.reason == "wrong_answer"


def test_a_signed_operation_without_a_signed_answer_is_undone(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = LinkKeys(bytes(16), (bytes(16),))
    monkeypatch.setattr(forwarding, "keys_of", lambda _: keys)
    monkeypatch.setattr(settling, "keys_of", lambda _: keys)
    payment = hand.accept(operation=Operation.WITHDRAWAL, source_account="1", pin_block=bytes(32))
    (taken,) = hand.take()
    assert decode(taken.body, BANK).fields.keys() >= {64, 102, 123}

    hand.answer(taken)

    assert status_of(payment) == "reversing"
    assert payment.reason == "bad_mac"
    (reversal,) = hand.take()
    assert 64 in decode(reversal.body, BANK).fields
    assert 123 not in decode(reversal.body, BANK).fields


def test_a_balance_inquiry_nobody_answered_just_failed(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarding, "keys_of", lambda _: LinkKeys(bytes(16), ()))
    payment = hand.accept(0, operation=Operation.BALANCE_INQUIRY, source_account="1", pin_block=bytes(32))

    hand.silence(hand.take()[0])

    assert status_of(payment) == "failed"
    assert not QueueEntry.objects.exists()


def test_a_balance_is_kept_with_its_payment(hand: Hand) -> None:
    payment = hand.accept()

    hand.answer(hand.take()[0], f54="001360000000012345")

    payment.refresh_from_db()
    assert payment.balances == [{"account_type": None, "amount_type": "001", "currency": "IDR", "amount_minor": 12345}]


class TestM6LateApprovals:
    def test_a_duplicate_answer_changes_nothing(self, hand: Hand) -> None:
        payment = hand.accept()
        (taken,) = hand.take()
        hand.answer(taken)

        hand.stray(taken)

        assert status_of(payment) == "approved"
        assert events_of(payment)[-1] == "AnswerNoted"

    def test_one_that_comes_while_it_is_undone_changes_nothing(self, hand: Hand) -> None:
        payment = hand.accept()
        (taken,) = hand.take()
        hand.silence(taken)

        hand.stray(taken)

        assert status_of(payment) == "reversing"
        assert QueueEntry.objects.count() == 1

    def test_one_that_comes_after_it_was_undone_is_undone_again_by_0421(self, hand: Hand) -> None:
        payment = hand.accept()
        (taken,) = hand.take()
        hand.silence(taken)
        (first,) = hand.take()
        hand.answer(first)

        hand.stray(taken)
        (again,) = hand.take()
        hand.answer(again, "94")

        assert on_the_wire(again) == ("0421", on_the_wire(first)[1])
        assert status_of(payment) == "reversed"

    def test_one_of_a_declined_attempt_is_undone_before_the_next_is_tried(self, hand: Hand) -> None:
        payment = hand.accept()
        (first,) = hand.take()
        hand.answer(first, "91")
        hand.stray(first)
        taken = due(hand)

        assert [one.mti for one in taken] == ["0420"]
        assert due(hand) == []
        hand.answer(taken[0])
        (second,) = due(hand)
        hand.answer(second)

        assert status_of(payment) == "approved"
        assert payment.accepted_attempt == 3

    def test_one_that_was_filed_before_the_silence_was_settled_waits_for_it(self, hand: Hand) -> None:
        payment = hand.accept()
        (taken,) = hand.take()
        filed = answering(taken)
        stray = Filing("stray", filed.received_at, None, "", None, filed.body, "bank-ascii87")
        hand.file(stray)
        settling.settle()
        assert InboundFrame.objects.count() == 1

        hand.silence(taken)

        assert status_of(payment) == "reversing"
        assert not InboundFrame.objects.exists()


class TestNobodysAnswers:
    def test_one_nobody_asked_for_is_in_the_journal(self, hand: Hand) -> None:
        hand.accept()
        (taken,) = hand.take()
        filed = answering(taken, f11="999999")

        hand.file(Filing("stray", datetime.now(UTC), None, "", None, filed.body, "bank-ascii87"))
        settling.settle()

        message = Message.objects.get(payment_id=None)
        assert (message.mti, message.remark) == ("0210", "unmatched")

    def test_garbage_is_in_the_journal_by_its_length_only(self, hand: Hand) -> None:
        body = b"4111111111111111 garbage"
        hand.file(Filing("stray", datetime.now(UTC), None, "unreadable", None, body, "bank-ascii87"))
        settling.settle()

        message = Message.objects.get()
        assert message.remark == "unreadable"
        assert "4111111111111111" not in str(message.fields)


class TestLanesGoOn:
    def test_the_next_moves_when_the_first_has_ended(self, hand: Hand) -> None:
        payments = [hand.accept(amount, lane="a") for amount in (1, 2, 3)]
        for payment in payments:
            (taken,) = hand.take()
            assert taken.payment_id == payment.id
            hand.answer(taken)

        assert not Lane.objects.exists()

    def test_a_lane_waits_for_the_reversal_too(self, hand: Hand) -> None:
        hand.accept(1, lane="a")
        second = hand.accept(2, lane="a")
        hand.silence(hand.take()[0])

        (reversal,) = hand.take()
        assert reversal.mti == "0420"
        hand.answer(reversal)

        assert hand.take()[0].payment_id == second.id

    def test_one_lane_never_waits_for_another(self, hand: Hand) -> None:
        hand.accept(1, lane="a")
        hand.take()
        other = hand.accept(2, lane="b")

        assert [one.payment_id for one in hand.take()] == [other.id]


class TestPoison:
    def test_a_frame_that_cannot_be_worked_on_stops_no_other(self, hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
        from transactions import judging  # noqa: PLC0415

        poisoned, healthy = hand.accept(1), hand.accept(2)
        taken = hand.take()
        judge = judging.judge

        def breaking(before: object, *args: object) -> object:
            if before.state.id == poisoned.id:  # type: ignore[attr-defined]
                raise ZeroDivisionError
            return judge(before, *args)  # type: ignore[arg-type]

        monkeypatch.setattr(judging, "judge", breaking)
        hand.file(*map(answering, taken))
        settling.settle()

        assert status_of(healthy) == "approved"
        assert status_of(poisoned) == "on_hold"
        assert InboundFrame.objects.get().failed == "ZeroDivisionError"


def test_settling_is_rung_for_what_became_ready(hand: Hand, rings: list[tuple[str, float]]) -> None:
    hand.accept()
    (taken,) = hand.take()
    rings.clear()

    hand.silence(taken)

    assert ("forward", 0.0) in rings


def test_a_retry_is_rung_for_when_it_is_due(hand: Hand, rings: list[tuple[str, float]]) -> None:
    hand.accept()
    (taken,) = hand.take()
    rings.clear()

    hand.answer(taken, "96")

    ((queue, seconds),) = rings
    assert queue == "forward"
    assert 0.5 < seconds < 1.5


class TestM7AfterATakeover:
    def test_an_original_the_host_does_not_have_is_asked_for_twice(self, hand: Hand) -> None:
        payment = hand.accept()
        hand.silence(hand.take()[0], "taken_over")
        (first,) = hand.take()
        hand.answer(first, "25")
        assert status_of(payment) == "reversing"

        (again,) = due(hand)
        hand.answer(again, "25")

        assert on_the_wire(again) == ("0421", on_the_wire(first)[1])
        assert status_of(payment) == "reversed"


def cut_over(hand: Hand) -> None:
    """The host's business date moves on."""
    hand.run(lambda store: store.cut_over("1121000000:000001"))


def test_a_cut_over_in_mid_flight_keeps_the_originals_date(hand: Hand) -> None:
    payment = hand.accept()
    (taken,) = hand.take()
    cut_over(hand)

    hand.silence(taken)
    (reversal,) = hand.take()
    hand.silence(reversal)
    (repeat,) = due(hand)
    hand.answer(repeat)
    following = hand.accept()
    hand.answer(hand.take()[0])

    dates = dict(Attempt.objects.filter(payment_id=payment.id).values_list("kind", "business_date"))
    assert dates["request"] == dates["reversal"]
    assert Attempt.objects.get(payment_id=following.id).business_date == dates["request"] + timedelta(days=1)


def test_a_host_that_approved_and_does_not_find_it_is_asked_again_and_then_a_person(hand: Hand) -> None:
    payment = hand.accept()
    (taken,) = hand.take()
    hand.silence(taken)
    (reversal,) = hand.take()
    hand.stray(taken)

    hand.answer(reversal, "25")
    assert status_of(payment) == "reversing"
    (repeat,) = due(hand)
    hand.answer(repeat, "25")

    entry = QueueEntry.objects.get()
    assert (reversal.mti, repeat.mti) == ("0420", "0421")
    assert (status_of(payment), payment.reason) == ("on_hold", "approved_then_not_found")
    assert (entry.kind, entry.state, entry.held_reason) == ("reversal", "held", "approved_then_not_found")


def test_an_approval_read_just_before_not_found_is_heard_first(hand: Hand) -> None:
    payment = hand.accept()
    (taken,) = hand.take()
    hand.silence(taken)
    (reversal,) = hand.take()
    approval = answering(taken)

    hand.file(
        Filing("stray", approval.received_at, None, "", None, approval.body, "bank-ascii87"), answering(reversal, "25")
    )
    settling.settle()

    assert status_of(payment) == "reversing"
    assert events_of(payment)[-2:] == ["AnswerNoted", "Unaccepted"]


@pytest.mark.parametrize("code", ["12", "30", "57"])
def test_a_reversal_the_host_refuses_waits_for_a_person_and_stops_no_other(hand: Hand, code: str) -> None:
    payment = hand.accept()
    hand.silence(hand.take()[0])
    hand.answer(hand.take()[0], code)
    sibling = hand.accept()

    (taken,) = due(hand)
    hand.answer(taken)

    entry = QueueEntry.objects.get()
    assert (status_of(payment), payment.reason) == ("on_hold", "reversal_refused")
    assert (entry.kind, entry.state, entry.held_reason) == ("reversal", "held", "reversal_refused")
    assert status_of(sibling) == "approved"


def test_a_duplicate_on_a_first_write_is_no_success_and_on_a_repeat_it_is(hand: Hand) -> None:
    payment = hand.accept()
    hand.answer(hand.take()[0], "94")
    assert (status_of(payment), payment.reason) == ("reversing", "duplicate_refused")

    hand.answer(hand.take()[0], "94")
    assert status_of(payment) == "reversing"
    hand.answer(due(hand)[0], "94")

    assert status_of(payment) == "reversed"


def test_a_late_approval_of_the_first_attempt_after_the_second_was_approved(hand: Hand) -> None:
    payment = hand.accept()
    (first,) = hand.take()
    hand.answer(first, "91")
    hand.answer(due(hand)[0])

    hand.stray(first)
    (reversal,) = hand.take()
    hand.answer(reversal)

    assert (status_of(payment), payment.accepted_attempt) == ("approved", 2)
    undone = Attempt.objects.get(payment_id=payment.id, number=1)
    assert (undone.outcome, undone.undoing) == ("approved", "accepted")
    assert not QueueEntry.objects.exists()


def settling_beside() -> threading.Thread:
    """A settler of its own, not begun."""

    def settle() -> None:
        settling.settle()
        connection.close()

    return threading.Thread(target=settle)


def wait_until_one_waits_for_a_lock() -> None:
    waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    with psycopg.connect(settings.DATABASE_DIRECT_URL, autocommit=True) as looking:
        wait_until(lambda: looking.execute(waiting).fetchone(), 30, "one waits for a lock of another")


def test_a_cancel_that_comes_with_the_answer_and_the_settling_wait_in_line(hand: Hand) -> None:
    payment = hand.accept()
    hand.file(answering(hand.take()[0]))
    settler = settling_beside()
    with psycopg.connect(settings.DATABASE_DIRECT_URL) as cancelling:
        cancelling.execute("SELECT 1 FROM queueing_queueentry WHERE payment_id = %s FOR UPDATE", (payment.id,))
        settler.start()
        wait_until_one_waits_for_a_lock()
        cancelling.execute("SELECT 1 FROM transactions_payment WHERE id = %s FOR NO KEY UPDATE", (payment.id,))
    settler.join()

    assert status_of(payment) == "approved"


def test_a_cancel_of_the_next_in_a_lane_whose_head_is_settled_is_done_and_so_is_the_settling(
    hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    head, following = hand.accept(1, lane="a"), hand.accept(2, lane="a")
    hand.file(answering(hand.take()[0]))
    settler = settling_beside()
    close = queue.close

    def close_late(ids: Collection[int], states: Collection[str]) -> set[str]:
        if "blocked" in states:
            settler.start()
            wait_until_one_waits_for_a_lock()
        return close(ids, states)

    monkeypatch.setattr(queue, "close", close_late)
    cancel(following.id, actor="api:test", reason=ReasonCode.CANCELLED_BY_CLIENT)
    settler.join()

    assert [status_of(payment) for payment in (head, following)] == ["approved", "cancelled"]
    assert not Lane.objects.exists()
