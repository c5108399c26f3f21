"""The link's tables: configuration, who holds it, its live state, what came in and the journal.

Owns columns and indexes; the lease's rules are in `lease.py`, filing in `filing.py`.
"""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from processor.codec.dialects import DIALECTS
from processor.link.console import CommandState, Verb
from processor.link.framing import FRAMINGS
from processor.link.wishes import Wanted
from processor.route_models import Route as Route  # noqa: PLC0414  (Django looks for models here)


class Link(models.Model):
    """One way to one bank, as configured."""

    name = models.SlugField(unique=True)
    #: counts the changes; frames made under an older version are made anew
    version = models.IntegerField(default=1)
    dialect = models.CharField(_("dialect"), max_length=40, choices=[(name, name) for name in DIALECTS])
    framing = models.CharField(_("framing"), max_length=40, choices=[(name, name) for name in FRAMINGS])
    terminal_id = models.CharField(max_length=16, help_text=_("Field 41 of messages that name no terminal."))
    card_acceptor_id = models.CharField(max_length=15, help_text=_("Field 42 of messages that name none."))
    time_zone = models.CharField(max_length=64, default="UTC", help_text=_("Of fields 12 and 13."))
    bank_uuid = models.UUIDField(null=True, help_text=_("Names the context in which this bank's keys are derived."))
    window = models.IntegerField(
        _("window"), default=64, help_text=_("Messages that may wait for their answer at once.")
    )
    answer_timeout_s = models.FloatField(default=30)
    echo_interval_s = models.FloatField(default=30)
    echo_timeout_s = models.FloatField(default=10)
    sign_on_timeout_s = models.FloatField(default=10, db_default=10)
    failback_s = models.FloatField(
        default=60, db_default=60, help_text=_("Before another host makes room for the first.")
    )
    store_and_forward = models.BooleanField(
        default=True, db_default=True, help_text=_("Off: what cannot be sent now is refused.")
    )
    breaker_failures = models.IntegerField(default=5, db_default=5, help_text=_("Failures in a row that open it."))
    breaker_rate = models.IntegerField(default=50, db_default=50, help_text=_("Or failures in percent."))
    breaker_volume = models.IntegerField(default=20, db_default=20, help_text=_("Of at least so many messages."))
    breaker_window_s = models.FloatField(default=60, db_default=60)
    breaker_open_s = models.FloatField(default=60, db_default=60, help_text=_("Before an echo tries the host."))
    breaker_successes = models.IntegerField(default=3, db_default=3, help_text=_("Answered messages that close it."))
    health_process_s = models.FloatField(default=10, db_default=10, help_text=_("Between two looks at the worker."))
    health_network_s = models.FloatField(default=5, db_default=5, help_text=_("Between two looks at the connection."))
    health_protocol_s = models.FloatField(
        default=30, db_default=30, help_text=_("Between two looks at echoes and answers.")
    )
    health_resources_s = models.FloatField(default=15, db_default=15, help_text=_("Between two looks at what is left."))

    class Meta:
        verbose_name = _("link")
        verbose_name_plural = _("links")
        permissions = [
            ("operate_link", gettext_noop("Can tell a link what to do, or ask for it")),
            ("configure_link", gettext_noop("Can ask for another configuration of a link")),
            ("approve_link", gettext_noop("Can agree to what changes a link")),
        ]

    def __str__(self) -> str:
        return self.name


class LinkVersion(models.Model):
    """A link's whole configuration as somebody left it; never changed, only followed by the next."""

    link = models.TextField()
    version = models.IntegerField()
    at = models.DateTimeField()
    who = models.TextField()
    why = models.TextField()
    configuration = models.JSONField()
    #: (field, before, after) of what is not as in the version before
    changed = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["link", "version"], name="link_version")]

    def __str__(self) -> str:
        return f"{self.link} version {self.version}"


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
    #: what staff want of the link, whoever holds it; the number counts their wishes
    wanted = models.TextField(default=Wanted.OPEN.value, db_default=Wanted.OPEN.value)
    wanted_endpoint = models.TextField(default="", db_default="")
    wishes = models.IntegerField(default=0, db_default=0)

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
    #: when its holder connects again, while it pauses before that
    retry_at = models.DateTimeField(null=True)
    endpoint = models.TextField(default="")
    last_echo_at = models.DateTimeField(null=True)
    echo_ms = models.FloatField(null=True)
    #: layer -> its score and what lowered it, as the holder found it last
    health = models.JSONField(default=dict, db_default={})
    #: the host's business date; a cut-over (0800/201) moves it on
    business_date = models.DateField()
    last_cut_over = models.TextField(default="")
    #: when an answer told a date whose cut-over we had not heard of
    business_date_told_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "link statuses"

    def __str__(self) -> str:
        return f"{self.link} {self.state}"


