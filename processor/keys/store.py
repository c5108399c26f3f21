"""A link's working keys: installed wrapped, read unwrapped and derived, remembered for a few seconds."""

import time
from dataclasses import dataclass

from django.conf import settings
from django.db import transaction

from processor.keys.errors import KeyProblem
from processor.keys.pan_vault import Purpose, vault_of
from processor.keys.software import (
    TERMINAL_KEY_BYTES,
    derive,
    mac_context,
    terminal_check_value,
    unwrap,
    wrap,
)
from processor.links import LinkConfig
from processor.models import Key, Link

_remembered: dict[int, tuple[float, "LinkKeys"]] = {}


@dataclass(frozen=True, slots=True)
class LinkKeys:
    """Derived keys: the one to sign with, and all that a signature may be checked with."""

    sign_with: bytes | None
    check_with: tuple[bytes, ...]


def keys_of(config: LinkConfig) -> LinkKeys:
    """Return a link's MAC keys as they were at most CACHE_SECONDS ago; raises KeyProblem."""
    now = time.monotonic()
    known = _remembered.get(config.id)
    if known is None or now - known[0] > settings.CACHE_SECONDS:
        known = (now, _read(config))
        _remembered[config.id] = known
    return known[1]


@transaction.atomic
def install(link: Link, kind: Key.Type, terminal_key: bytes) -> Key:
    """Make a terminal key the active one of its type; the one before expires."""
    if len(terminal_key) != TERMINAL_KEY_BYTES:
        raise KeyProblem(f"A terminal key is {TERMINAL_KEY_BYTES} bytes.")
    earlier = Key.objects.select_for_update().filter(link=link, type=kind)
    version = max((key.version for key in earlier), default=0) + 1
    earlier.filter(state=Key.State.ACTIVE).update(state=Key.State.EXPIRED)
    _remembered.pop(link.pk, None)
    return Key.objects.create(
        link=link,
        type=kind,
        version=version,
        state=Key.State.ACTIVE,
        check_value=terminal_check_value(terminal_key),
        wrapped=wrap(_wrapping_key(), terminal_key),
    )


def _read(config: LinkConfig) -> LinkKeys:
    found = Key.objects.filter(link_id=config.id, type=Key.Type.TSK, state=Key.State.ACTIVE)
    derived = [derive(unwrap(_wrapping_key(), bytes(key.wrapped)), mac_context(config.bank_uuid)) for key in found]
    return LinkKeys(derived[0] if derived else None, tuple(derived))


def _wrapping_key() -> bytes:
    return vault_of(settings.MASTER_KEY).derived(Purpose.WORKING_KEY)
