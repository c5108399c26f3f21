"""What a host may send that it should not: what is filed, what is counted, and where the payment ends.

One test for every line of "On the wire" among the invariants; the bytes go through the link's own machine, filer
and store, as from a socket.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import cast

import pytest

from processor import metrics
from processor.codec.message import Message, decode, encode
from processor.filing import Filer
from processor.keys.signing import signed
from processor.keys.store import LinkKeys
from processor.link import events as ev
from processor.link.machine import Machine
from processor.link.network import network_answer
from processor.models import InboundFrame
from processor.models import Message as Journal
from processor.store import LinkStore, Taken
from queueing.models import QueueEntry
from tests.builders import BANK, profile
from tests.integration.conftest import Hand, status_of
from transactions import auditing, forwarding, settling
from transactions.domain.values import Operation
from transactions.models import Attempt, Payment

Answering = Callable[[Message], bytes]


@pytest.fixture(autouse=True)
def everything_holds(hand: Hand) -> object:
    """Whatever came in, the invariants hold afterwards and nothing is left unsettled."""
    yield
    assert [str(violation) for violation in auditing.violations()] == []
    assert not InboundFrame.objects.exists()


class Wire:
    """The link's own machine and filer, with a host at the other end that says what a test wants."""

    def __init__(self, hand: Hand) -> None:
        self._hand = hand
        self._now = 0.0
        self.machine = Machine(profile(answer_timeout_s=20, echo_interval_s=100))
        self.machine.supply(range(900_001, 900_100))
        self._connect()

    def _connect(self) -> None:
        """The host accepts the sign-on, then the echo."""
        events = self.machine.connected(self.at())
        for _ in range(2):
            asked = [event for event in events if isinstance(event, ev.NetworkMessage) and event.outward][-1]
            body = encode(network_answer(decode(asked.body, BANK), "00", BANK), BANK)
            events = self.machine.receive(frame(body), self.at())

    def at(self) -> ev.Moment:
        return ev.Moment(self._now, datetime.now(UTC))

    def write(self, *taken: Taken) -> None:
        """The frames are on the wire."""
        self.machine.send([ev.Outgoing(one, one.key, one.mti, one.body) for one in taken], self.at())

    def receive(self, received: bytes) -> None:
        """Bytes came in; what the machine says of them is filed and settled."""
        self._file(self.machine.receive(received, self.at()))

    def wait(self) -> None:
        """The host's time is over."""
        self._now += 21
        self._file(self.machine.tick(self.at()))

    def _file(self, events: Sequence[ev.Event]) -> None:
        async def file(store: LinkStore) -> None:
            filer = Filer("bank", store)
            for event in events:
                match event:
                    case ev.Answered(message):
                        filer.answered(event, cast("Taken", message.token), BANK)
                    case ev.Unanswered(message):
                        filer.unanswered(event, cast("Taken", message.token))
                    case ev.Stray():
                        filer.stray(event, BANK)
            filer.finish()
            await filer.run()

        if events:
            self._hand.run(file)
            settling.settle()


def frame(body: bytes) -> bytes:
    return b"%04d" % len(body) + body


def approval(asked: Message, code: str = "00", mti: str = "0210", **changes: str | None) -> bytes:
    """The host's approval of a purchase, with fields changed or, where None, left out."""
    kept = {number: asked.fields[number] for number in (3, 4, 7, 11, 41, 49)}
    fields: dict[int, str | None] = {**kept, 37: "H00000000001", 38: "123456", 39: code}
    fields |= {int(name.removeprefix("f")): value for name, value in changes.items()}
    return encode(Message(mti, {number: value for number, value in fields.items() if value is not None}), BANK)


def counted(result: str, mti: str = "", direction: str = "in") -> float:
    return float(metrics.messages("bank", direction, mti, result)._value.get())


def unmatched() -> float:
    return float(metrics.UNMATCHED.labels("bank")._value.get())


@pytest.fixture
def wire(hand: Hand) -> Wire:
    return Wire(hand)


def on_its_way(hand: Hand, wire: Wire) -> tuple[Payment, Message]:
    """A payment whose request was written."""
    payment = hand.accept()
    (taken,) = hand.take()
    wire.write(taken)
    return payment, decode(taken.body, BANK)


def is_being_undone(payment: Payment, reason: str) -> None:
    """M4: its reversal is in the queue, and nothing else."""
    assert (status_of(payment), payment.reason) == ("reversing", reason)
    entry = QueueEntry.objects.get()
    assert (entry.kind, entry.state, entry.reverses) == ("reversal", "ready", 1)


def remarks() -> list[tuple[str, str]]:
    return list(Journal.objects.filter(outward=False).order_by("id").values_list("mti", "remark"))


