"""Network management messages (0800, 0810): how ours are made and how the host's are answered."""

from collections.abc import Callable
from typing import Final, TypeAlias

from processor.codec.dialects import Dialect
from processor.codec.message import Message
from processor.link.events import Moment
from processor.link.profile import Profile

#: makes a message of ours for a purpose, with its STAN, at a moment
MakeRequest: TypeAlias = Callable[[str, int, Moment, Profile], Message]

ACCEPTED: Final = "00"
INVALID: Final = "12"

# What an 0810 repeats of its 0800; anything else the host put in is not ours to send back.
_ECHOED: Final = frozenset({3, 7, 11, 12, 13, 24, 41, 42, 53, 70})


def network_request(purpose: str, stan: int, now: Moment, profile: Profile) -> Message:
    """Return our 0800 for a purpose of the dialect: "sign_on", "sign_off" or "echo"."""
    dialect = profile.dialect
    local = now.utc.astimezone(profile.time_zone)
    known = {
        7: now.utc.strftime("%m%d%H%M%S"),
        11: f"{stan:06d}",
        41: profile.terminal_id,
        42: profile.card_acceptor_id,
    } | {number: local.strftime(form) for number, form in dialect.local_time.items()}
    carried = {number: known[number] for number in dialect.network_fields[purpose]}
    constants = dialect.network_constants.get(purpose, {})
    return Message(dialect.mti["network"], {**constants, **carried, **dialect.network[purpose]})


def network_answer(request: Message, code: str, dialect: Dialect) -> Message:
    """Return the 0810 to a host's 0800; `code` by its 1987 name."""
    echoed = {number: value for number, value in request.fields.items() if number in _ECHOED}
    mti = f"{request.mti[:2]}{int(request.mti[2]) + 1}0"
    return Message(mti, echoed | {39: dialect.write_code(code)})
