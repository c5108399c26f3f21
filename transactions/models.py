"""The payments' tables: events are the truth, the rest is read from them.

Owns columns, indexes and the trigger that lets events only be added. Rules are in `domain`.
"""

import pgtrigger
import uuid_utils.compat
from django.db import models
from django.db.models import CompositePrimaryKey, F, Q
from rest_framework_api_key.models import AbstractAPIKey

from transactions.domain.values import Operation, Status


def _choices(words: type[Operation] | type[Status]) -> list[tuple[str, str]]:
    return [(word.value, word.value.replace("_", " ")) for word in words]


class Merchant(models.Model):
    """Who payments belong to; idempotency keys are unique within one."""

    name = models.CharField(max_length=100, unique=True)
    created_at = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class ApiKey(AbstractAPIKey):
    """A bearer key of one merchant; only its hash is kept."""

    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="api_keys")
    scopes = models.JSONField(default=list, help_text='Of "read", "pay" and "operate".')

    class Meta(AbstractAPIKey.Meta):
        verbose_name = "API key"


class Payment(models.Model):
    """What a payment's events make of it, as one row."""

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    # No constraint in the database: every insert would lock the merchant's row.
    merchant = models.ForeignKey(Merchant, models.DO_NOTHING, db_index=False, db_constraint=False)
    idempotency_key = models.TextField()
    #: keyed digest of the request: tells another body without keeping this one (I2)
    fingerprint = models.TextField()
    fingerprint_key = models.TextField()
    request_id = models.TextField()

    operation = models.TextField(choices=_choices(Operation))
    amount = models.BigIntegerField(help_text="In minor units.")
    currency = models.CharField(max_length=3)
    masked_pan = models.TextField(null=True)  # noqa: DJ001
    card_last4 = models.TextField(null=True)  # noqa: DJ001
    #: the card in the clear, sealed; not part of any event
    sealed_card = models.BinaryField(null=True)
    source_account = models.TextField(null=True)  # noqa: DJ001
    destination_account = models.TextField(null=True)  # noqa: DJ001
    biller = models.TextField(null=True)  # noqa: DJ001
    customer_number = models.TextField(null=True)  # noqa: DJ001
    terminal_id = models.TextField()
    card_acceptor_id = models.TextField()
    original = models.JSONField(null=True)

    link = models.TextField()
    lane = models.TextField(null=True)  # noqa: DJ001
    priority = models.SmallIntegerField()
    expires_at = models.DateTimeField()
    reference = models.TextField(null=True)  # noqa: DJ001
    metadata = models.JSONField(default=dict)

    status = models.TextField(choices=_choices(Status))
    version = models.IntegerField()
    #: hash of the last event: the next one chains to it
    head = models.BinaryField()
    reason = models.TextField(null=True)  # noqa: DJ001
    response_code = models.TextField(null=True)  # noqa: DJ001
    authorisation_code = models.TextField(null=True)  # noqa: DJ001
    accepted_attempt = models.SmallIntegerField(null=True)
    rrn = models.TextField(null=True)  # noqa: DJ001
    host_rrn = models.TextField(null=True)  # noqa: DJ001
    balances = models.JSONField(null=True)
    captured_amount = models.BigIntegerField(db_default=0)
    refunded_amount = models.BigIntegerField(db_default=0)
    voided_by = models.UUIDField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        permissions = [("retry_payment", "Can let a payment go on"), ("cancel_payment", "Can cancel a payment")]
        constraints = [
            models.UniqueConstraint(fields=["merchant", "idempotency_key"], name="payment_idempotency"),
        ]
        indexes = [
            models.Index(F("merchant"), F("id").desc(), name="payment_merchant"),
            models.Index(fields=["reference"], name="payment_reference", condition=Q(reference__isnull=False)),
            models.Index(fields=["card_last4"], name="payment_last4"),
            models.Index(fields=["id"], name="payment_open", condition=Q(ended_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return str(self.id)


class Event(models.Model):
    """One thing that happened to a payment. Rows are only ever added (E1)."""

    pk = CompositePrimaryKey("payment_id", "version")
    payment_id = models.UUIDField()
    version = models.IntegerField()
    type = models.TextField()
    data = models.JSONField()
    actor = models.TextField()
    at = models.DateTimeField()
    hash = models.BinaryField()

    class Meta:
        triggers = [
            pgtrigger.Protect(name="insert_only", operation=pgtrigger.Update | pgtrigger.Delete),
            pgtrigger.Trigger(
                name="never_truncate",
                operation=pgtrigger.Truncate,
                level=pgtrigger.Statement,
                when=pgtrigger.Before,
                func="RAISE EXCEPTION 'pgtrigger: Cannot truncate events, they are only ever added';",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.payment_id}.{self.version}"


class Attempt(models.Model):
    """One STAN + field 7 + terminal, for one message: a request, an advice, or the reversal of one."""

    pk = CompositePrimaryKey("payment_id", "number")
    payment_id = models.UUIDField()
    number = models.SmallIntegerField()
    kind = models.TextField()
    mti = models.TextField()
    stan = models.IntegerField()
    transmitted_at = models.DateTimeField()
    terminal_id = models.TextField()
    rrn = models.TextField()
    link = models.TextField()
    business_date = models.DateField()
    #: of the last body made for it (M2)
    digest = models.TextField()
    reverses = models.SmallIntegerField(null=True)
    repeats = models.SmallIntegerField()
    outcome = models.TextField()
    undoing = models.TextField()
    response_code = models.TextField(null=True)  # noqa: DJ001
    authorisation_code = models.TextField(null=True)  # noqa: DJ001
    host_rrn = models.TextField(null=True)  # noqa: DJ001
    #: seen on the wire by the link's holder; no part of the events
    epoch = models.IntegerField(null=True)
    taken_at = models.DateTimeField(null=True)
    answered_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            # M10: no STAN is in two open attempts of a link.
            models.UniqueConstraint(
                fields=["link", "stan"], name="attempt_open_stan", condition=Q(outcome="open") | Q(undoing="open")
            ),
        ]
        indexes = [
            models.Index(fields=["link", "stan"], name="attempt_stan"),
            models.Index(fields=["rrn"], name="attempt_rrn"),
            models.Index(fields=["host_rrn"], name="attempt_host_rrn", condition=Q(host_rrn__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.payment_id}"
