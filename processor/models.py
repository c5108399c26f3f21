"""The link's tables: configuration, who holds it, its live state, what came in and the journal.

Owns columns and indexes; the lease's rules are in `lease.py`, filing in `filing.py`.
"""

from django.db import models
from django.db.models import Q

from processor.codec.dialects import DIALECTS
from processor.link.framing import FRAMINGS


class Link(models.Model):
    """One way to one bank, as configured."""

    name = models.SlugField(unique=True)
    #: counts the changes; frames made under an older version are made anew
    version = models.IntegerField(default=1)
    dialect = models.CharField(max_length=40, choices=[(name, name) for name in DIALECTS])
    framing = models.CharField(max_length=40, choices=[(name, name) for name in FRAMINGS])
    terminal_id = models.CharField(max_length=16, help_text="Field 41 of messages that name no terminal.")
    card_acceptor_id = models.CharField(max_length=15, help_text="Field 42 of messages that name none.")
    time_zone = models.CharField(max_length=64, default="UTC", help_text="Of fields 12 and 13.")
    bank_uuid = models.UUIDField(null=True, help_text="Names the context in which this bank's keys are derived.")
    window = models.IntegerField(default=64, help_text="Messages that may wait for their answer at once.")
    answer_timeout_s = models.FloatField(default=30)
    echo_interval_s = models.FloatField(default=30)
    echo_timeout_s = models.FloatField(default=10)
    failback_s = models.FloatField(default=60, db_default=60, help_text="Before another host makes room for the first.")
    store_and_forward = models.BooleanField(
        default=True, db_default=True, help_text="Off: what cannot be sent now is refused."
    )
    breaker_failures = models.IntegerField(default=5, db_default=5, help_text="Failures in a row that open it.")
    breaker_rate = models.IntegerField(default=50, db_default=50, help_text="Or failures in percent.")
    breaker_volume = models.IntegerField(default=20, db_default=20, help_text="Of at least so many messages.")
    breaker_window_s = models.FloatField(default=60, db_default=60)
    breaker_open_s = models.FloatField(default=60, db_default=60, help_text="Before an echo tries the host.")
    breaker_successes = models.IntegerField(default=3, db_default=3, help_text="Answered messages that close it.")

    def __str__(self) -> str:
        return self.name


class Endpoint(models.Model):
    """A host of a link; the first that answers is used."""

    link = models.ForeignKey(Link, models.CASCADE, related_name="endpoints")
    position = models.SmallIntegerField()
    host = models.CharField(max_length=253)
    port = models.IntegerField()

    class Meta:
        ordering = ["link", "position"]
        constraints = [models.UniqueConstraint(fields=["link", "position"], name="endpoint_position")]

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Lease(models.Model):
    """Who holds a link. The epoch counts the holders; the row's lock fences what they take (F1)."""

    link = models.TextField(primary_key=True)
    epoch = models.IntegerField(default=0)
    holder = models.TextField(default="")
    renewals = models.BigIntegerField(default=0)
    released = models.BooleanField(default=True)
    #: for people and gauges only; nobody takes a lease over by comparing times
    renewed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.link} epoch {self.epoch}"


class LinkStatus(models.Model):
    """A link's live state as its holder last wrote it."""

    link = models.TextField(primary_key=True)
    epoch = models.IntegerField(default=0)
    #: the version of the configuration in use
    version = models.IntegerField(default=0)
    up = models.BooleanField(default=False)
    state = models.TextField(default="closed")
    since = models.DateTimeField(null=True)
    #: since when it has not been up; empty while it is, and before it ever was held
    down_since = models.DateTimeField(null=True)
    breaker = models.TextField(default="closed", db_default="closed")
    breaker_since = models.DateTimeField(null=True)
    cause = models.TextField(default="")
    endpoint = models.TextField(default="")
    last_echo_at = models.DateTimeField(null=True)
    echo_ms = models.FloatField(null=True)
    #: the host's business date; a cut-over (0800/201) moves it on
    business_date = models.DateField()
    last_cut_over = models.TextField(default="")

    class Meta:
        verbose_name_plural = "link statuses"

    def __str__(self) -> str:
        return f"{self.link} {self.state}"


class InboundFrame(models.Model):
    """What the holder filed and nobody has settled yet: an answer, a silence, or a stray."""

    class Filing(models.TextChoices):
        """What was filed."""

        ANSWER = "answer"
        SILENCE = "silence"
        STRAY = "stray"

    id = models.BigAutoField(primary_key=True)
    link = models.TextField()
    epoch = models.IntegerField()
    kind = models.TextField(choices=Filing.choices)
    entry_id = models.BigIntegerField(null=True)
    payment_id = models.UUIDField(null=True)
    attempt = models.SmallIntegerField(null=True)
    cause = models.TextField(default="")
    received_at = models.DateTimeField()
    #: from the write to the answer
    elapsed_us = models.IntegerField(null=True)
    body = models.BinaryField(null=True)
    dialect = models.TextField(default="")
    #: why it could not be settled; such a row is passed over
    failed = models.TextField(default="")

    class Meta:
        indexes = [models.Index(fields=["id"], name="inbound_open", condition=Q(failed=""))]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"


class Message(models.Model):
    """The journal: every message that was on the wire, masked."""

    id = models.BigAutoField(primary_key=True)
    link = models.TextField()
    epoch = models.IntegerField()
    outward = models.BooleanField()
    mti = models.TextField(blank=True)
    at = models.DateTimeField()
    payment_id = models.UUIDField(null=True)
    attempt = models.SmallIntegerField(null=True)
    #: field number -> masked text
    fields = models.JSONField()
    #: what was wrong with it or uncertain about it
    remark = models.TextField(default="")

    class Meta:
        indexes = [
            models.Index(fields=["payment_id"], name="message_payment", condition=Q(payment_id__isnull=False)),
            models.Index(fields=["link", "-id"], name="message_network", condition=Q(payment_id__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{'to' if self.outward else 'from'} {self.link} {self.mti}"


class Key(models.Model):
    """A terminal key of a link, wrapped by the master key."""

    class Type(models.TextChoices):
        """What a key is for."""

        TPK = "TPK", "PIN key"
        TSK = "TSK", "MAC key"

    class State(models.TextChoices):
        """A key's life."""

        PENDING = "PENDING"
        ACTIVE = "ACTIVE"
        EXPIRED = "EXPIRED"

    link = models.ForeignKey(Link, models.CASCADE, related_name="keys")
    type = models.CharField(max_length=3, choices=Type.choices)
    version = models.IntegerField()
    state = models.CharField(max_length=8, choices=State.choices)
    check_value = models.CharField(max_length=16)
    wrapped = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["link", "type", "version"], name="key_version"),
            models.UniqueConstraint(
                fields=["link", "type", "state"], name="key_one_each", condition=Q(state__in=["PENDING", "ACTIVE"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.version} of {self.link}"
