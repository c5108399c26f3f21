"""The queue's tables: what is still owed to a host, and how much of each lane is open.

Owns columns and indexes only; every change of state is a verb in `queue.py`. Knows no payment: a payment
is an id here, and so is a link a name.
"""

from django.db import models
from django.db.models import F, Q


class Kind(models.TextChoices):
    """What is owed."""

    REQUEST = "request"
    ADVICE = "advice"
    REVERSAL = "reversal"


class EntryState(models.TextChoices):
    """Where an entry stands; it is deleted when nothing is owed any more."""

    WAITING = "waiting"
    BLOCKED = "blocked"
    READY = "ready"
    DISPATCHED = "dispatched"
    TAKEN = "taken"
    ANSWERED = "answered"
    HELD = "held"


class QueueEntry(models.Model):
    """One message still owed to a host."""

    id = models.BigAutoField(primary_key=True)
    payment_id = models.UUIDField()
    link = models.TextField()
    kind = models.TextField(choices=Kind.choices)
    #: the attempt now owed; a reversal's own once it was dispatched
    attempt = models.SmallIntegerField(null=True)
    #: which attempt a reversal undoes
    reverses = models.SmallIntegerField(null=True)
    lane = models.TextField(null=True)  # noqa: DJ001  (no lane is not an empty name)
    #: 0 to 9 as asked; reversals stand above all
    priority = models.SmallIntegerField()
    state = models.TextField(choices=EntryState.choices)
    not_before = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    #: sealed: a PIN block until the payment ends, and the message once dispatched
    pin = models.BinaryField(null=True)
    frame = models.BinaryField(null=True)
    match_key = models.TextField(null=True)  # noqa: DJ001
    mti = models.TextField(null=True)  # noqa: DJ001
    #: version of the link's configuration that the frame was made under
    frame_version = models.IntegerField(null=True)
    epoch = models.IntegerField(null=True)
    #: intents so far of the attempt now owed: 0420 while there is none, 0421 after
    takes = models.SmallIntegerField(db_default=0)
    #: times it was given back unwritten
    unsent_tries = models.SmallIntegerField(db_default=0)
    #: how often it was about to be encoded by a process that had just started
    suspicions = models.SmallIntegerField(db_default=0)
    taken_at = models.DateTimeField(null=True)
    held_reason = models.TextField(null=True)  # noqa: DJ001
    request_id = models.TextField()
    #: since when this is owed: acceptance, or the silence that made it a reversal
    owed_since = models.DateTimeField()

    class Meta:
        verbose_name = "queue entry"
        verbose_name_plural = "queue"
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
        return f"{self.kind} of {self.payment_id}"


class Lane(models.Model):
    """How many entries of a lane are open; one of them may move."""

    lane = models.TextField(primary_key=True)
    open = models.IntegerField()

    def __str__(self) -> str:
        return self.lane
