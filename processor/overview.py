"""One link with all that people ask of it: how it is, who holds it, how it is configured, and what staff want."""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from processor import links, versions
from processor.link.breaker import BreakerState
from processor.link.console import CommandState, Verb
from processor.link.health import Finding, Health, overall
from processor.links import LiveLink
from processor.models import Lease, Link, LinkCommand, LinkStatus
from processor.versions import Document


@dataclass(frozen=True, slots=True)
class Refused:
    """A configuration that was not taken over, and why."""

    at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class Overview:
    """A link as it is now."""

    name: str
    live: LiveLink
    lease: Lease
    status: LinkStatus
    version: int
    configuration: Document
    is_held: bool
    #: the last one that was refused, if none stands since
    refused: Refused | None

    @property
    def layers(self) -> dict[str, Finding]:
        """What the holder found last, layer by layer."""
        return {name: msgspec.convert(found, Finding) for name, found in self.status.health.items()}

    @property
    def health(self) -> Health:
        """How well it is, in all."""
        return overall(
            self.layers,
            is_held=self.is_held,
            is_up=self.live.up,
            is_spared=self.live.breaker != BreakerState.CLOSED.value,
            down_s=self.live.down_s,
            wanted=self.live.wanted,
        )

    @property
    def preferred(self) -> str:
        """The host that is gone to first: the one that staff chose, or the first."""
        first = self.configuration["endpoints"][0]
        return self.lease.wanted_endpoint or f"{first['host']}:{first['port']}"

    @property
    def next_endpoint(self) -> str:
        """The host that is tried if the one in use is lost and does not come back; empty where there is no other."""
        hosts = [f"{one['host']}:{one['port']}" for one in self.configuration["endpoints"]]
        here = hosts.index(self.status.endpoint) if self.status.endpoint in hosts else 0
        return hosts[(here + 1) % len(hosts)] if len(hosts) > 1 else ""


def overview(name: str) -> Overview | None:
    """Return a link as it is now."""
    link, live = Link.objects.filter(name=name).first(), links.live(name)
    if link is None or live is None:
        return None
    return Overview(
        name=name,
        live=live,
        lease=Lease.objects.get(link=name),
        status=LinkStatus.objects.get(link=name),
        version=link.version,
        configuration=versions.document(link),
        is_held=links.is_held(name),
        refused=_refused(name),
    )


def _refused(name: str) -> Refused | None:
    last = LinkCommand.objects.filter(link=name, verb=Verb.CONFIGURE.value).order_by("-id").first()
    if last is None or last.state not in (CommandState.REFUSED, CommandState.EXPIRED):
        return None
    return Refused(last.ended_at, last.answer)
