"""The tables of comparing with the bank: a file, its lines while it is compared, each difference to work through."""

from django.db import models
from django.db.models import CompositePrimaryKey, F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from transactions.reports.matching import Verdict


class HostFile(models.Model):
    """The bank's list of one business date of one link, compared with ours. Its lines are kept until it is compared."""

    class Failed(models.TextChoices):
        """Why nothing came of it."""

        TOO_MANY = "too_many", _("too many differences")
        BROKEN = "broken", _("something broke")

    link = models.TextField(_("link"))
    business_date = models.DateField(_("business date"))
    #: of the file, so that it can be told from another
    digest = models.TextField()
    lines = models.IntegerField(_("lines"))
    #: attempts and lines that say the same
    agreeing = models.IntegerField(_("agreeing"), default=0)
    differing = models.IntegerField(_("differences"), default=0)
    uploaded_by = models.TextField(_("uploaded by"))
    uploaded_at = models.DateTimeField(_("uploaded at"), db_default=Now())
    #: how many attempts of ours there are to compare, once they were counted, and how many of them were
    ours = models.IntegerField(null=True)
    compared = models.IntegerField(default=0)
    #: the attempt up to which it was, and the payment of the last one to come
    at_payment = models.UUIDField(null=True)
    at_number = models.SmallIntegerField(default=0)
    last_payment = models.UUIDField(null=True)
    ended_at = models.DateTimeField(_("ended"), null=True)
    failed = models.TextField(choices=Failed, blank=True)

    class Meta:
        verbose_name = _("reconciliation")
        verbose_name_plural = _("reconciliations")
        permissions = [
            ("reconcile_hostfile", gettext_noop("Can compare the bank's files and work through the differences"))
        ]
        indexes = [models.Index(fields=["id"], name="hostfile_running", condition=Q(ended_at__isnull=True))]

    def __str__(self) -> str:
        return f"{self.link} {self.business_date}"


class HostLine(models.Model):
    """One line of the bank's that no attempt of ours has been given yet; amounts in minor units."""

    pk = CompositePrimaryKey("file", "number")
    file = models.ForeignKey(HostFile, models.PROTECT, related_name="lines_left", db_index=False)
    number = models.IntegerField()
    rrn = models.TextField()
    stan = models.IntegerField(null=True)
    local_date = models.DateField(null=True)
    amount = models.BigIntegerField()
    currency = models.TextField()
    operation = models.TextField()
    is_approved = models.BooleanField()

    class Meta:
        indexes = [
            models.Index(fields=["file", "rrn"], name="hostline_rrn"),
            models.Index(fields=["file", "stan"], name="hostline_stan", condition=Q(stan__isnull=False)),
        ]

    def __str__(self) -> str:
        return f"line {self.number} of file {self.file_id}"


class Difference(models.Model):
    """One thing on which the bank and we differ; amounts in minor units. Open until somebody has worked through it."""

    class Kind(models.TextChoices):
        """Which one it is."""

        OURS_ONLY = Verdict.OURS_ONLY.value, _("ours, not the bank's")
        THEIRS_ONLY = Verdict.THEIRS_ONLY.value, _("the bank's, not ours")
        AMOUNT = Verdict.AMOUNT.value, _("amount differs")
        STATE = Verdict.STATE.value, _("state differs")

    file = models.ForeignKey(HostFile, models.PROTECT, related_name="differences", db_index=False)
    kind = models.TextField(_("difference"), choices=Kind)
    #: also of a line that is ours on another business date
    payment_id = models.UUIDField(null=True)
    line = models.IntegerField(null=True)
    rrn = models.TextField(blank=True)
    stan = models.IntegerField(null=True)
    our_state = models.TextField(blank=True)
    our_operation = models.TextField(blank=True)
    our_amount = models.BigIntegerField(null=True)
    our_currency = models.TextField(blank=True)
    their_state = models.TextField(blank=True)
    their_operation = models.TextField(blank=True)
    their_amount = models.BigIntegerField(null=True)
    their_currency = models.TextField(blank=True)
    worked_by = models.TextField(blank=True)
    worked_at = models.DateTimeField(null=True)
    reason = models.TextField(blank=True)

    class Meta:
        verbose_name = _("difference")
        verbose_name_plural = _("differences")
        indexes = [
            models.Index(F("file"), F("id"), name="difference_file"),
            models.Index(F("file"), F("id"), name="difference_open", condition=Q(worked_at__isnull=True)),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.rrn or self.stan}"