class LinkEvent(models.Model):
    """A step of a link's history: a holder began, a session connected, came up, or ended, and why."""

    id = models.BigAutoField(primary_key=True)
    link = models.TextField()
    epoch = models.IntegerField()
    #: the process that held the link in that epoch; none where it was written before holders were
    holder = models.TextField(default="", db_default="")
    at = models.DateTimeField()
    state = models.TextField()
    endpoint = models.TextField(default="")
    cause = models.TextField(default="")
    #: how long the step before it lasted; an integer ends after 25 days
    after_ms = models.BigIntegerField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["link", "-id"], name="link_event_latest"),
            models.Index(fields=["at"], name="link_event_age"),
        ]

    def __str__(self) -> str:
        return f"{self.link} {self.state}"


class LinkCommand(models.Model):
    """What staff asked of the worker that holds a link, and its answer. Carried out once or never."""

    id = models.BigAutoField(primary_key=True)
    link = models.TextField()
    verb = models.TextField(choices=[(verb.value, verb.value.replace("_", " ")) for verb in Verb])
    parameters = models.JSONField(default=dict)
    asked_by = models.TextField()
    #: why, in the words of whoever asked
    reason = models.TextField(default="", db_default="")
    asked_at = models.DateTimeField()
    #: nobody takes it after that
    expires_at = models.DateTimeField()
    state = models.TextField(choices=[(state.value, state.value) for state in CommandState])
    epoch = models.IntegerField(null=True)
    holder = models.TextField(default="", db_default="")
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    #: a sentence
    answer = models.TextField(default="", db_default="")
    #: what there is to show: messages field by field, masked
    detail = models.JSONField(default=dict, db_default={})

    class Meta:
        indexes = [
            models.Index(fields=["link", "id"], name="command_open", condition=Q(state="open")),
            models.Index(fields=["link", "-id"], name="command_latest"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.id} of {self.link}"


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
    """The journal: every message that was on the wire, masked; what was about a payment also sealed, for a while."""

    id = models.BigAutoField(primary_key=True)
    link = models.TextField(_("link"))
    epoch = models.IntegerField(_("epoch"))
    outward = models.BooleanField(_("to the bank"))
    mti = models.TextField("MTI", blank=True)
    at = models.DateTimeField(_("at"))
    payment_id = models.UUIDField(null=True)
    attempt = models.SmallIntegerField(null=True)
    #: field number -> masked text
    fields = models.JSONField()
    #: what was wrong with it or uncertain about it
    remark = models.TextField(_("remark"), default="")
    #: the body as it was on the wire, but for what is never kept (`codec.blanking`); removed after RAW_MESSAGE_DAYS
    sealed_body = models.BinaryField(null=True)

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        # Not a "view_": who reads everything else does not read this.
        permissions = [
            ("reveal_message", gettext_noop("Can see a message as it was on the wire, each look with its reason"))
        ]
        indexes = [
            models.Index(fields=["payment_id"], name="message_payment", condition=Q(payment_id__isnull=False)),
            models.Index(fields=["link", "-id"], name="message_network", condition=Q(payment_id__isnull=True)),
            models.Index(fields=["at"], name="message_body_age", condition=Q(sealed_body__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"{'→' if self.outward else '←'} {self.link} {self.mti}"


class Key(models.Model):
    """A terminal key of a link, wrapped by the master key."""

    class Type(models.TextChoices):
        """What a key is for."""

        TPK = "TPK", _("PIN key")
        TSK = "TSK", _("MAC key")

    class State(models.TextChoices):
        """A key's life."""

        PENDING = "PENDING", _("pending")
        ACTIVE = "ACTIVE", _("active")
        EXPIRED = "EXPIRED", _("expired")

    link = models.ForeignKey(Link, models.CASCADE, related_name="keys")
    type = models.CharField(max_length=3, choices=Type.choices)
    version = models.IntegerField()
    state = models.CharField(max_length=8, choices=State.choices)
    check_value = models.CharField(max_length=16)
    wrapped = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)
    #: by the database's clock
    expired_at = models.DateTimeField(null=True)

    class Meta:
        permissions = [
            ("replace_key", gettext_noop("Can put a link's key in, and ask that it come into force")),
            ("approve_key", gettext_noop("Can agree that a link's key come into force")),
        ]
        constraints = [
            models.UniqueConstraint(fields=["link", "type", "version"], name="key_version"),
            models.UniqueConstraint(
                fields=["link", "type", "state"], name="key_one_each", condition=Q(state__in=["PENDING", "ACTIVE"])
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.version} of {self.link}"
