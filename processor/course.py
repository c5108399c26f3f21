"""Where a link's holder is to go: what staff want, how the link is configured, and whose turn it is of its hosts.

Owns what makes a session give way to another, or to none. Touches no session, socket or database itself.
"""

from processor.link.console import Footing, allowed_messages
from processor.link.roster import Roster
from processor.link.wishes import Wanted, Wish
from processor.links import LinkConfig
from queueing.statements import REVERSAL_PRIORITY


class Course:
    """The holder's course: adopted with every session, changed by what it hears meanwhile."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.config: LinkConfig | None = None
        self.roster = Roster(1, 0)
        self._roster_of = 0
        self._reloading = False
        self._known_version: int | None = None
        self._carried_by = 0
        self._lost_at: float | None = None

    # What changes it

    def adopt(self, config: LinkConfig) -> None:
        """A session is about to begin, with this."""
        self.config = config
        if self._roster_of != config.version:
            self.roster = Roster(len(config.endpoints), config.failback_s, self._preferred(config))
            self._roster_of = config.version
        self.roster.begin()

    def go_on(self, config: LinkConfig) -> None:
        """The session that stands goes on with this: its hosts are the same, and so is whose turn it is."""
        self.config, self._roster_of = config, config.version

    def begin_reading(self) -> None:
        """The configuration is read anew, whatever was asked of it before."""
        self._reloading = False

    def reload(self) -> None:
        """Staff want it read anew, and its hosts looked up again."""
        self._reloading = True

    def hear(self, version: int | None) -> None:
        """The configuration has this version now."""
        self._known_version = version or self._known_version

    def follow(self, wish: Wish) -> bool:
        """Go where staff want; returns False for what was wanted before, and may still be on its way to us."""
        if wish.number <= self.wish.number:
            return False
        self.wish = wish
        if self.config:
            self.roster.prefer(self._preferred(self.config))
        return True

    def came_up(self, now: float) -> float | None:
        """The link is up; returns the seconds since it was lost when another host carries now."""
        self.roster.came_up(now)
        is_another, self._carried_by = self._carried_by != self.roster.turn, self.roster.turn
        return now - self._lost_at if is_another and self._lost_at is not None else None

    def ended(self, now: float, *, came_up: bool) -> bool:
        """The session is over; returns True when another host than the preferred one is next."""
        if came_up:
            self._lost_at = now
        return self.roster.ended(came_up=came_up)

    # What it says

    @property
    def is_closed(self) -> bool:
        """Staff want no connection."""
        return self.wish.wanted is Wanted.CLOSED

    @property
    def has_changed(self) -> bool:
        """There is a newer configuration than the one in use."""
        return bool(self.config and self._known_version and self._known_version > self.config.version)

    @property
    def leads_elsewhere(self) -> bool:
        """The session that stands is to make room: for another, or for none."""
        return self.is_closed or self.has_changed or self._reloading or self.roster.is_moving

    @property
    def lowest(self) -> int:
        """The lowest priority that is taken: any, or only what is owed to the host."""
        return 0 if self.wish.wanted is Wanted.OPEN else REVERSAL_PRIORITY

    def footing(self, *, is_up: bool, is_spared: bool) -> Footing:
        """Return how the link stands, for commands."""
        config = self.config
        return Footing(
            wanted=self.wish.wanted,
            is_up=is_up,
            is_spared=is_spared,
            hosts=tuple(f"{host}:{port}" for host, port in config.endpoints) if config else (),
            turn=self.roster.turn,
            preferred=self.roster.preferred,
            messages=allowed_messages(config.dialect) if config else (),
        )

    def _preferred(self, config: LinkConfig) -> int:
        """The host that staff prefer, the first if they do not or it is gone."""
        hosts = [f"{host}:{port}" for host, port in config.endpoints]
        return hosts.index(self.wish.endpoint) if self.wish.endpoint in hosts else 0
