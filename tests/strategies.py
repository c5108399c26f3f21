"""Messages of every dialect for hypothesis, and what a broken line or a broken host makes of their bytes."""

from hypothesis import strategies as st

from processor.codec.dialects import Dialect, FieldKind
from processor.codec.message import Message

PRINTABLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
MTIS = ("0100", "0110", "0200", "0210", "0221", "0420", "0430", "0800", "0810", "1200", "1814")


def values_of(number: int, dialect: Dialect) -> st.SearchStrategy[str]:
    """What a field may hold."""
    layout, rule = dialect.spec[str(number)], dialect.rules[number]
    fixed = layout["len_type"] == 0
    if rule.kind is FieldKind.NUMERIC:
        longest = layout["max_len"]
        return st.text("0123456789", min_size=longest if fixed else 1, max_size=longest)
    if rule.kind is FieldKind.BINARY:
        octets = layout["max_len"] if layout["data_enc"] == "b" else layout["max_len"] // 2
        octets = octets if fixed else min(octets, 99)
        return st.binary(min_size=octets if fixed else 1, max_size=octets).map(lambda raw: raw.hex().upper())
    if rule.kind is FieldKind.SIGNED:
        return st.tuples(st.sampled_from("CD"), st.text("0123456789", min_size=16, max_size=16)).map("".join)
    return st.text(PRINTABLE, min_size=1, max_size=min(layout["max_len"], 40))


@st.composite
def messages(draw: st.DrawFn, dialect: Dialect) -> Message:
    """Any message that the dialect can write."""
    numbers = draw(st.sets(st.sampled_from(sorted(dialect.rules)), min_size=1, max_size=12))
    fields = {number: draw(values_of(number, dialect)) for number in sorted(numbers)}
    return Message(draw(st.sampled_from(MTIS)), fields)


@st.composite
def damaged(draw: st.DrawFn, body: bytes) -> bytes:
    """The same bytes after up to three things went wrong: flips, cuts, insertions, wrong lengths, other bitmaps."""
    for _ in range(draw(st.integers(1, 3))):
        # Half of it where MTI and bitmaps are: it is there that a byte changes the meaning of all that follow.
        last = max(0, min(len(body), draw(st.sampled_from([40, len(body)]))) - 1)
        at = draw(st.integers(0, last))
        body = draw(_one_damage(body, at))
    return body


def _one_damage(body: bytes, at: int) -> st.SearchStrategy[bytes]:
    head, tail = body[:at], body[at:]
    return st.one_of(
        st.integers(0, 7).map(lambda bit: head + bytes([(tail[:1] or b"\0")[0] ^ (1 << bit)]) + tail[1:]),
        st.just(head),
        st.binary(min_size=1, max_size=8).map(lambda more: head + more + tail),
        st.integers(1, 8).map(lambda count: head + tail[count:]),
        st.sampled_from([b"99", b"999", b"00", b"-1", b"+4", b" 4", b"4x", b"\xff\xff", b"\xf9\xf9", b"F" * 16]).map(
            lambda length: head + length + tail[len(length) :]
        ),
    )
