"""What the host does with a request, chosen by the last two digits of its amount."""

import enum
from typing import Final


class Behaviour(enum.Enum):
    """How an answer reaches the client, if it does."""

    ANSWER = "answers"
    NEVER = "never answers"
    LATE = "answers after 5 s more than the client waits"
    TWICE = "answers twice"
    CLOSE = "closes the connection"
    GARBAGE = "answers garbage in an intact frame"
    OTHER_AMOUNT = "answers with another amount"
    BREAK_FRAMING = "breaks the framing"


#: the host declines with this code and moves no money
DECLINES: Final = frozenset({"05", "51", "54", "91", "96"})

#: the host approves and moves the money, whatever the client gets to hear
BEHAVIOURS: Final = {
    "68": Behaviour.NEVER,
    "69": Behaviour.LATE,
    "70": Behaviour.TWICE,
    "71": Behaviour.CLOSE,
    "72": Behaviour.GARBAGE,
    "73": Behaviour.OTHER_AMOUNT,
    "74": Behaviour.BREAK_FRAMING,
}


def scenario(amount: str) -> tuple[str | None, Behaviour]:
    """Return the code to decline with, if any, and how to answer, for a field 4."""
    ending = amount[-2:]
    if ending in DECLINES:
        return ending, Behaviour.ANSWER
    return None, BEHAVIOURS.get(ending, Behaviour.ANSWER)
