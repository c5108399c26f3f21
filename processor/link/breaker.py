"""When a link is spared for a while because its host does not answer.

Owns the three states and what moves between them. Pure: time comes in as monotonic seconds. A failure is a message
nobody answered in time, or a session that was up and was lost; an answer, whatever it says, is a success. A host that
cannot be reached at all needs no breaker: the link is down then.
"""

import enum
from collections import deque
from collections.abc import Callable

import msgspec


class BreakerState(enum.Enum):
    """Closed carries, open carries nothing, half open carries a few to try."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class BreakerPolicy(msgspec.Struct, frozen=True):
    """When a breaker opens and closes. Times in seconds, the rate in percent."""

    #: failures in a row that open it
    failures: int = 5
    #: or so many percent of at least `volume` messages within `window_s`
    rate: int = 50
    volume: int = 20
    window_s: float = 60.0
    #: how long it stays open before an echo tries the host
    open_s: float = 60.0
    #: answered messages that close it, and how many are tried at once
    successes: int = 3


class Breaker:
    """The breaker of one link, in the hands of its holder; `moved` is told of every change of state."""

    def __init__(self, policy: BreakerPolicy, moved: Callable[[BreakerState], None]) -> None:
        self.policy = policy
        self.state = BreakerState.CLOSED
        self._moved = moved
        self._in_a_row = 0
        self._successes = 0
        self._opened_at = 0.0
        #: (time, was it a failure) of what ended lately, oldest first
        self._lately: deque[tuple[float, bool]] = deque()
        self._failed_lately = 0

    def room(self, window: int) -> int:
        """How many messages may be in flight at once."""
        if self.state is BreakerState.CLOSED:
            return window
        return 0 if self.state is BreakerState.OPEN else min(window, self.policy.successes - self._successes)

    def answered(self, now: float) -> None:
        """A message was answered."""
        self._in_a_row = 0
        if self.state is BreakerState.CLOSED:
            self._note(now, failed=False)
        elif self.state is BreakerState.HALF_OPEN:
            self._successes += 1
            if self._successes >= self.policy.successes:
                self._move(BreakerState.CLOSED)

    def failed(self, now: float) -> None:
        """A message was not answered in time, or a session was lost."""
        if self.state is BreakerState.HALF_OPEN:
            self.open(now)
        elif self.state is BreakerState.CLOSED:
            self._in_a_row += 1
            self._note(now, failed=True)
            if self._in_a_row >= self.policy.failures or self._is_rate_reached():
                self.open(now)

    def echoed(self, now: float) -> None:
        """The host answered an echo: once the breaker was open long enough, live messages try it."""
        if self.state is BreakerState.OPEN and self.seconds_left(now) <= 0:
            self._successes = 0
            self._move(BreakerState.HALF_OPEN)

    def open(self, now: float) -> None:
        """Carry nothing from now on; also where a holder goes on with the breaker its predecessor left open."""
        self._opened_at = now
        self._move(BreakerState.OPEN)

    def reset(self) -> None:
        """Staff say that the host answers again."""
        self._move(BreakerState.CLOSED)

    def seconds_left(self, now: float) -> float:
        """For how long it stays open yet, before an echo may try."""
        return max(0.0, self._opened_at + self.policy.open_s - now) if self.state is BreakerState.OPEN else 0.0

    def _note(self, now: float, *, failed: bool) -> None:
        self._lately.append((now, failed))
        self._failed_lately += failed
        while self._lately[0][0] < now - self.policy.window_s:
            self._failed_lately -= self._lately.popleft()[1]

    def _is_rate_reached(self) -> bool:
        total = len(self._lately)
        return total >= self.policy.volume and 100 * self._failed_lately >= self.policy.rate * total

    def _move(self, state: BreakerState) -> None:
        if state is self.state:
            return
        self.state = state
        if state is BreakerState.CLOSED:
            self._in_a_row = self._failed_lately = 0
            self._lately.clear()
        self._moved(state)
