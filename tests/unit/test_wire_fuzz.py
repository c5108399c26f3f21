"""Whatever bytes come: the codec and the framing answer with a message or a typed error, soon and small."""

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processor.codec.dialects import DIALECTS, Dialect
from processor.codec.errors import CodecError, DecodeError, FramingError
from processor.codec.message import Message, decode, encode
from processor.link.framing import FRAMINGS, Framing
from tests.strategies import damaged, messages

every_dialect = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS.keys())
every_framing = pytest.mark.parametrize("kind", FRAMINGS.values(), ids=FRAMINGS.keys())

_MOST_BYTES = 2**20
_LONGEST_S = 0.05
#: Shorter values may well be a part of a length or of a field's number.
_TELLING = 5


@contextmanager
def soon_and_small() -> Iterator[None]:
    """Not over 1 MiB of new memory at any moment, nor 50 ms of work."""
    tracemalloc.start()
    began = time.thread_time()
    try:
        yield
        took, (_, peak) = time.thread_time() - began, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < _MOST_BYTES
    assert took < _LONGEST_S


def read(body: bytes, dialect: Dialect) -> Message | DecodeError:
    with soon_and_small():
        try:
            return decode(body, dialect)
        except DecodeError as error:
            return error


@every_dialect
def test_arbitrary_bytes_are_a_message_or_a_typed_error(dialect: Dialect) -> None:
    @settings(max_examples=100)
    @given(st.binary(max_size=dialect.max_body))
    def check(body: bytes) -> None:
        read(body, dialect)

    check()


@every_dialect
def test_a_damaged_message_is_a_message_or_an_error_without_its_values(dialect: Dialect) -> None:
    @settings(max_examples=150)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        message = data.draw(messages(dialect))

        found = read(data.draw(damaged(encode(message, dialect))), dialect)

        if isinstance(found, DecodeError):
            told = f"{found} {found.args}"
            assert not [value for value in message.fields.values() if len(value) >= _TELLING and value in told]

    check()


@every_dialect
def test_what_was_read_can_be_written_and_is_read_the_same(dialect: Dialect) -> None:
    """A damaged message that still reads must not change by being written: its MAC is over what we write of it."""

    @settings(max_examples=100)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        body = data.draw(damaged(encode(data.draw(messages(dialect)), dialect)))
        try:
            message = decode(body, dialect)
            again = encode(message, dialect)
        except CodecError:
            return
        assert decode(again, dialect) == message

    check()


@pytest.mark.parametrize("size", [8192, 8193, 100_000, 5_000_000])
@every_dialect
def test_the_longest_and_the_hugest_body_cost_no_more(dialect: Dialect, size: int) -> None:
    for filling in (b"\xff", b"9", b"0", b"\xf0"):
        body = (b"0200" + filling * size)[:size]
        assert isinstance(read(body, dialect), DecodeError)


@every_framing
@given(stream=st.binary(max_size=300), cuts=st.lists(st.integers(0, 300), max_size=10))
def test_any_stream_says_the_same_however_it_is_cut(kind: type[Framing], stream: bytes, cuts: list[int]) -> None:
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    slices = [stream[start:end] for start, end in pairwise(edges)]
    one_by_one = [stream[at : at + 1] for at in range(len(stream))]

    assert told(kind(64), [stream]) == told(kind(64), slices) == told(kind(64), one_by_one)


@every_framing
@given(bodies=st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=5), data=st.data())
def test_damage_in_a_stream_loses_nothing_before_it(
    kind: type[Framing], bodies: list[bytes], data: st.DataObject
) -> None:
    whole = b"".join(kind(64).frame(body) for body in bodies)
    broken = data.draw(damaged(kind(64).frame(b"the next")))

    received, _ = told(kind(64), [whole + broken])

    assert received[: len(bodies)] == bodies


@every_framing
def test_a_thousand_frames_in_one_read_all_come_out(kind: type[Framing]) -> None:
    bodies = [b"%04d" % number for number in range(1000)]
    stream = b"".join(kind(64).frame(body) for body in bodies)

    with soon_and_small():
        received, broken = told(kind(64), [stream])

    assert (received, broken) == (bodies, False)


@every_framing
def test_a_frame_that_never_completes_keeps_no_more_than_its_body(kind: type[Framing]) -> None:
    frame = kind(8192).frame(b"x" * 8000)
    framing = kind(8192)

    tracemalloc.start()
    for byte in range(7000):
        assert not list(framing.feed(frame[byte : byte + 1]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert framing.incomplete
    assert peak < 4 * 8192


def told(framing: Framing, slices: list[bytes]) -> tuple[list[bytes], bool]:
    """The bodies, and whether the stream broke."""
    received: list[bytes] = []
    try:
        for one in slices:
            for body in framing.feed(one):
                received.append(body)  # noqa: PERF402  (what came before the break counts)
    except FramingError:
        return received, True
    return received, False
