"""The tables of what staff do to many payments at once: a job, and what came of each of its payments."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _


class Job(models.Model):
    """One action on many payments. It begins when it may: at once, or when a second person has agreed."""

    #: the name of an action
    action = models.TextField(_("what"))
    #: what the action wants to know besides: the outcome of a resolution
    parameters = models.JSONField(default=dict, db_default={})
    reason = models.TextField(_("reason"))
    maker = models.TextField(_("asked by"))
    checker = models.TextField(_("agreed to by"), blank=True)
    size = models.IntegerField(_("payments"))
    #: the page that it was begun on: sent twice, it is one job
    form = models.UUIDField(null=True)
    created_at = models.DateTimeField(_("asked at"), db_default=Now())
    started_at = models.DateTimeField(_("started"), null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)

    class Meta:
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        constraints = [models.UniqueConstraint(fields=["maker", "form"], name="job_once")]
        indexes = [
            models.Index(
                fields=["id"], name="job_running", condition=Q(started_at__isnull=False, ended_at__isnull=True)
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} ({self.size})"


class JobItem(models.Model):
    """One payment of a job, and what came of it as a sentence."""

    class Result(models.TextChoices):
        """What came of it; empty until it is known."""

        DONE = "done", _("done")
        REFUSED = "refused", _("not possible")
        FAILED = "failed", _("failed")

    job = models.ForeignKey(Job, models.PROTECT, related_name="items", db_index=False)
    payment_id = models.UUIDField()
    result = models.TextField(choices=Result, blank=True)
    outcome = models.TextField(blank=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "payment_id"], name="jobitem_once")]
        indexes = [models.Index(fields=["job", "id"], name="jobitem_open", condition=Q(result=""))]

    def __str__(self) -> str:
        return f"{self.payment_id} of job {self.job_id}"
