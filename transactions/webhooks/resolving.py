"""Turns a webhook's host name into the one address that is connected to.

Owns the only look-up of such names: who sends, sends to what came out here, so that a name which means something
else a moment later (DNS rebinding) leads nowhere.
"""

import ipaddress
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooSlow
from typing import Final

from transactions.webhooks.addresses import IpAddress, Target, is_public
from transactions.webhooks.errors import AddressRefused

#: a look-up cannot be called off: a slow name server holds up so many others at most
_AT_ONCE: Final = 64
_WITHIN_S: Final = 5.0

LOOKUPS: Final = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="webhook-names")


def resolve(target: Target, *, private_allowed: bool) -> IpAddress:
    """Return the address to connect to; raises AddressRefused, or OSError for a name that has none.

    One forbidden address among several refuses the name.
    """
    addresses = _addresses(target)
    if not private_allowed and not all(map(is_public, addresses)):
        raise AddressRefused("private_address", "The host leads to an address that is not on the open internet.")
    return addresses[0]


def resolve_soon(target: Target, *, private_allowed: bool) -> IpAddress:
    """Do the same within a few seconds, for somebody who waits; raises TimeoutError, which is an OSError."""
    looking = LOOKUPS.submit(resolve, target, private_allowed=private_allowed)
    try:
        return looking.result(_WITHIN_S)
    except TooSlow:
        raise TimeoutError from None


def _addresses(target: Target) -> Sequence[IpAddress]:
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label of more than 63 characters
        raise AddressRefused("host", "This is not a host name.") from None
    return [ipaddress.ip_address(address[0]) for *_, address in found]
