"""When to try again. The only place that decides it: not Celery, not the socket, not a task.

Pure: how often it was tried and a roll of the dice come in, a decision goes out.
"""

import enum
from dataclasses import dataclass
from typing import Final


class Failure(enum.Enum):
    """Why the last try did not end it."""

    #: no byte of it reached the kernel: trying again can pay nothing twice
    UNSENT = "unsent"
    #: the host declined for a passing reason of its own, and for good (M8)
    HOST = "host"
    #: a reversal or an advice was not accepted yet; it is never dropped (M5)
    OWED = "owed"


@dataclass(frozen=True, slots=True)
class RetryDecision:
    """Whether to try again, and after how many seconds."""

    again: bool
    after_s: float = 0.0


_LIMITS: Final[dict[Failure, int | None]] = {Failure.UNSENT: 5, Failure.HOST: 3, Failure.OWED: None}
_FIRST_S: Final = 1.0
_LONGEST_S: Final[dict[Failure, float]] = {Failure.UNSENT: 16.0, Failure.HOST: 16.0, Failure.OWED: 300.0}
_JITTER: Final = 0.2


def decide_retry(failure: Failure, tries: int, roll: float) -> RetryDecision:
    """Decide after `tries` failed tries (at least 1); `roll` in [0, 1) spreads the delays by a fifth each way."""
    limit = _LIMITS[failure]
    if limit is not None and tries >= limit:
        return RetryDecision(again=False)
    doublings = min(tries - 1, 16)
    delay = min(_FIRST_S * 2.0**doublings, _LONGEST_S[failure])
    return RetryDecision(again=True, after_s=delay * (1 - _JITTER + 2 * _JITTER * roll))
