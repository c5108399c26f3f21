"""Which of a link's hosts is connected to next: the preferred one, the others in their order, and back again.

Pure: an index into the endpoints and monotonic seconds. One session at a time; a host that does not come up makes
room for the next one.
"""

from typing import Final

_LONGEST_S: Final = 3600.0


class Roster:
    """The order of the endpoints of one link, by what became of the sessions with them."""

    def __init__(self, count: int, failback_s: float, preferred: int = 0) -> None:
        self.turn = self.preferred = preferred
        #: the session is to make room for the preferred one
        self.is_moving = False
        self.count = count
        self._looks_at: float | None = None
        self._failback_s = self._pause_s = failback_s

    def prefer(self, preferred: int) -> None:
        """Staff prefer this one: it has the next turn, unless it has this one."""
        self.preferred, self._pause_s, self._looks_at = preferred, self._failback_s, None
        self.is_moving = self.turn != preferred

    def begin(self) -> None:
        """A session is about to begin: with the preferred one, if nothing had to make room for it."""
        if self.is_moving:
            self.turn, self.is_moving = self.preferred, False

    def came_up(self, now: float) -> None:
        """The session with the endpoint whose turn it is stands."""
        if self.turn == self.preferred:
            self._pause_s = self._failback_s
        self._looks_at = None if self.turn == self.preferred else now + self._pause_s

    def ended(self, *, came_up: bool) -> bool:
        """That session is over, or never stood; returns True when another endpoint than the preferred one is next.

        A host that was lost is tried again first: another is no better until this one cannot be reached.
        """
        self._looks_at = None
        if self.is_moving:
            self.begin()
        elif not came_up:
            self.turn = (self.turn + 1) % self.count
        return self.turn != self.preferred

    def wants_to_look(self, now: float) -> bool:
        """True when it is time to see whether the preferred host can be reached again."""
        return self._looks_at is not None and now >= self._looks_at

    def looked(self, now: float, *, is_there: bool) -> None:
        """The preferred host can be reached, so it has the next turn, or not: then look later, ever less often."""
        self._pause_s = min(2 * self._pause_s, _LONGEST_S)
        self._looks_at = None if is_there else now + self._pause_s
        self.is_moving = is_there
