"""What was written and waits for its answer: the in-flight window of one session.

Owns the order of writing, in which silence falls due, since every message waits equally long. Pure: monotonic
seconds come in with what happens.
"""

from collections.abc import Collection, Sequence

import msgspec

from processor.link.errors import LocalProtocolError
from processor.link.events import Outgoing


class Sent(msgspec.Struct, frozen=True):
    """A message, and the monotonic second at which it was handed over for writing."""

    message: Outgoing
    at: float


class Window:
    """The messages in flight, known by what their answers will be known by."""

    def __init__(self) -> None:
        self._sent: dict[str, Sent] = {}

    def __len__(self) -> int:
        return len(self._sent)

    @property
    def keys(self) -> Collection[str]:
        """What the answers that are waited for will be known by."""
        return self._sent.keys()

    @property
    def messages(self) -> list[Outgoing]:
        """The messages, in the order of their writing."""
        return [sent.message for sent in self._sent.values()]

    def add(self, messages: Sequence[Outgoing], now: float) -> None:
        """Let messages be in flight from now; raises LocalProtocolError if two would have the same answer."""
        keys = {message.key for message in messages}
        if len(keys) < len(messages) or not keys.isdisjoint(self._sent):
            raise LocalProtocolError("two messages in flight would have the same answer")
        self._sent |= {message.key: Sent(message, now) for message in messages}

    def answered(self, key: str | None) -> Sent | None:
        """Take out the message that this key is the answer of; None when nobody waits for it."""
        return self._sent.pop(key, None) if key else None

    def silent_at(self, patience_s: float) -> float | None:
        """The monotonic second at which the oldest has waited too long; None when nothing waits."""
        return next(iter(self._sent.values())).at + patience_s if self._sent else None

    def silent(self, now: float, patience_s: float) -> list[Outgoing]:
        """Take out what has waited too long, oldest first."""
        silent: list[Outgoing] = []
        while (due := self.silent_at(patience_s)) is not None and now >= due:
            silent.append(self._sent.pop(next(iter(self._sent))).message)
        return silent

    def clear(self) -> list[Outgoing]:
        """Take out everything, in the order of its writing."""
        messages = self.messages
        self._sent.clear()
        return messages
