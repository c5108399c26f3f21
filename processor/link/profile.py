"""How one link is to behave, as a value."""

from datetime import tzinfo
from typing import Final

import msgspec

from processor.codec.dialects import Dialect

#: what staff ask of the link next waits behind it
_TOTALS_S: Final = 30.0


class Profile(msgspec.Struct, frozen=True):
    """A link's configuration as the machine needs it. Times in seconds, window in messages."""

    dialect: Dialect
    framing: str
    terminal_id: str
    card_acceptor_id: str
    time_zone: tzinfo
    window: int = 64
    answer_timeout_s: float = 30.0
    echo_interval_s: float = 30.0
    echo_timeout_s: float = 10.0
    sign_on_timeout_s: float = 10.0
    sign_off_timeout_s: float = 1.0

    def patience_s(self, purpose: str) -> float:
        """Return how long the answer to a message that is no payment may take."""
        own = {
            "sign_on": self.sign_on_timeout_s,
            "sign_off": self.sign_off_timeout_s,
            "reconciliation": min(self.answer_timeout_s, _TOTALS_S),
        }
        return own.get(purpose, self.echo_timeout_s)
