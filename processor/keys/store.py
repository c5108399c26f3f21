"""A link's working keys: installed wrapped, read unwrapped and derived, remembered for a few seconds."""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Now

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

#: that long beyond its patience may a link's answer to what was signed with the key before be settled
_BELATED_S: Final = 60.0

_remembered: dict[int, tuple[float, "LinkKeys"]] = {}


@dataclass(frozen=True, slots=True)
class LinkKeys:
    """Derived keys: the one to sign with, and all that an answer's signature may be checked with."""

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
    staged = activate(stage(link, kind, terminal_key).pk)
    if staged is None:
        raise KeyProblem
    return staged


@transaction.atomic
def stage(link: Link, kind: Key.Type, terminal_key: bytes) -> Key:
    """Keep a terminal key as the pending one of its type, in place of one that was; raises KeyProblem."""
    if len(terminal_key) != TERMINAL_KEY_BYTES:
        raise KeyProblem(f"A terminal key is {TERMINAL_KEY_BYTES} bytes.")
    earlier = Key.objects.select_for_update().filter(link=link, type=kind)
    version = max((key.version for key in earlier), default=0) + 1
    earlier.filter(state=Key.State.PENDING).delete()
    return Key.objects.create(
        link=link,
        type=kind,
        version=version,
        state=Key.State.PENDING,
        check_value=terminal_check_value(terminal_key),
        wrapped=wrap(_wrapping_key(), terminal_key),
    )


@transaction.atomic
def activate(key_id: int) -> Key | None:
    """Put a pending key in force, and let the one before expire; None when it is pending no more."""
    pending = Key.objects.filter(pk=key_id, state=Key.State.PENDING).select_related("link").first()
    if pending is None:
        return None
    of_its_type = Key.objects.filter(link=pending.link, type=pending.type)
    of_its_type.filter(state=Key.State.ACTIVE).update(state=Key.State.EXPIRED, expired_at=Now())
    if not Key.objects.filter(pk=key_id, state=Key.State.PENDING).update(state=Key.State.ACTIVE):
        return None
    transaction.on_commit(lambda: _remembered.pop(pending.link_id, None))
    pending.refresh_from_db()
    return pending


def discard(key_id: int) -> None:
    """Forget a key that never came into force."""
    Key.objects.filter(pk=key_id, state=Key.State.PENDING).delete()


def _read(config: LinkConfig) -> LinkKeys:
    """A new key is checked with at once, and signed with when every process has read it; the one before the reverse."""
    believed = timedelta(seconds=config.answer_timeout_s + _BELATED_S)
    known_to_all = timedelta(seconds=2 * settings.CACHE_SECONDS)
    usable = Q(state=Key.State.ACTIVE) | Q(state=Key.State.EXPIRED, expired_at__gt=Now() - believed)
    found = Key.objects.filter(usable, link_id=config.id, type=Key.Type.TSK).order_by("version")
    derived: list[bytes] = []
    sign_with: bytes | None = None
    for key in found.annotate(expired_for=Now() - F("expired_at")):
        derived.append(derive(unwrap(_wrapping_key(), bytes(key.wrapped)), mac_context(config.bank_uuid)))
        if sign_with is None and (key.state == Key.State.ACTIVE or key.expired_for < known_to_all):
            sign_with = derived[-1]
    return LinkKeys(sign_with, tuple(derived))


def _wrapping_key() -> bytes:
    return vault_of(settings.MASTER_KEY).derived(Purpose.WORKING_KEY)
