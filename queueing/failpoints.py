"""Named places where a test lets a process die or stop, as its machine might.

`FAILPOINTS=name:action:count,...` acts when a place is reached for the count-th time. It is read only where MASTER_KEY
is the key that our tests publish: whoever runs with another one, and so everybody whose cards are worth something, has
no failpoints whatever else is set. Without any, a place costs one look at an empty dict.
"""

import os
import signal
from collections.abc import Mapping
from typing import Final

#: How a process that died at a failpoint ends.
DIED: Final = 70
_PUBLISHED_KEY: Final = "0f" * 32
_ACTIONS: Final = ("exit", "stop")


def read(environment: Mapping[str, str]) -> dict[str, tuple[str, int]]:
    """Return place -> (action, how often it is still passed over); raises ValueError for what is no failpoint."""
    if environment.get("MASTER_KEY") != _PUBLISHED_KEY:
        return {}
    armed = {}
    for part in filter(None, environment.get("FAILPOINTS", "").split(",")):
        name, action, count = part.split(":")
        if action not in _ACTIONS:
            raise ValueError(f"a failpoint's action is one of {', '.join(_ACTIONS)}")
        armed[name] = action, int(count) - 1
    return armed


_armed: Final = read(os.environ)


def reach(name: str) -> None:
    """Say that a place is reached."""
    if _armed and name in _armed:
        _count(name)


def is_due(name: str) -> bool:
    """True when something happens as this place is reached next: what must be done by half before may be."""
    return bool(_armed) and _armed.get(name, ("", 1))[1] == 0


def _count(name: str) -> None:
    action, passes = _armed[name]
    _armed[name] = action, passes - 1
    if passes == 0:
        _act(action)


def _act(action: str) -> None:
    if action == "stop":
        os.kill(os.getpid(), signal.SIGSTOP)
    else:
        os._exit(DIED)
