"""Webhook endpoints as their merchant keeps them: made, changed, deleted, tried, given a new secret.

Each is one transaction. An endpoint is another merchant's business to nobody: what is not found is unknown.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from queueing import clock
from queueing.database import rows
from queueing.doorbell import WEBHOOKS, ring
from transactions.outbox import EVENT_TYPES, TEST, new_message_id
from transactions.sealing import seal_webhook_secret
from transactions.webhook_models import WebhookDelivery, WebhookEndpoint, WebhookMessage
from transactions.webhooks.addresses import target_of
from transactions.webhooks.errors import AddressRefused, EndpointDisabled, TooManyEndpoints, UnknownEndpoint
from transactions.webhooks.resolving import resolve_soon
from transactions.webhooks.signing import new_secret

MOST: Final = 20
USUAL_OVERLAP: Final = timedelta(hours=24)
_SETTLED_WITHIN_S: Final = 2.0

_log = structlog.get_logger(__name__)

#: True when whoever changed something before this transaction is done, one way or the other.
_IS_SETTLED: Final = "SELECT pg_snapshot_xmin(pg_current_snapshot()) > %(mine)s::text::xid8 AS settled"
_MINE: Final = "SELECT pg_current_xact_id()::text AS mine"


def _nothing() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Wanted:
    """An endpoint as its merchant wants it."""

    url: str
    event_types: Sequence[str] = ()
    description: str = ""


def live(merchant_id: int) -> "QuerySet[WebhookEndpoint]":
    """Return a merchant's endpoints, the deleted ones left out."""
    return WebhookEndpoint.objects.filter(merchant_id=merchant_id, deleted_at__isnull=True).order_by("id")


def one(merchant_id: int, endpoint_id: UUID) -> WebhookEndpoint:
    """Return a merchant's endpoint; raises UnknownEndpoint for another's."""
    found = live(merchant_id).filter(id=endpoint_id).first()
    if found is None:
        raise UnknownEndpoint
    return found


def create(merchant_id: int, wanted: Wanted, *, actor: str) -> tuple[WebhookEndpoint, str]:
    """Make an endpoint; returns it with its secret, which nobody is shown again.

    Every payment that ends once this has returned is told there. Raises AddressRefused, TooManyEndpoints.
    """
    check(wanted.url)
    with transaction.atomic():
        if live(merchant_id).count() >= MOST:
            raise TooManyEndpoints
        at, secret, endpoint_id = clock.now(), new_secret(), new_message_id()
        endpoint = WebhookEndpoint.objects.create(
            id=endpoint_id,
            merchant_id=merchant_id,
            url=wanted.url,
            description=wanted.description,
            event_types=list(wanted.event_types),
            secret=seal_webhook_secret(secret, endpoint_id),
            created_at=at,
            updated_at=at,
        )
        mine = rows(_MINE)[0].mine
    _wait_until_known(mine)
    _log.info("webhooks.endpoint_created", endpoint=str(endpoint_id), actor=actor)
    return endpoint, secret


def change(
    merchant_id: int,
    endpoint_id: UUID,
    changes: Mapping[str, Any],
    *,
    enabled: bool | None,
    actor: str,
    along: Callable[[], None] = _nothing,
) -> WebhookEndpoint:
    """Change url, event types or description, disable or enable; raises AddressRefused, UnknownEndpoint.

    `along` runs in the transaction that changes it: what a caller writes down with it, or neither.
    """
    if "url" in changes:
        check(changes["url"])
    with transaction.atomic():
        endpoint = _locked(merchant_id, endpoint_id)
        is_elsewhere = changes.get("url", endpoint.url) != endpoint.url
        for name, value in changes.items():
            setattr(endpoint, name, value)
        if enabled is True:
            endpoint.disabled_at, endpoint.disabled_reason = None, ""
        if enabled is True or is_elsewhere:  # another receiver has its own three days
            endpoint.failing_since = endpoint.quiet_until = None
        elif enabled is False and endpoint.disabled_at is None:
            by_staff = actor.startswith("staff:")
            why = WebhookEndpoint.Disabled.BY_STAFF if by_staff else WebhookEndpoint.Disabled.BY_CLIENT
            endpoint.disabled_at, endpoint.disabled_reason = clock.now(), why
        endpoint.updated_at = clock.now()
        endpoint.save()
        along()
        mine = rows(_MINE)[0].mine
    _wait_until_known(mine)
    _log.info("webhooks.endpoint_changed", endpoint=str(endpoint_id), actor=actor, what=sorted(changes))
    return endpoint


