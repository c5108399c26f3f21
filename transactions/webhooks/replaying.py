"""Sending once more what was told, or would have been: one delivery, or all of a merchant's in a span of time.

Owns the record of who did that and what came of it. A message keeps its id, so a receiver that has it knows it again;
a payment that nobody was told of gets its message now.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
import structlog
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from queueing import clock
from queueing.database import rows, run
from queueing.doorbell import WEBHOOKS, ring
from staff.masking import mask_text
from transactions.domain.values import FINAL
from transactions.finding import accepted_between
from transactions.models import Payment, WebhookDelivery, WebhookEndpoint, WebhookMessage, WebhookReplay
from transactions.outbox import WANTED, message_of
from transactions.webhooks import endpoints
from transactions.webhooks.errors import EndpointDisabled, UnknownDelivery

#: payments of one replay; who needs more narrows the time and does it again
MOST: Final = 10_000
_AT_ONCE: Final = 500

_ADD_MESSAGES: Final = f"""
INSERT INTO transactions_webhookmessage (id, merchant_id, type, payment_id, version, body, created_at)
SELECT m.id, m.merchant_id, m.type, m.payment_id, m.version, m.body, m.created_at
FROM json_to_recordset(%(messages)s::json) AS m(
    id uuid, merchant_id bigint, type text, payment_id uuid, version int, body text, created_at timestamptz)
WHERE EXISTS (SELECT 1 FROM transactions_webhookendpoint e WHERE {WANTED})
ON CONFLICT (payment_id, version) DO NOTHING"""

#: Before it is looked who was told what: a message is not forgotten while a delivery of it is added.
_HOLD: Final = """
SELECT id FROM transactions_webhookmessage WHERE payment_id = ANY(%(payments)s::uuid[]) ORDER BY id FOR SHARE"""

#: The last that there is to tell of each payment, to every endpoint that wants it.
_ADD_DELIVERIES: Final = f"""
INSERT INTO transactions_webhookdelivery (message_id, endpoint_id, replay_id, state, next_at, tries, created_at)
SELECT m.id, e.id, %(replay)s::uuid, 'pending', now(), 0, now()
FROM (
    SELECT DISTINCT ON (payment_id) * FROM transactions_webhookmessage
    WHERE payment_id = ANY(%(payments)s::uuid[]) ORDER BY payment_id, version DESC
) AS m JOIN transactions_webhookendpoint e ON {WANTED}"""

_ADD_ONE: Final = """
INSERT INTO transactions_webhookdelivery (message_id, endpoint_id, replay_id, state, next_at, tries, created_at)
SELECT d.message_id, d.endpoint_id, %(replay)s::uuid, 'pending', now(), 0, now()
FROM transactions_webhookdelivery d WHERE d.id = %(delivery)s::bigint
RETURNING id"""

_OUTCOME: Final = """
SELECT state, count(*) AS deliveries FROM transactions_webhookdelivery
WHERE replay_id = %(replay)s::uuid GROUP BY state"""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which payments that have ended: one, of a status, accepted in a span of time."""

    payment: UUID | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None


def found(merchant_id: int, filters: Filters) -> "QuerySet[Payment]":
    """Return the payments that a replay would be about, in the order of their acceptance."""
    payments = Payment.objects.filter(merchant_id=merchant_id, status__in=FINAL).order_by("id")
    if filters.payment:
        payments = payments.filter(id=filters.payment)
    if filters.status:
        payments = payments.filter(status=filters.status)
    # Ids begin with their time, or nearly, so that a span of time is a span of the merchant's index.
    return payments.filter(accepted_between(filters.since, filters.until))


def count(merchant_id: int, filters: Filters) -> int:
    """Return how many payments a replay would be about, counted to one above the most it takes."""
    return found(merchant_id, filters)[: MOST + 1].count()


def replay(merchant_id: int, filters: Filters, *, actor: str, reason: str) -> WebhookReplay:
    """Send what there is to tell of these payments to every enabled endpoint that wants it."""
    made = _record(merchant_id, filters, actor, reason)
    ids = list(found(merchant_id, filters).values_list("id", flat=True)[:MOST])
    for batch in _batches(ids):
        with transaction.atomic():
            made.deliveries += _send(batch, made)
            made.payments += len(batch)
            made.save()
            transaction.on_commit(lambda: ring(WEBHOOKS))
    _log.info("webhooks.replayed", replay=str(made.id), actor=actor, deliveries=made.deliveries)
    return made


def resend(merchant_id: int, endpoint_id: UUID, delivery_id: int, *, actor: str, reason: str = "") -> WebhookDelivery:
    """Send one delivery's message once more; raises UnknownEndpoint, UnknownDelivery, EndpointDisabled."""
    endpoint = endpoints.one(merchant_id, endpoint_id)
    with transaction.atomic():
        before = _held(endpoint, delivery_id)
        if endpoint.disabled_at is not None:
            raise EndpointDisabled
        made = _record(merchant_id, Filters(payment=before.message.payment_id), actor, reason, payments=1)
        delivery = rows(_ADD_ONE, {"replay": made.id, "delivery": delivery_id})[0].id
        WebhookReplay.objects.filter(id=made.id).update(deliveries=1)
        transaction.on_commit(lambda: ring(WEBHOOKS))
    _log.info("webhooks.resent", delivery=delivery_id, actor=actor)
    return WebhookDelivery.objects.get(id=delivery)


def outcome(made: WebhookReplay) -> Mapping[str, int]:
    """Return how many of a replay's deliveries are in which state by now, or were when they were forgotten."""
    counted = Counter({row.state: row.deliveries for row in rows(_OUTCOME, {"replay": made.id})})
    counted.update(delivered=made.forgotten_delivered, exhausted=made.forgotten_exhausted)
    return {state: deliveries for state, deliveries in counted.items() if deliveries}


def _record(merchant_id: int, filters: Filters, actor: str, reason: str, payments: int = 0) -> WebhookReplay:
    return WebhookReplay.objects.create(
        merchant_id=merchant_id,
        actor=actor,
        reason=mask_text(reason),
        filters=msgspec.to_builtins(filters),
        at=clock.now(),
        payments=payments,
        deliveries=0,
    )


def _held(endpoint: WebhookEndpoint, delivery_id: int) -> WebhookDelivery:
    """Return a delivery that is not forgotten, nor its message, before this transaction ends."""
    held = WebhookDelivery.objects.select_related("message").select_for_update(no_key=True)
    found = held.filter(id=delivery_id, endpoint=endpoint).first()
    if found is None:
        raise UnknownDelivery
    return found


def _send(payments: Sequence[UUID], made: WebhookReplay) -> int:
    rows(_HOLD, {"payments": list(payments)})
    told = WebhookMessage.objects.filter(payment_id=OuterRef("id"))
    untold = Payment.objects.filter(~Exists(told), id__in=payments)
    messages = [message_of(payment, made.at) for payment in untold]
    if messages:
        run(_ADD_MESSAGES, {"messages": msgspec.json.encode(messages).decode()})
    return run(_ADD_DELIVERIES, {"payments": list(payments), "replay": made.id})


def _batches(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    for start in range(0, len(ids), _AT_ONCE):
        yield ids[start : start + _AT_ONCE]
