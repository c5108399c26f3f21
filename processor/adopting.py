"""Lets a new configuration stand for a link that this process holds, or says why not: before the old one is left.

Owns what is looked at. The host in use takes no second connection, so it is not called on.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from django.db import close_old_connections

from processor.checking import LinkRefused
from processor.configuring import apply
from processor.connection import Connection
from processor.errors import ProcessorError
from processor.store import insist
from processor.versions import Author, Outdated, find, hosts_of

_REACH_S: Final = 1.0

Endpoint = tuple[str, int]


class NotAdopted(ProcessorError):
    """The new configuration is refused; the link goes on with the old one."""

    permanent = True


async def adopt(link: str, proposed: dict[str, Any], in_use: Endpoint | None) -> int:
    """Let a proposed configuration stand; returns its version, or raises NotAdopted with the reason."""
    if wrong := await _missing(hosts_of(proposed["configuration"]), in_use):
        raise NotAdopted(f"{wrong} The link was not touched.")
    try:
        return await insist(link, lambda: asyncio.to_thread(_apply, link, proposed))
    except (LinkRefused, Outdated) as error:
        raise NotAdopted(f"{error} The link was not touched.") from None


async def _missing(endpoints: Sequence[Endpoint], in_use: Endpoint | None) -> str | None:
    """Return what is not there: a name that leads nowhere, or every host."""
    if unknown := [host for host, port in endpoints if not await Connection.is_known((host, port))]:
        return f"No address is known of {', '.join(unknown)}."
    for endpoint in endpoints:
        if endpoint == in_use or await Connection.reaches(endpoint, _REACH_S):
            return None
    return "No host of it takes a connection."


def _apply(link: str, proposed: dict[str, Any]) -> int:
    """Django's connections belong to threads: one that a database's end left behind is not used again."""
    configuration, expected = proposed["configuration"], proposed["version"]
    author = Author(proposed["author"], proposed["why"])
    close_old_connections()
    try:
        return apply(link, configuration, expected, author).version
    except Outdated:
        # A commit of ours whose acknowledgement was lost is no change of somebody else's.
        kept = find(link, expected + 1)
        if kept and (kept.configuration, kept.who) == (configuration, author.name):
            return kept.version
        raise
    finally:
        close_old_connections()
