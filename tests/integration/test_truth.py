"""The truth: events are only added, chained, and the read model is their fold (E1)."""

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection

from queueing.models import Lane, QueueEntry
from tests.integration.conftest import Hand, rewrite_event
from transactions import auditing, forwarding, store
from transactions.domain import commands as c
from transactions.domain.values import ReasonCode
from transactions.models import Attempt, Event, Payment
from transactions.store import Change


def violations() -> list[str]:
    return [str(violation) for violation in auditing.violations()]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transactions_event SET actor = 'nobody'",
        "DELETE FROM transactions_event",
        "TRUNCATE transactions_event",
    ],
)
def test_events_can_only_be_added(hand: Hand, statement: str) -> None:
    hand.accept()

    with pytest.raises(DatabaseError, match="pgtrigger"), connection.cursor() as cursor:
        cursor.execute(statement)
    assert Event.objects.count() == 1


def test_an_outdated_change_is_dropped_and_not_its_batch(hand: Hand) -> None:
    outdated, current = hand.accept(1), hand.accept(2)
    loaded = store.load([outdated.id, current.id])
    hold = c.Hold(ReasonCode.CANNOT_BE_ENCODED)
    changes = [
        Change.deciding(loaded[payment.id], hold, actor="test", at=payment.created_at)
        for payment in (outdated, current)
    ]
    cancel = c.Cancel(ReasonCode.CANCELLED_BY_STAFF)
    store.append([Change.deciding(loaded[outdated.id], cancel, actor="test", at=outdated.created_at)])

    won = store.append(changes)

    assert won == {current.id}
    assert list(Event.objects.filter(payment_id=outdated.id).values_list("type", flat=True)) == [
        "Accepted",
        "Cancelled",
    ]


class TestVerify:
    @pytest.fixture(autouse=True)
    def payments(self, hand: Hand) -> None:
        for amount in (1, 2, 3):
            hand.accept(amount, lane="a")
        hand.answer(hand.take()[0])
        hand.silence(hand.take()[0])
        assert violations() == []

    def test_it_says_that_nothing_is_wrong(self, capsys: pytest.CaptureFixture[str]) -> None:
        call_command("verify")
        call_command("rebuild")

        assert "3 payments verified: nothing is wrong." in capsys.readouterr().out

    def test_an_altered_event_is_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        event = Event.objects.filter(type="Approved").get()
        event.data["authorisation_code"] = "654321"
        rewrite_event(event)

        with pytest.raises(CommandError, match="violations in 3 payments"):
            call_command("verify")

        said = capsys.readouterr().out
        assert f"payment {event.payment_id}: event {event.version} (Approved) was altered" in said

    def test_a_column_that_was_changed_by_hand_is_named(self, capsys: pytest.CaptureFixture[str]) -> None:
        payment = Payment.objects.get(status="approved")
        Payment.objects.filter(id=payment.id).update(status="declined")

        with pytest.raises(CommandError, match="1 differences"):
            call_command("rebuild")
        assert f"payment {payment.id}: column status differs" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("damage", "check"),
        [
            (lambda: Attempt.objects.filter(outcome="approved").update(stan=999), "e1_row_is_the_fold"),
            (lambda: Attempt.objects.filter(outcome="approved").delete(), "e1_row_is_the_fold"),
            (lambda: QueueEntry.objects.filter(kind="reversal").delete(), "m3_ends_once"),
            (lambda: QueueEntry.objects.filter(kind="reversal").update(pin=b"x"), "s2_no_pin_outlives"),
            (lambda: QueueEntry.objects.filter(state="blocked").update(state="ready"), "Q2 more than one"),
            (lambda: Lane.objects.update(open=7), "Q2 a lane's counter"),
        ],
        ids=["attempt changed", "attempt gone", "reversal gone", "PIN kept", "lane overtaken", "lane miscounted"],
    )
    def test_damage_is_found(self, damage: object, check: str) -> None:
        damage()  # type: ignore[operator]

        assert any(check in violation for violation in violations())


def test_a_late_dispatch_would_be_found(hand: Hand) -> None:
    hand.accept()
    forwarding.forward()
    Attempt.objects.update(taken_at=Payment.objects.get().expires_at.replace(year=2030))

    assert any("m13" in violation for violation in violations())
