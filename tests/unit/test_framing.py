"""Frames on a stream: however it is sliced, and what breaks it."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processor.codec.errors import EncodeError, FramingError
from processor.link.framing import FRAMINGS, Ascii4, Binary2Tpdu, Framing

every_framing = pytest.mark.parametrize("kind", FRAMINGS.values(), ids=FRAMINGS.keys())
bodies = st.lists(st.binary(min_size=1, max_size=200), max_size=8)


@every_framing
@given(messages=bodies, cuts=st.lists(st.integers(0, 1500), max_size=12))
def test_bodies_come_out_whole_however_the_stream_is_cut(
    kind: type[Framing], messages: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(kind(8192).frame(body) for body in messages)
    edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    receiving = kind(8192)
    received: list[bytes] = []

    for start, end in pairwise(edges):
        received += receiving.feed(stream[start:end])

    assert received == messages
    assert not receiving.incomplete


@every_framing
def test_a_frame_longer_than_allowed_breaks_the_stream(kind: type[Framing]) -> None:
    frame = kind(9999).frame(b"x" * 9000)

    with pytest.raises(FramingError):
        list(kind(8192).feed(frame))


@every_framing
def test_we_never_write_a_frame_longer_than_allowed(kind: type[Framing]) -> None:
    with pytest.raises(EncodeError):
        kind(100).frame(b"x" * 106)


def test_what_came_before_the_break_is_not_lost() -> None:
    bodies = Ascii4(8192).feed(b"0003abcXXXX")

    assert next(bodies) == b"abc"
    with pytest.raises(FramingError):
        next(bodies)


def test_four_zeros_are_a_sign_of_life_and_no_message() -> None:
    assert list(Ascii4(8192).feed(b"00000003abc0000")) == [b"abc"]


def test_an_answer_swaps_the_addresses_of_the_hosts_tpdu() -> None:
    framing = Binary2Tpdu(8192)
    list(framing.feed(bytes.fromhex("0008 60 0012 0034") + b"abc"))

    assert framing.answer(b"xyz") == bytes.fromhex("0008 60 0034 0012") + b"xyz"


def test_a_frame_without_tpdu_breaks_the_stream() -> None:
    with pytest.raises(FramingError):
        list(Binary2Tpdu(8192).feed(b"\x00\x03abc"))


@pytest.mark.parametrize(("name", "header"), [("ascii4", b"12a4"), ("bcd2", b"\x1a\x00")])
def test_a_length_that_is_no_number_breaks_the_stream(name: str, header: bytes) -> None:
    with pytest.raises(FramingError):
        list(FRAMINGS[name](8192).feed(header))
