"""Where a webhook may go: the form of its URL, and which IP addresses are nobody's own network.

Pure: nothing is resolved here. A name is only as good as the address it has when something is sent.
"""

import ipaddress
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from transactions.webhooks.errors import AddressRefused

_LONGEST: Final = 2048
_FORM: Final = re.compile(r"https?://[!-~]+\Z", re.IGNORECASE)
_HOST: Final = re.compile(r"[0-9A-Za-z]([0-9A-Za-z._-]{0,251}[0-9A-Za-z])?\.?\Z")
_USUAL_PORTS: Final = {"https": 443, "http": 80}
_FIRST_FREE_PORT: Final = 1024
#: IETF protocol assignments (RFC 6890), relays of 6to4 (RFC 7526) and documentation (RFC 9637), of which Pythons call
#: only a part private
_ASSIGNED: Final = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")))

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart: whom to resolve, where to connect, what to ask for."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _USUAL_PORTS[self.scheme] else f"{host}:{self.port}"


def target_of(url: str, *, private_allowed: bool) -> Target:
    """Return where a URL leads; raises AddressRefused for what no webhook may have."""
    if len(url) > _LONGEST or not _FORM.match(url):
        raise AddressRefused("url", "This must be an absolute https URL of up to 2048 ASCII characters.")
    try:
        parts = urlsplit(url)
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
    except ValueError:
        raise AddressRefused("url", "This is not a URL with a host and a port.") from None
    if "@" in parts.netloc:
        raise AddressRefused("credentials", "A URL must not hold a user name or a password.")
    if "#" in url:
        raise AddressRefused("fragment", "A URL must not have a fragment.")
    if scheme != "https" and not private_allowed:
        raise AddressRefused("scheme", "Webhooks are sent by https only.")
    if not host or not (_HOST.match(host) or ":" in host):
        raise AddressRefused("host", "The host must be a name in ASCII letters, digits, dots and hyphens.")
    port = _USUAL_PORTS[scheme] if port is None else port
    if port not in _USUAL_PORTS.values() and port < _FIRST_FREE_PORT:
        raise AddressRefused("port", "The port must be 443, or 1024 and above.")
    path = parts.path or "/"
    return Target(scheme, host, port, f"{path}?{parts.query}" if parts.query else path)


def is_public(address: IpAddress) -> bool:
    """True for an address of the open internet: nobody's own, and none that hides another."""
    if isinstance(address, ipaddress.IPv6Address) and (
        address.ipv4_mapped or address.sixtofour or address.teredo or address.is_site_local or address.scope_id
    ):
        return False
    return address.is_global and not (
        any(address in network for network in _ASSIGNED)
        or address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_multicast
        or address.is_reserved
        or address.is_unspecified
    )
