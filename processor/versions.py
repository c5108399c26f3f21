"""A link's configuration as one document, and what differs between two of them.

Owns which fields a configuration has, for forms, the API, the command line and the versions that are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.db.models.functions import Now

from processor.errors import ProcessorError
from processor.models import Link, LinkVersion
from staff.masking import mask_text

FIELDS: Final = (
    *("dialect", "framing", "window", "answer_timeout_s", "echo_interval_s", "echo_timeout_s", "sign_on_timeout_s"),
    *("store_and_forward", "breaker_failures", "breaker_rate", "breaker_volume"),
    *("failback_s", "breaker_window_s", "breaker_open_s", "breaker_successes"),
    *("health_process_s", "health_network_s", "health_protocol_s", "health_resources_s"),
    *("terminal_id", "card_acceptor_id", "time_zone", "bank_uuid"),
)
ENDPOINTS: Final = "endpoints"

Document = dict[str, Any]


class Outdated(ProcessorError):
    """Somebody else changed the link meanwhile; read it again, and decide anew."""

    permanent = True


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes a link, and why."""

    name: str
    why: str = ""


def document(link: Link) -> Document:
    """Return a link's configuration: its fields, and its hosts as {host, port} in their order."""
    fields = {field: getattr(link, field) for field in FIELDS}
    fields["bank_uuid"] = str(link.bank_uuid) if link.bank_uuid else None
    hosts = link.endpoints.order_by("position").values_list("host", "port") if link.pk else ()
    return {**fields, ENDPOINTS: [{"host": host, "port": port} for host, port in hosts]}


def hosts_of(configuration: Document) -> list[tuple[str, int]]:
    """Return the hosts of a document."""
    return [(endpoint["host"], endpoint["port"]) for endpoint in configuration[ENDPOINTS]]


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return (field, before, after) of what is not the same."""
    return [(field, before.get(field), after[field]) for field in after if before.get(field) != after[field]]


def keep(link: Link, before: Document, after: Document, author: Author) -> None:
    """Keep a version, in the transaction that makes it."""
    LinkVersion.objects.create(
        link=link.name,
        version=link.version,
        at=Now(),
        who=author.name,
        why=mask_text(author.why),
        configuration=after,
        changed=differences(before, after),
    )


def kept(link: str, limit: int) -> Sequence[LinkVersion]:
    """Return a link's versions, newest first."""
    return list(LinkVersion.objects.filter(link=link).order_by("-version")[:limit])


def find(link: str, version: int) -> LinkVersion | None:
    """Return one version."""
    return LinkVersion.objects.filter(link=link, version=version).first()
