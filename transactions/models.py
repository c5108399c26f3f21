"""The payments' tables: events are the truth, the rest is read from them.

Owns columns, indexes and the trigger that lets events only be added. Rules are in `domain`.
"""

from typing import TYPE_CHECKING

import uuid_utils.compat
from django.conf import settings
from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.db.models import CompositePrimaryKey, F, Q
from django.db.models.fields.json import KT
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop
from rest_framework_api_key.models import AbstractAPIKey

from staff.adding import only_added
from transactions.domain.values import Operation, Status
from transactions.webhook_models import (
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookMessage,
    WebhookReplay,
)

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

__all__ = [
    "ApiKey",
    "Attempt",
    "Event",
    "Merchant",
    "Payment",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookMessage",
    "WebhookReplay",
]


def _choices(words: type[Operation] | type[Status]) -> "list[tuple[str, StrPromise]]":
    return [(word.value, _(word.value.replace("_", " "))) for word in words]


class Merchant(models.Model):
    """Who payments belong to; idempotency keys are unique within one."""

    name = models.CharField(_("name"), max_length=100, unique=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)

    class Meta:
        verbose_name = _("merchant")
        verbose_name_plural = _("merchants")

    def __str__(self) -> str:
        return self.name


class ApiKey(AbstractAPIKey):
    """A bearer key of one merchant; only its hash is kept. The package names its columns in English alone."""

    prefix = models.CharField(_("prefix"), max_length=8, unique=True, editable=False)
    created = models.DateTimeField(_("created"), auto_now_add=True, db_index=True)
    name = models.CharField(
        _("name"),
        max_length=50,
        default=None,
        help_text=_("A free-form name for the API key. Need not be unique. 50 characters max."),
    )
    revoked = models.BooleanField(
        _("revoked"),
        blank=True,
        default=False,
        help_text=_("If the API key is revoked, clients cannot use it anymore. (This cannot be undone.)"),
    )
    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="api_keys", verbose_name=_("merchant"))
    scopes = models.JSONField(_("scopes"), default=list, help_text=_('Of "read", "pay", "webhooks" and "operate".'))

    class Meta(AbstractAPIKey.Meta):
        verbose_name = _("API key")  # type: ignore[assignment]  # Django takes lazy text
        verbose_name_plural = _("API keys")  # type: ignore[assignment]
        permissions = [
            ("use_terminal", gettext_noop("Can post payments of the demonstration merchant at the training terminal")),
            ("replace_apikey", gettext_noop("Can ask that an API key be replaced or revoked")),
            ("approve_apikey", gettext_noop("Can agree that an API key be replaced or revoked")),
        ]


class Payment(models.Model):
    """What a payment's events make of it, as one row."""

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    # No constraint in the database: every insert would lock the merchant's row.
    merchant = models.ForeignKey(
        Merchant, models.DO_NOTHING, db_index=False, db_constraint=False, verbose_name=_("merchant")
    )
    idempotency_key = models.TextField()
    #: keyed digest of the request: tells another body without keeping this one (I2)
    fingerprint = models.TextField()
    fingerprint_key = models.TextField()
    request_id = models.TextField()

    operation = models.TextField(_("operation"), choices=_choices(Operation))
    amount = models.BigIntegerField(help_text=_("In minor units."))
    currency = models.CharField(_("currency"), max_length=3)
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

    link = models.TextField(_("link"))
    lane = models.TextField(_("lane"), null=True)  # noqa: DJ001
    priority = models.SmallIntegerField()
    expires_at = models.DateTimeField()
    reference = models.TextField(_("reference"), null=True)  # noqa: DJ001
    metadata = models.JSONField(default=dict)

    status = models.TextField(_("status"), choices=_choices(Status))
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
    created_at = models.DateTimeField(_("accepted at"))
    updated_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("payment")
        verbose_name_plural = _("payments")
        permissions = [
            ("retry_payment", gettext_noop("Can let a payment go on")),
            ("cancel_payment", gettext_noop("Can cancel a payment")),
            ("reverse_payment", gettext_noop("Can ask that a payment be reversed")),
            ("resolve_payment", gettext_noop("Can ask that a payment be resolved on evidence")),
            ("void_payment", gettext_noop("Can ask that a payment be voided")),
            ("capture_payment", gettext_noop("Can ask that a payment be captured")),
            ("refund_payment", gettext_noop("Can ask that a payment be refunded")),
            ("approve_payment", gettext_noop("Can agree to what others ask for payments")),
            ("export_payment", gettext_noop("Can download payments")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["merchant", "idempotency_key"], name="payment_idempotency"),
        ]
        indexes = [
            models.Index(F("merchant"), F("id").desc(), name="payment_merchant"),
            # In the order of ids, for a page of what many payments share.
            models.Index(
                F("reference"), F("id").desc(), name="payment_reference", condition=Q(reference__isnull=False)
            ),
            models.Index(F("card_last4"), F("id").desc(), name="payment_last4"),
            models.Index(KT("original__payment_id"), name="payment_original", condition=Q(original__isnull=False)),
            models.Index(fields=["id"], name="payment_open", condition=Q(ended_at__isnull=True)),
            # Search by staff: an entry each, made once, when the payment ends. A condition on a column that changes on
            # the way there would make every change of it write all indexes anew.
            models.Index(fields=["amount"], name="payment_amount", condition=Q(ended_at__isnull=False)),
            models.Index(
                fields=["authorisation_code"],
                name="payment_code",
                condition=Q(authorisation_code__isnull=False),
            ),
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
        indexes = [
            # Events lie in the order of their time: summaries find a minute, and an insert adds nothing to them.
            models.Index(
                F("type"),
                F("payment_id").desc(),
                name="event_seldom",
                condition=Q(type__in=["Reversed", "Resolved", "Expired", "Cancelled", "Failed"]),
            ),
            BrinIndex(fields=["at"], name="event_at", autosummarize=True),
        ]
        triggers = only_added("Cannot truncate events, they are only ever added")

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
            # Attempts lie in the order of their business date: a report finds one, and an insert adds nothing to it.
            BrinIndex(fields=["business_date"], name="attempt_business_date", pages_per_range=16, autosummarize=True),
            models.Index(fields=["host_rrn"], name="attempt_host_rrn", condition=Q(host_rrn__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of {self.payment_id}"


class Minute(models.Model):
    """What one link's payments with one status came to in one minute; computed by `minutes.py`, never by a payment."""

    pk = CompositePrimaryKey("minute", "link", "status")
    minute = models.DateTimeField()
    link = models.TextField()
    status = models.TextField()
    payments = models.IntegerField()
    #: class of answer time -> payments
    answers = models.JSONField()
    #: nothing that could still belong to it is under way
    closed = models.BooleanField()

    class Meta:
        indexes = [models.Index(fields=["minute"], name="minute_open", condition=Q(closed=False))]

    def __str__(self) -> str:
        return f"{self.minute} {self.link} {self.status}"


class SavedSearch(models.Model):
    """A search for payments that a member of staff keeps."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    name = models.CharField(max_length=60)
    query = models.TextField(blank=True)

    class Meta:
        verbose_name_plural = "saved searches"
        constraints = [models.UniqueConstraint(fields=["user", "name"], name="saved_search_name")]

    def __str__(self) -> str:
        return self.name
