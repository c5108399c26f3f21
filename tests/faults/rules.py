"""What the proxy does to bytes and frames: settings that hold until changed, rules that pick frames. Values only."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

#: towards the host, and from it
OUT: Final = "out"
IN: Final = "in"

ACTIONS: Final = frozenset(
    {
        *("drop", "duplicate", "garbage", "mutate"),
        "delay",  # later frames overtake it
        "reset",  # before the frame is passed on
        "pass_and_reset",
        "cut",  # half of the frame is passed on, then reset
    }
)


class Refused(ValueError):
    """What was asked of the proxy makes no sense."""


@dataclass(slots=True)
class Settings:
    """How every connection is, now. Times in seconds."""

    latency_s: float = 0.0
    jitter_s: float = 0.0
    #: 0: as it comes
    slice_bytes: int = 0
    #: 0: no limit
    bytes_per_s: int = 0
    #: False: nothing more is read from our side, so that its writes jam
    reads: bool = True
    #: half-open: bytes of this direction, or of "both", vanish
    swallow: str = ""
    #: new connections are reset
    refuse: bool = False

    def change(self, changes: Mapping[str, Any]) -> None:
        """Change some; raises Refused, and then changes none."""
        kinds = {one.name: type(getattr(self, one.name)) for one in fields(self)}
        for name, value in changes.items():
            kind = kinds.get(name)
            if kind is None or not isinstance(value, int | float if kind is float else kind):
                raise Refused(f"{name} is no setting, or not of its kind")
        if changes.get("swallow", "") not in ("", IN, OUT, "both"):
            raise Refused("swallow is in, out, both or empty")
        for name, value in changes.items():
            setattr(self, name, value)

    def swallows(self, direction: str) -> bool:
        """True when bytes of this direction vanish."""
        return self.swallow in (direction, "both")


@dataclass(slots=True)
class Rule:
    """Picks frames by direction, MTI (a beginning), STAN, how many of these came before, and chance; once or more."""

    action: str
    direction: str = ""
    mti: str = ""
    stan: str = ""
    #: the first frame of those that it acts on; 1 is the first
    nth: int = 1
    times: int = 1
    share: float = 1.0
    seconds: float = 0.0
    #: field -> text, for "mutate"
    fields: Mapping[str, str] = field(default_factory=dict)
    seen: int = 0
    acted: int = 0

    @classmethod
    def made_from(cls, asked: Mapping[str, Any]) -> "Rule":
        """Make a rule of JSON; raises Refused."""
        try:
            rule = cls(**asked)
        except TypeError as error:
            raise Refused(str(error)) from None
        if rule.action not in ACTIONS or rule.direction not in ("", IN, OUT):
            raise Refused(f"an action is one of {', '.join(sorted(ACTIONS))}, a direction {IN} or {OUT}")
        return rule

    def picks(self, direction: str, mti: str, stan: str, dice: random.Random) -> bool:
        """True when it acts on this frame, which it then counts."""
        fits = self.direction in ("", direction) and mti.startswith(self.mti) and self.stan in ("", stan)
        if not fits or self.acted >= self.times:
            return False
        self.seen += 1
        if self.seen < self.nth or dice.random() >= self.share:
            return False
        self.acted += 1
        return True
