"""Bad bodies and bad frames, written by hand: every one is refused with a typed error.

A file of the corpus has a line of what is wrong, then a line of the bytes: text in quotation marks, the rest in hex.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from processor.codec.dialects import DIALECTS
from processor.codec.errors import DecodeError, FramingError
from processor.codec.message import decode
from processor.link.framing import FRAMINGS

CORPUS: Final = Path(__file__).parent / "corpus"
_PIECE: Final = re.compile(r'"([^"]*)"|(\S+)')


def cases(prefix: str, names: list[str]) -> Iterator[object]:
    """Every case of the files that are called so."""
    for name in names:
        path = CORPUS / f"{prefix}{name}.txt"
        lines = path.read_text().splitlines() if path.exists() else []
        for what, written in zip(lines[::2], lines[1::2], strict=True):
            pieces = [
                text.encode() if text or not hexed else bytes.fromhex(hexed) for text, hexed in _PIECE.findall(written)
            ]
            yield pytest.param(name, b"".join(pieces), id=f"{name}: {what.removeprefix('# ')}")


@pytest.mark.parametrize(("dialect", "body"), [*cases("", [*DIALECTS])])
def test_a_bad_body_is_refused(dialect: str, body: bytes) -> None:
    with pytest.raises(DecodeError):
        decode(body, DIALECTS[dialect])


@pytest.mark.parametrize(("framing", "stream"), [*cases("framing-", [*FRAMINGS])])
def test_a_bad_frame_breaks_the_stream(framing: str, stream: bytes) -> None:
    with pytest.raises(FramingError):
        list(FRAMINGS[framing](8192).feed(stream))


def test_every_file_of_the_corpus_is_read() -> None:
    known = {f"{name}.txt" for name in DIALECTS} | {f"framing-{name}.txt" for name in FRAMINGS}

    assert {path.name for path in CORPUS.iterdir()} <= known
