"""Every state of a link and every way from one to another. All that moves a link stands in this table."""

import enum
from collections.abc import Mapping
from types import MappingProxyType


class State(enum.Enum):
    """Where a session with the host stands."""

    CLOSED = "closed"
    #: connected, our sign-on is on its way
    SIGNING_ON = "signing_on"
    #: signed on, the first echo is on its way
    PROVING = "proving"
    UP = "up"
    #: we want to leave: no new message, waiting for what is in flight
    DRAINING = "draining"
    SIGNING_OFF = "signing_off"
    #: the host signed us off: no new message, waiting for what is in flight
    SIGNED_OFF = "signed_off"
    #: nothing more will be read or written; the socket is to be closed
    CLOSING = "closing"


class Step(enum.Enum):
    """What can happen to a session."""

    CONNECTED = "connected"
    SIGN_ON_ACCEPTED = "sign_on_accepted"
    SIGN_ON_FAILED = "sign_on_failed"
    ECHO_ACCEPTED = "echo_accepted"
    ECHO_FAILED = "echo_failed"
    STREAM_BROKEN = "stream_broken"
    HOST_SIGNED_OFF = "host_signed_off"
    SIGN_OFF_ASKED = "sign_off_asked"
    DRAINED = "drained"
    SIGN_OFF_ENDED = "sign_off_ended"
    DISCONNECTED = "disconnected"


_OPEN = (State.SIGNING_ON, State.PROVING, State.UP, State.DRAINING, State.SIGNING_OFF, State.SIGNED_OFF)

TRANSITIONS: Mapping[tuple[State, Step], State] = MappingProxyType(
    {
        (State.CLOSED, Step.CONNECTED): State.SIGNING_ON,
        (State.SIGNING_ON, Step.SIGN_ON_ACCEPTED): State.PROVING,
        (State.SIGNING_ON, Step.SIGN_ON_FAILED): State.CLOSING,
        (State.SIGNING_ON, Step.SIGN_OFF_ASKED): State.CLOSING,
        (State.SIGNING_ON, Step.HOST_SIGNED_OFF): State.CLOSING,
        (State.PROVING, Step.ECHO_ACCEPTED): State.UP,
        (State.PROVING, Step.ECHO_FAILED): State.CLOSING,
        (State.PROVING, Step.SIGN_OFF_ASKED): State.DRAINING,
        (State.PROVING, Step.HOST_SIGNED_OFF): State.SIGNED_OFF,
        (State.UP, Step.ECHO_ACCEPTED): State.UP,
        (State.UP, Step.ECHO_FAILED): State.CLOSING,
        (State.UP, Step.SIGN_OFF_ASKED): State.DRAINING,
        (State.UP, Step.HOST_SIGNED_OFF): State.SIGNED_OFF,
        (State.DRAINING, Step.ECHO_ACCEPTED): State.DRAINING,
        (State.DRAINING, Step.ECHO_FAILED): State.CLOSING,
        (State.DRAINING, Step.SIGN_OFF_ASKED): State.DRAINING,
        (State.DRAINING, Step.HOST_SIGNED_OFF): State.SIGNED_OFF,
        (State.DRAINING, Step.DRAINED): State.SIGNING_OFF,
        (State.SIGNED_OFF, Step.ECHO_ACCEPTED): State.SIGNED_OFF,
        (State.SIGNED_OFF, Step.ECHO_FAILED): State.CLOSING,
        (State.SIGNED_OFF, Step.SIGN_OFF_ASKED): State.SIGNED_OFF,
        (State.SIGNED_OFF, Step.HOST_SIGNED_OFF): State.SIGNED_OFF,
        (State.SIGNED_OFF, Step.DRAINED): State.CLOSING,
        (State.SIGNING_OFF, Step.ECHO_ACCEPTED): State.SIGNING_OFF,
        (State.SIGNING_OFF, Step.ECHO_FAILED): State.CLOSING,
        (State.SIGNING_OFF, Step.HOST_SIGNED_OFF): State.CLOSING,
        (State.SIGNING_OFF, Step.SIGN_OFF_ENDED): State.CLOSING,
        **{(state, Step.STREAM_BROKEN): State.CLOSING for state in _OPEN},
        **{(state, Step.DISCONNECTED): State.CLOSED for state in State},
    }
)

#: states in which financial messages may be written
WRITABLE = frozenset({State.UP})
#: states in which the socket is of use
OPEN = frozenset(_OPEN)
