"""What a session heard and wrote since its books were last made: it waits until the window is full again.

Owns that bytes go before books: what was heard is filed, and what was written is counted, once no byte waits for it.
"""

from collections.abc import Sequence
from typing import cast

import structlog

from processor import metrics
from processor.codec.dialects import Dialect
from processor.filing import Filer
from processor.link import events as ev
from processor.store import Taken

_log = structlog.get_logger(__name__)


class Books:
    """The books of one session."""

    def __init__(self, link: str, filer: Filer, dialect: Dialect) -> None:
        self._link = link
        self._filer = filer
        self._dialect = dialect
        self._heard: list[ev.Answered] = []
        self._written: list[Taken] = []

    def hear(self, answer: ev.Answered) -> None:
        """The host answered."""
        self._heard.append(answer)

    def write(self, batch: Sequence[Taken]) -> None:
        """A batch was written."""
        self._written += batch

    def make(self) -> None:
        """File what was heard, count what was written."""
        heard, self._heard = self._heard, []
        for event in heard:
            self._filer.answered(event, cast("Taken", event.message.token), self._dialect)
        written, self._written = self._written, []
        for taken in written:
            metrics.messages(self._link, "out", taken.mti, "written").inc()
        if written:
            _log.info("link.written", link=self._link, **_named(written))


def _named(batch: Sequence[Taken]) -> dict[str, list[str]]:
    return {"payments": [str(taken.payment_id) for taken in batch], "requests": [taken.request_id for taken in batch]}