def delete(merchant_id: int, endpoint_id: UUID, *, actor: str) -> None:
    """Tell nothing there any more; what was told stays readable. Raises UnknownEndpoint."""
    with transaction.atomic():
        endpoint = _locked(merchant_id, endpoint_id)
        endpoint.deleted_at = endpoint.updated_at = clock.now()
        endpoint.save()
    _log.info("webhooks.endpoint_deleted", endpoint=str(endpoint_id), actor=actor)


def rotate(merchant_id: int, endpoint_id: UUID, overlap: timedelta, *, actor: str) -> tuple[WebhookEndpoint, str]:
    """Give an endpoint a new secret; the one before signs as well until the overlap is over, any older one no more."""
    with transaction.atomic():
        endpoint = _locked(merchant_id, endpoint_id)
        secret, at = new_secret(), clock.now()
        endpoint.previous_secret, endpoint.previous_until = endpoint.secret, at + overlap
        endpoint.secret = seal_webhook_secret(secret, endpoint.id)
        endpoint.updated_at = at
        endpoint.save()
    _log.info("webhooks.secret_rotated", endpoint=str(endpoint_id), actor=actor)
    return endpoint, secret


def send_test(merchant_id: int, endpoint_id: UUID) -> WebhookDelivery:
    """Send a message that tells of no payment; raises UnknownEndpoint, EndpointDisabled."""
    with transaction.atomic():
        endpoint = _locked(merchant_id, endpoint_id)
        if endpoint.disabled_at is not None:
            raise EndpointDisabled
        at = clock.now()
        body = msgspec.json.encode({"type": TEST, "timestamp": at, "data": {"endpoint": endpoint.id}}).decode()
        message = WebhookMessage.objects.create(merchant_id=merchant_id, type=TEST, body=body, created_at=at)
        delivery = WebhookDelivery.objects.create(
            message=message, endpoint=endpoint, state="pending", next_at=Now(), tries=0, created_at=at
        )
        delivery.refresh_from_db()
        transaction.on_commit(lambda: ring(WEBHOOKS))
    return delivery


def check(url: str) -> None:
    """Raise AddressRefused for a URL to which nothing is sent; it is looked at again before every delivery."""
    allowed = settings.WEBHOOK_PRIVATE_ADDRESSES
    target = target_of(url, private_allowed=allowed)
    try:
        resolve_soon(target, private_allowed=allowed)
    except OSError:
        raise AddressRefused("unknown_host", "The host cannot be found just now; see that its name is right.") from None


def unknown_types(event_types: Sequence[str]) -> list[str]:
    """Return those that no message ever has."""
    return [kind for kind in event_types if kind not in EVENT_TYPES]


def _locked(merchant_id: int, endpoint_id: UUID) -> WebhookEndpoint:
    found = live(merchant_id).filter(id=endpoint_id).select_for_update().first()
    if found is None:
        raise UnknownEndpoint
    return found


def _wait_until_known(mine: str) -> None:
    """Wait until no transaction is under way that read the endpoints before this change, and ends payments."""
    deadline = time.monotonic() + _SETTLED_WITHIN_S
    while not rows(_IS_SETTLED, {"mine": mine})[0].settled and time.monotonic() < deadline:
        time.sleep(0.01)
