"""Filing: the first of answer and silence decides; evidence is never fenced and never dropped (F3)."""

from datetime import UTC, datetime, timedelta

from msgspec.structs import replace

from processor.link.history import HistoryStep
from processor.models import InboundFrame, LinkEvent, Message
from processor.store import Filing
from queueing.models import QueueEntry
from tests.integration.conftest import Hand, answering, status_of
from transactions import settling


def kinds() -> list[str]:
    return list(InboundFrame.objects.order_by("id").values_list("kind", flat=True))


def silence(taken: object) -> Filing:
    return Filing("silence", datetime.now(UTC), taken, "timeout")  # type: ignore[arg-type]


def test_an_answer_is_filed_sealed(hand: Hand) -> None:
    hand.accept()
    (taken,) = hand.take()

    hand.file(answering(taken))

    frame = InboundFrame.objects.get()
    assert (frame.kind, frame.payment_id, frame.elapsed_us) == ("answer", taken.payment_id, 20000)
    assert b"0210" not in bytes(frame.body or b"")
    assert QueueEntry.objects.get().state == "answered"


def test_an_answer_first_then_silence_is_nothing(hand: Hand) -> None:
    hand.accept()
    (taken,) = hand.take()

    hand.file(answering(taken))
    hand.file(silence(taken))

    assert kinds() == ["answer"]


def test_an_answer_after_silence_is_evidence(hand: Hand) -> None:
    hand.accept()
    (taken,) = hand.take()

    hand.file(silence(taken))
    hand.file(answering(taken))

    assert kinds() == ["silence", "stray"]


def test_a_new_holder_declares_silence_for_what_others_took(hand: Hand) -> None:
    hand.accept(1)
    hand.accept(2)
    hand.take(1)
    hand.epoch = 2
    hand.hold()
    hand.take(1)

    known = [one.entry_id for one in hand.taken]
    assert hand.run(lambda store: store.file_orphans(known)) == 1
    assert [(f.kind, f.cause, f.epoch) for f in InboundFrame.objects.all()] == [("silence", "taken_over", 1)]


def test_an_old_holder_may_file_what_it_read_but_not_declare_silence(hand: Hand) -> None:
    hand.accept()
    (taken,) = hand.take()
    hand.silence(taken)
    hand.epoch = 2
    hand.hold()
    (reversal,) = hand.take()
    hand.epoch = 1

    hand.file(silence(reversal))
    hand.file(answering(taken))

    assert kinds() == ["stray"]
    assert QueueEntry.objects.get().state == "taken"


def test_an_answer_to_the_original_never_answers_its_reversal(hand: Hand) -> None:
    payment = hand.accept()
    (taken,) = hand.take()
    hand.silence(taken)
    hand.take()

    hand.file(answering(taken))
    settling.settle()

    assert status_of(payment) == "reversing"
    assert QueueEntry.objects.get().state == "taken"


def test_a_batch_is_filed_as_a_whole(hand: Hand) -> None:
    for amount in range(1, 6):
        hand.accept(amount)
    taken = hand.take()

    hand.file(*(answering(one) for one in taken[:3]), silence(taken[3]), silence(taken[4]))

    assert sorted(kinds()) == ["answer"] * 3 + ["silence"] * 2


def test_what_was_on_the_wire_is_in_the_journal_masked(hand: Hand) -> None:
    payment = hand.accept()
    (taken,) = hand.take()
    hand.answer(taken)

    sent, received = Message.objects.filter(payment_id=payment.id).order_by("id")
    assert (sent.outward, sent.mti, sent.fields["2"]) == (True, "0200", "411111******1111")
    assert (received.outward, received.mti, received.fields["39"]) == (False, "0210", "00")


def test_what_was_waited_for_longest_is_filed_as_any_other(hand: Hand) -> None:
    hand.accept()
    (taken,) = hand.take()

    hand.file(replace(answering(taken), elapsed_s=3600.0))

    assert kinds() == ["answer"]


def test_a_link_that_was_up_for_months_says_for_how_long(hand: Hand) -> None:
    up_ms = timedelta(days=100) // timedelta(milliseconds=1)

    hand.run(lambda store: store.tell_history([HistoryStep(datetime.now(UTC), "closed", after_ms=up_ms)]))

    assert LinkEvent.objects.get().after_ms == up_ms
