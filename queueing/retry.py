"""When to try again. The only place that decides it: not Celery, not the socket, not a task.

Pure: how often it was tried and a roll of the dice come in, a decision goes out.
"""

import enum
from typing import Final

import msgspec


class Failure(enum.Enum):
    """Why the last try did not end it."""

    #: no byte of it reached the kernel: trying again can pay nothing twice
    UNSENT = "unsent"
    #: the host declined for a passing reason of its own, and for good (M8)
    HOST = "host"
    #: the host declined because of the customer or the account
    BUSINESS = "business"
    #: a reversal or an advice was not accepted yet; it is never dropped (M5)
    OWED = "owed"


class RetryPolicy(msgspec.Struct, frozen=True):
    """How often each kind of failure is tried again, and how far apart, in seconds."""

    unsent: int = 5
    host: int = 3
    business: int = 0
    first_s: float = 1.0
    longest_s: float = 16.0
    #: the longest pause between two writes of what is never dropped
    owed_longest_s: float = 300.0
    #: no further try so long after the payment was accepted
    total_s: float = 3600.0


class RetryDecision(msgspec.Struct, frozen=True):
    """Whether to try again, and after how many seconds."""

    again: bool
    after_s: float = 0.0


_JITTER: Final = 0.2
USUAL: Final = RetryPolicy()


def decide_retry(
    failure: Failure, tries: int, roll: float, policy: RetryPolicy = USUAL, since_s: float = 0.0
) -> RetryDecision:
    """Decide after `tries` failed tries (at least 1), `since_s` after the payment was accepted.

    `roll` in [0, 1) spreads the delays by a fifth each way.
    """
    is_owed = failure is Failure.OWED
    limits = {Failure.UNSENT: policy.unsent, Failure.HOST: policy.host, Failure.BUSINESS: policy.business}
    doublings = min(tries - 1, 16)
    delay = min(policy.first_s * 2.0**doublings, policy.owed_longest_s if is_owed else policy.longest_s)
    delay *= 1 - _JITTER + 2 * _JITTER * roll
    if not is_owed and (tries >= limits[failure] or since_s + delay > policy.total_s):
        return RetryDecision(again=False)
    return RetryDecision(again=True, after_s=delay)


#: A webhook that was not taken: soon again at first, then every few hours, for three days.
_WEBHOOK_FIRST_S: Final = 5.0
_WEBHOOK_FACTOR: Final = 3.0
_WEBHOOK_LONGEST_S: Final = 6 * 3600.0
WEBHOOK_TOTAL_S: Final = 3 * 86_400.0


def decide_redelivery(tries: int, since_s: float, roll: float, asked_s: float = 0.0) -> RetryDecision:
    """Decide after `tries` failed posts (at least 1) of a webhook, `since_s` after it was first due.

    A receiver that asked for `asked_s` of quiet has them, up to the longest pause; only the last try may be sooner.
    """
    if since_s >= WEBHOOK_TOTAL_S:
        return RetryDecision(again=False)
    delay = min(_WEBHOOK_FIRST_S * _WEBHOOK_FACTOR ** min(tries - 1, 16), _WEBHOOK_LONGEST_S)
    delay *= 1 - _JITTER + 2 * _JITTER * roll
    delay = max(delay, quiet_s(asked_s) * (1 + _JITTER * roll))
    return RetryDecision(again=True, after_s=min(delay, WEBHOOK_TOTAL_S - since_s))


def quiet_s(asked_s: float) -> float:
    """Return how much of the quiet that a receiver asks for it has: no more than the longest pause."""
    return min(asked_s, _WEBHOOK_LONGEST_S)
