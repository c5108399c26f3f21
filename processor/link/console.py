"""What staff may ask of a link, and what it refuses as it stands. Every refusal is a sentence for them.

Pure: how the link stands comes in as a value. How a command is carried out is `commanding`'s.
"""

import enum
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from processor.codec.dialects import Dialect
from processor.link.reconciliation import read_parameters
from processor.link.wishes import Wanted


class Verb(enum.StrEnum):
    """What can be asked of the worker that holds a link."""

    ESTABLISH = "establish"
    CLOSE = "close"
    SIGN_ON = "sign_on"
    SIGN_OFF = "sign_off"
    ECHO = "echo"
    HEALTH_CHECK = "health_check"
    SEND = "send"
    FAIL_OVER = "fail_over"
    RESET_BREAKER = "reset_breaker"
    DRAIN = "drain"
    PAUSE = "pause"
    RESUME = "resume"
    RELOAD = "reload"
    CONFIGURE = "configure"
    RECONCILE = "reconcile"


class CommandState(enum.StrEnum):
    """A command's life: open until a worker takes it, running until it answers."""

    OPEN = "open"
    RUNNING = "running"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    EXPIRED = "expired"


#: what each does, as its page and its help say
MEANINGS: Final[Mapping[Verb, str]] = MappingProxyType(
    {
        Verb.ESTABLISH: "Connect, sign on and carry payments.",
        Verb.CLOSE: "Sign off and disconnect within seconds; what is unanswered by then is reversed. "
        "It stays closed until it is established.",
        Verb.SIGN_ON: "Sign on; where a session stands, once more on it.",
        Verb.SIGN_OFF: "Let what is in flight end, sign off and disconnect. It stays closed until it is established.",
        Verb.ECHO: "Ask the bank for a sign of life, and show its answer.",
        Verb.HEALTH_CHECK: "Look at everything now, an echo included.",
        Verb.SEND: "Send one of the allowed network messages, and show the answer.",
        Verb.FAIL_OVER: "Prefer another host, and go to it now.",
        Verb.RESET_BREAKER: "Close the breaker: payments go out at once.",
        Verb.DRAIN: "Take no payment any more, let what is in flight end, and stay paused.",
        Verb.PAUSE: "Stay signed on, and take no payment any more. Reversals go on.",
        Verb.RESUME: "Take payments again.",
        Verb.CONFIGURE: "Take a new configuration over, if what it names is there.",
        Verb.RECONCILE: "Send our totals of a business date, and show how the host counts. No payment is touched.",
        Verb.RELOAD: "Sign off, read the configuration, look up its hosts again, and sign on.",
    }
)

#: what is asked by a word; a configuration and totals come with more
WORDS: Final = tuple(verb for verb in Verb if verb not in (Verb.CONFIGURE, Verb.RECONCILE))

#: what may change what becomes of payments: a second person agrees to it
DANGEROUS: Final = frozenset({Verb.CLOSE, Verb.SIGN_OFF, Verb.FAIL_OVER, Verb.SEND})

#: network management messages that staff may send, where a dialect has a word for them
_ALLOWED: Final = ("echo", "sign_on", "cut_over")
_NEEDS_UP: Final = frozenset({Verb.ECHO, Verb.SEND, Verb.DRAIN, Verb.RECONCILE})


class Footing(msgspec.Struct, frozen=True):
    """How a link stands as a command comes."""

    wanted: Wanted
    is_up: bool
    is_spared: bool
    #: its hosts in their order, which of them has the turn, and which is preferred
    hosts: tuple[str, ...]
    turn: int
    preferred: int
    messages: tuple[str, ...]


def allowed_messages(dialect: Dialect) -> tuple[str, ...]:
    """Return what `send` can send in a dialect."""
    return tuple(purpose for purpose in _ALLOWED if purpose in dialect.network)


def misfit(verb: Verb, parameters: Mapping[str, Any], hosts: int, messages: tuple[str, ...]) -> str | None:
    """Return what is wrong with a command's parameters, whatever the link does; None when nothing is."""
    if verb is Verb.CONFIGURE:
        return None  # its configuration is judged where it is made
    if verb is Verb.RECONCILE:
        is_fit = read_parameters(parameters) is not None
        return None if is_fit else "The totals do not fit a message: a number has 10 digits at most, a sum 16."
    known = {Verb.FAIL_OVER: "endpoint", Verb.SEND: "message"}.get(verb)
    if set(parameters) - {known}:
        return f"{verb.value} takes {f'only `{known}`' if known else 'no parameters'}."
    given = parameters.get(known or "")
    if verb is Verb.SEND and given not in messages:
        return f"`message` is one of: {', '.join(messages)}."
    is_number = isinstance(given, int) and not isinstance(given, bool)
    if verb is Verb.FAIL_OVER and not (is_number and 1 <= given <= hosts):  # type: ignore[operator]
        return f"`endpoint` is the number of a host, from 1 to {hosts}."
    return None


def refusal(verb: Verb, parameters: Mapping[str, Any], footing: Footing) -> str | None:
    """Return why a command cannot be carried out as the link stands; None when it can."""
    if wrong := misfit(verb, parameters, len(footing.hosts), footing.messages):
        return wrong
    if verb in _NEEDS_UP and not footing.is_up:
        return "The link is down, so nothing can be asked of the bank. Nothing was sent."
    if footing.wanted is Wanted.CLOSED and verb in _NEEDS_OPEN:
        return "The link is closed: establish it first. Nothing was changed."
    if verb is Verb.RESET_BREAKER and not footing.is_spared:
        return "The breaker is closed: payments go out already. Nothing was changed."
    is_there = footing.is_up and footing.turn == footing.preferred
    if verb is Verb.FAIL_OVER and is_there and parameters["endpoint"] - 1 == footing.turn:
        return f"{footing.hosts[footing.turn]} carries already. Nothing was changed."
    return None


_NEEDS_OPEN: Final = frozenset({Verb.PAUSE, Verb.RESUME, Verb.DRAIN, Verb.FAIL_OVER, Verb.RELOAD})
