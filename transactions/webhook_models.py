"""The webhooks' tables: who is told, what is told, and every try to tell it.

Owns columns and indexes. What is written often refers without a constraint: each would lock its parent's row.
"""

import uuid_utils.compat
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop


class WebhookEndpoint(models.Model):
    """An address of a merchant that is told when payments end."""

    class Disabled(models.TextChoices):
        """Why nothing is sent there."""

        BY_CLIENT = "by_client", _("by the client")
        BY_STAFF = "by_staff", _("by staff")
        GONE = "gone", _("it answered 410 Gone")
        FAILING = "failing", _("it failed for three days")

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    merchant = models.ForeignKey(
        "transactions.Merchant", models.PROTECT, related_name="webhook_endpoints", verbose_name=_("merchant")
    )
    url = models.TextField()
    description = models.TextField(blank=True)
    event_types = ArrayField(models.TextField(), default=list, blank=True, help_text="None means all.")
    #: sealed; the one before is signed with as well until its time is over
    secret = models.BinaryField()
    previous_secret = models.BinaryField(null=True)
    previous_until = models.DateTimeField(null=True)
    #: the first failure since the last success
    failing_since = models.DateTimeField(_("failing since"), null=True)
    #: until when it asked to be sent nothing (Retry-After)
    quiet_until = models.DateTimeField(null=True)
    disabled_at = models.DateTimeField(null=True)
    disabled_reason = models.TextField(choices=Disabled.choices, blank=True)
    deleted_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(_("created at"))
    updated_at = models.DateTimeField()

    class Meta:
        verbose_name = _("webhook endpoint")
        verbose_name_plural = _("webhook endpoints")
        indexes = [
            models.Index(
                fields=["merchant"],
                name="webhookendpoint_told",
                condition=Q(disabled_at__isnull=True, deleted_at__isnull=True),
            )
        ]

    def __str__(self) -> str:
        return self.url


class WebhookMessage(models.Model):
    """What there is to tell, written in the commit that made it true (H1)."""

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    merchant_id = models.BigIntegerField()
    type = models.TextField()
    #: none where an endpoint is only tried
    payment_id = models.UUIDField(null=True)
    version = models.IntegerField(null=True)
    #: what is sent, in UTF-8, always the same
    body = models.TextField()
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["payment_id", "version"], name="webhookmessage_once")]

    def __str__(self) -> str:
        return f"{self.type} {self.payment_id}"


class WebhookReplay(models.Model):
    """Somebody had messages sent once more: who, which, why."""

    id = models.UUIDField(primary_key=True, default=uuid_utils.compat.uuid7, editable=False)
    merchant = models.ForeignKey(
        "transactions.Merchant", models.DO_NOTHING, db_index=False, db_constraint=False, verbose_name=_("merchant")
    )
    actor = models.TextField()
    reason = models.TextField(_("reason"), blank=True)
    #: what it was narrowed to
    filters = models.JSONField(default=dict)
    at = models.DateTimeField(_("at"))
    #: how many payments it was about, and how many deliveries were made for them
    payments = models.IntegerField(_("payments"))
    deliveries = models.IntegerField(_("deliveries"))
    #: of those deliveries, what had come of the ones that are forgotten by now
    forgotten_delivered = models.IntegerField(default=0, db_default=0)
    forgotten_exhausted = models.IntegerField(default=0, db_default=0)

    class Meta:
        verbose_name = _("webhook replay")
        verbose_name_plural = _("webhook replays")
        permissions = [("replay_webhook", gettext_noop("Can send webhooks once more"))]

    def __str__(self) -> str:
        return f"{self.actor}: {self.payments}"


class WebhookDelivery(models.Model):
    """A message on its way to one endpoint."""

    class State(models.TextChoices):
        """Where it is."""

        PENDING = "pending", _("pending")
        SENDING = "sending", _("sending")
        DELIVERED = "delivered", _("delivered")
        EXHAUSTED = "exhausted", _("given up")

    id = models.BigAutoField(primary_key=True)
    message = models.ForeignKey(WebhookMessage, models.DO_NOTHING, related_name="deliveries", db_constraint=False)
    endpoint = models.ForeignKey(
        WebhookEndpoint, models.DO_NOTHING, related_name="deliveries", db_index=False, db_constraint=False
    )
    replay = models.ForeignKey(
        WebhookReplay, models.DO_NOTHING, related_name="made", null=True, db_index=False, db_constraint=False
    )
    state = models.TextField(_("state"), choices=State)
    #: when to send it; of one being sent, when whoever sends it is given up
    next_at = models.DateTimeField()
    tries = models.IntegerField(_("tries"))
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        indexes = [
            models.Index(
                fields=["endpoint", "next_at"],
                name="webhookdelivery_due",
                condition=Q(state__in=["pending", "sending"]),
            ),
            models.Index(fields=["endpoint", "-id"], name="webhookdelivery_endpoint"),
            models.Index(fields=["replay"], name="webhookdelivery_replay", condition=Q(replay__isnull=False)),
            models.Index(fields=["ended_at"], name="webhookdelivery_age", condition=Q(ended_at__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"


class WebhookAttempt(models.Model):
    """One try to deliver, and what came of it."""

    id = models.BigAutoField(primary_key=True)
    delivery = models.ForeignKey(WebhookDelivery, models.DO_NOTHING, related_name="attempts", db_constraint=False)
    number = models.IntegerField()
    at = models.DateTimeField()
    duration_ms = models.IntegerField()
    response_code = models.IntegerField(null=True)
    #: what went wrong, one word of ours; none where an answer came
    error = models.TextField(blank=True)
    #: how the answer began, masked
    answer = models.TextField(blank=True)

    def __str__(self) -> str:
        return f"try {self.number} of delivery {self.delivery_id}"