# What comes for a payment and does not count


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"f39": None}, "wrong_answer"),
        ({"f39": "  "}, "wrong_answer"),
        ({"code": "ZZ"}, "outcome_unknown"),
        ({"code": "11"}, "outcome_unknown"),
        ({"code": "68"}, "outcome_unknown"),
        ({"code": "94"}, "duplicate_refused"),
        ({"code": "10", "f4": "000000000050"}, "partial_approval"),
        ({"f4": "000000000101"}, "wrong_answer"),
        ({"f4": None}, "wrong_answer"),
        ({"f49": "840"}, "wrong_answer"),
        ({"f49": None}, "wrong_answer"),
        ({"mti": "0230"}, "wrong_answer"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(f"{k}={v}" for k, v in value.items()),
)
def test_an_answer_that_cannot_count_is_undone(hand: Hand, wire: Wire, changes: dict[str, str], reason: str) -> None:
    payment, asked = on_its_way(hand, wire)
    before = counted("answered", "0210")

    wire.receive(frame(approval(asked, **changes)))

    is_being_undone(payment, reason)
    assert counted("answered", "0210") == before + 1
    assert remarks() == [(changes.get("mti", "0210"), reason)]


@pytest.mark.parametrize("signature", [None, "0" * 32, "A1" * 16])
def test_an_answer_without_the_right_mac_is_undone(
    hand: Hand, wire: Wire, monkeypatch: pytest.MonkeyPatch, signature: str | None
) -> None:
    keys = LinkKeys(bytes(16), (bytes(16),))
    monkeypatch.setattr(forwarding, "keys_of", lambda _: keys)
    monkeypatch.setattr(settling, "keys_of", lambda _: keys)
    payment = hand.accept(operation=Operation.WITHDRAWAL, source_account="1", pin_block=bytes(32))
    (taken,) = hand.take()
    wire.write(taken)

    wire.receive(frame(approval(decode(taken.body, BANK), f64=signature)))

    is_being_undone(payment, "bad_mac")
    assert remarks() == [("0210", "bad_mac")]


@pytest.mark.parametrize("key", [b"\1" * 16, b"\2" * 16], ids=["before", "now"])
def test_an_answer_is_believed_by_the_key_before_while_that_is_good(
    hand: Hand, wire: Wire, monkeypatch: pytest.MonkeyPatch, key: bytes
) -> None:
    keys = LinkKeys(b"\2" * 16, (b"\1" * 16, b"\2" * 16))
    monkeypatch.setattr(forwarding, "keys_of", lambda _: keys)
    monkeypatch.setattr(settling, "keys_of", lambda _: keys)
    payment = hand.accept(operation=Operation.WITHDRAWAL, source_account="1", pin_block=bytes(32))
    (taken,) = hand.take()
    wire.write(taken)

    answer = decode(approval(decode(taken.body, BANK)), BANK)
    wire.receive(frame(encode(signed(answer, BANK, key), BANK)))

    assert status_of(payment) == "approved"


# What cannot be told whose it is: the payment hears nothing, and is undone when its time is over


def without_stan(asked: Message) -> bytes:
    return approval(asked, f11=None)


def a_digit_more_in_the_code(asked: Message) -> bytes:
    body = approval(asked)
    at = body.index(b"12345600") + 8
    return body[:at] + b"0" + body[at:]


def a_field_the_bitmap_does_not_name(asked: Message) -> bytes:
    return approval(asked) + b"012"


def a_bitmap_that_names_what_is_not_there(asked: Message) -> bytes:
    body = approval(asked)
    return body[:4] + b"%016X" % (int(body[4:20], 16) | 1) + body[20:]


def a_length_that_overruns(asked: Message) -> bytes:
    return approval(asked, f102="1").replace(b"011", b"991")


def a_length_that_is_no_number(asked: Message) -> bytes:
    return approval(asked, f102="1")[:-3] + b"x11"


def an_mti_that_is_no_number(asked: Message) -> bytes:
    return b"02x0" + approval(asked)[4:]


def cut_short(asked: Message) -> bytes:
    return approval(asked)[:-1]


@pytest.mark.parametrize(
    "unreadable",
    [
        a_digit_more_in_the_code,
        a_field_the_bitmap_does_not_name,
        a_bitmap_that_names_what_is_not_there,
        a_length_that_overruns,
        a_length_that_is_no_number,
        an_mti_that_is_no_number,
        cut_short,
    ],
)
def test_an_unreadable_answer_is_filed_masked_and_the_silence_is_undone(
    hand: Hand, wire: Wire, unreadable: Answering
) -> None:
    payment, asked = on_its_way(hand, wire)
    sibling, asked_too = on_its_way(hand, wire)
    before, strays = counted("unreadable"), unmatched()

    wire.receive(frame(unreadable(asked)) + frame(approval(asked_too)))

    assert (status_of(payment), status_of(sibling)) == ("in_flight", "approved")
    assert (counted("unreadable"), unmatched()) == (before + 1, strays + 1)
    dump = Journal.objects.get(remark="unreadable")
    assert dump.fields.keys() == {"unreadable"}
    assert "411111" not in str(dump.fields)
    wire.wait()
    is_being_undone(payment, "host_timeout")


