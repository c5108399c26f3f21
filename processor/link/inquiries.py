"""Network management messages of ours that wait for their answer.

Owns what was asked, when, and by whom: the machine itself, or a person who waits for the answer. Pure.
"""

import msgspec

from processor.link.profile import Profile


class Inquiry(msgspec.Struct, frozen=True):
    """A message by its purpose, when it was sent, and the token of the person who asked for it."""

    purpose: str
    at: float
    token: object | None = None

    @property
    def moves_state(self) -> bool:
        """An echo is one whoever asked for it (F4); what else a person sends is between them and the host."""
        return self.token is None or self.purpose == "echo"


class Inquiries:
    """What is asked and not answered, by what its answer will be known by."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._open: dict[str, Inquiry] = {}

    def add(self, key: str, inquiry: Inquiry) -> None:
        """Wait for the answer of what was sent."""
        self._open[key] = inquiry

    def answered(self, key: str | None) -> Inquiry | None:
        """Take out what this key is the answer of; None when nobody waits for it."""
        return self._open.pop(key or "", None)

    def knows(self, key: str | None) -> bool:
        """Say whether somebody waits for the answer that this key is of."""
        return key in self._open

    def waits_for(self, purpose: str) -> bool:
        """Say whether such a message waits for its answer."""
        return any(inquiry.purpose == purpose for inquiry in self._open.values())

    def deadlines(self) -> list[float]:
        """The monotonic times at which each has waited too long."""
        return [inquiry.at + self._profile.patience_s(inquiry.purpose) for inquiry in self._open.values()]

    def overdue(self, now: float) -> list[Inquiry]:
        """Take out what has waited too long, in the order of sending."""
        keys = [key for key, one in self._open.items() if now >= one.at + self._profile.patience_s(one.purpose)]
        return [self._open.pop(key) for key in keys]

    def clear(self) -> list[Inquiry]:
        """Take out everything."""
        inquiries = list(self._open.values())
        self._open.clear()
        return inquiries
