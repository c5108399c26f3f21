"""The queue's tables: what is still owed to a host, how much of each lane is open, and which processes live.

Owns columns and indexes only; every change of state is a verb in `queue.py`. Knows no payment: a payment
is an id here, and so is a link a name.
"""

from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _


class Kind(models.TextChoices):
    """What is owed."""

    REQUEST = "request", _("request")
    ADVICE = "advice", _("advice")
    REVERSAL = "reversal", _("reversal")


class EntryState(models.TextChoices):
    """Where an entry stands; it is deleted when nothing is owed any more."""

    WAITING = "waiting", _("waiting")
    BLOCKED = "blocked", _("blocked")
    READY = "ready", _("ready")
    DISPATCHED = "dispatched", _("dispatched")
    TAKEN = "taken", _("taken")
    ANSWERED = "answered", _("answered")
    HELD = "held", _("held")


class QueueEntry(models.Model):
    """One message still owed to a host."""

    id = models.BigAutoField(primary_key=True)
    payment_id = models.UUIDField(_("payment"))
    link = models.TextField(_("link"))
    kind = models.TextField(_("kind"), choices=Kind)
    #: the attempt now owed; a reversal's own once it was dispatched
    attempt = models.SmallIntegerField(_("attempt"), null=True)
    #: which attempt a reversal undoes
    reverses = models.SmallIntegerField(_("reverses attempt"), null=True)
    lane = models.TextField(_("lane"), null=True)  # noqa: DJ001  (no lane is not an empty name)
    #: 0 to 9 as asked; reversals stand above all
    priority = models.SmallIntegerField(_("priority"))
    state = models.TextField(_("state"), choices=EntryState)
    not_before = models.DateTimeField(_("not before"), null=True)
    expires_at = models.DateTimeField(_("expires"), null=True)
    #: sealed: a PIN block until the payment ends, and the message once dispatched
    pin = models.BinaryField(null=True)
    frame = models.BinaryField(null=True)
    match_key = models.TextField(_("match key"), null=True)  # noqa: DJ001
    mti = models.TextField(null=True)  # noqa: DJ001
    #: version of the link's configuration that the frame was made under
    frame_version = models.IntegerField(_("version of the frame"), null=True)
    epoch = models.IntegerField(_("epoch"), null=True)
    #: intents so far of the attempt now owed: 0420 while there is none, 0421 after
    takes = models.SmallIntegerField(_("written"), db_default=0)
    #: times it was given back unwritten
    unsent_tries = models.SmallIntegerField(_("given back unwritten"), db_default=0)
    #: how often it was about to be encoded by a process that had just started
    suspicions = models.SmallIntegerField(_("suspicions"), db_default=0)
    suspected_at = models.DateTimeField(_("suspected"), null=True)
    taken_at = models.DateTimeField(_("taken at"), null=True)
    held_reason = models.TextField(_("why it is held"), null=True)  # noqa: DJ001
    request_id = models.TextField(_("request id"))
    #: since when this is owed: acceptance, or the silence that made it a reversal
    owed_since = models.DateTimeField(_("owed since"))

    class Meta:
        verbose_name = _("queue entry")
        verbose_name_plural = _("queue")
        indexes = [
            models.Index(F("link"), F("priority").desc(), F("id"), name="queue_ready", condition=Q(state="ready")),
            models.Index(
                F("link"), F("priority").desc(), F("id"), name="queue_dispatched", condition=Q(state="dispatched")
            ),
            models.Index(fields=["link", "epoch"], name="queue_taken", condition=Q(state="taken")),
            models.Index(fields=["not_before"], name="queue_waiting", condition=Q(state="waiting")),
            models.Index(fields=["lane", "id"], name="queue_blocked", condition=Q(state="blocked")),
            models.Index(fields=["id"], name="queue_held", condition=Q(state="held")),
            models.Index(
                fields=["expires_at"],
                name="queue_expiring",
                condition=Q(expires_at__isnull=False) & Q(state__in=["waiting", "blocked", "ready", "dispatched"]),
            ),
            models.Index(fields=["payment_id"], name="queue_payment"),
            models.Index(fields=["link", "owed_since"], name="queue_reversals", condition=Q(kind="reversal")),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.payment_id}"


class Lane(models.Model):
    """How many entries of a lane are open; one of them may move."""

    lane = models.TextField(_("lane"), primary_key=True)
    open = models.IntegerField(_("open"))

    class Meta:
        verbose_name = _("lane")
        verbose_name_plural = _("lanes")

    def __str__(self) -> str:
        return self.lane


class Process(models.Model):
    """One process of ours, as it last said that it lives."""

    id = models.UUIDField(primary_key=True)
    #: what it is: web, worker, beat, or link-bank
    kind = models.TextField()
    host = models.TextField()
    pid = models.IntegerField()
    version = models.TextField()
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    #: its machine's wall clock less the database's
    skew_s = models.FloatField(null=True)

    class Meta:
        verbose_name_plural = "processes"

    def __str__(self) -> str:
        return f"{self.kind} {self.host}/{self.pid}"