@pytest.mark.parametrize(
    ("odd", "mti", "label"),
    [
        (without_stan, "0210", "0210"),
        (lambda asked: approval(asked, f11="999999"), "0210", "0210"),
        (lambda asked: approval(asked, f7="0101000000"), "0210", "0210"),
        (lambda asked: approval(asked, f41="ATM-002"), "0210", "0210"),
        (lambda asked: approval(asked, mti="0110"), "0110", "0110"),
        (lambda asked: approval(asked, mti="0200"), "0200", "0200"),
        (lambda asked: approval(asked, mti="9977"), "9977", "other"),
    ],
    ids=["no 11", "another 11", "another 7", "another 41", "another class", "a request", "no MTI we know"],
)
def test_an_answer_nobody_asked_for_is_filed_and_changes_nothing(
    hand: Hand, wire: Wire, odd: Answering, mti: str, label: str
) -> None:
    payment, asked = on_its_way(hand, wire)
    before, strays = counted("stray", label), unmatched()

    wire.receive(frame(odd(asked)))

    assert status_of(payment) == "in_flight"
    assert (counted("stray", label), unmatched()) == (before + 1, strays + 1)
    assert remarks() == [(mti, "unmatched")]
    wire.wait()
    is_being_undone(payment, "host_timeout")


# What the stream itself may be


@pytest.mark.parametrize("broken", [b"????", b"9999", b"-001", b"\x00\x00\x00\x10"])
def test_a_stream_that_is_none_silences_what_is_in_flight(hand: Hand, wire: Wire, broken: bytes) -> None:
    answered, asked = on_its_way(hand, wire)
    payment, _ = on_its_way(hand, wire)
    silences = counted("connection_lost", "0200", "out")

    wire.receive(frame(approval(asked)) + broken + frame(approval(asked)))

    assert status_of(answered) == "approved"
    is_being_undone(payment, "connection_lost")
    assert counted("connection_lost", "0200", "out") == silences + 1


def test_a_frame_that_never_completes_is_silence(hand: Hand, wire: Wire) -> None:
    payment, asked = on_its_way(hand, wire)

    wire.receive(frame(approval(asked))[:-1])
    wire.wait()

    is_being_undone(payment, "host_timeout")


def test_empty_frames_and_one_byte_slices_are_as_good_as_any(hand: Hand, wire: Wire) -> None:
    payment, asked = on_its_way(hand, wire)
    stream = b"0000" + frame(approval(asked)) + b"0000"

    for at in range(len(stream)):
        wire.receive(stream[at : at + 1])

    assert status_of(payment) == "approved"


def test_many_answers_in_one_read_end_many_payments(hand: Hand, wire: Wire) -> None:
    on_their_way = [on_its_way(hand, wire) for _ in range(4)]

    wire.receive(b"".join(frame(approval(asked)) for _, asked in reversed(on_their_way)))

    assert [status_of(payment) for payment, _ in on_their_way] == ["approved"] * 4


# What is well-formed and poisonous all the same


@pytest.mark.parametrize("field_54", ["\x00\x0002360C000000000001", "1002360C00000000000x", "\x00" * 20])
def test_a_balance_that_cannot_be_kept_stops_nobody(hand: Hand, wire: Wire, field_54: str) -> None:
    """PostgreSQL keeps no NUL in a document: one such answer must not roll back the batch it is settled in."""
    payment, asked = on_its_way(hand, wire)
    sibling, asked_too = on_its_way(hand, wire)
    poisoned = approval(asked, f54="?" * 20).replace(b"?" * 20, field_54.encode())

    wire.receive(frame(poisoned) + frame(approval(asked_too)))

    assert (status_of(payment), status_of(sibling)) == ("approved", "approved")
    assert payment.balances is None


def test_a_babbling_host_makes_one_counter_and_not_ten_thousand(hand: Hand, wire: Wire) -> None:
    _, asked = on_its_way(hand, wire)
    before = counted("stray", "other")

    wire.receive(b"".join(frame(approval(asked, mti=f"{number:04d}")) for number in range(9600, 9650)))

    assert counted("stray", "other") == before + 50
    assert not Attempt.objects.exclude(outcome="open").exists()
