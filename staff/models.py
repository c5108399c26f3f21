"""The tables of who did what. Owns columns, indexes and the trigger that lets records only be added."""

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _
from django.utils.translation import gettext_noop

from staff.adding import only_added


class Record(models.Model):
    """One thing that somebody did, or was not allowed to do. Rows are only ever added."""

    class Result(models.TextChoices):
        """What came of it."""

        DONE = "done", _("done")
        REFUSED = "refused", _("refused")
        FAILED = "failed", _("failed")
        ASKED = "asked", _("asked for")
        APPROVED = "approved", _("approved")
        TURNED_DOWN = "turned_down", _("turned down")
        WITHDRAWN = "withdrawn", _("withdrawn")
        EXPIRED = "expired", _("expired")

    at = models.DateTimeField(_("when"), db_default=Now())
    #: the name as it was then: people are renamed and leave, what they did stays
    who = models.TextField(_("who"))
    #: the address that spoke to us, and the one it said that it spoke for
    address = models.TextField(_("from where"), blank=True)
    agent = models.TextField(_("with which program"), blank=True)
    action = models.TextField(_("what"))
    #: a model's label such as "transactions.payment", or another word where it is none
    kind = models.TextField(_("kind of thing"), blank=True)
    subject = models.TextField(_("which one"), blank=True)
    result = models.TextField(_("result"), choices=Result)
    why = models.TextField(_("why"), blank=True)
    detail = models.JSONField(_("details"), default=dict)

    class Meta:
        verbose_name = _("record")
        verbose_name_plural = _("audit")
        permissions = [("export_record", gettext_noop("Can download the audit"))]
        indexes = [
            models.Index(F("at").desc(), F("id").desc(), name="record_at"),
            models.Index(F("who"), F("at").desc(), F("id").desc(), name="record_who"),
            models.Index(F("address"), F("at").desc(), F("id").desc(), name="record_address"),
            models.Index(F("action"), F("at").desc(), F("id").desc(), name="record_action"),
            models.Index(F("subject"), F("at").desc(), F("id").desc(), name="record_subject"),
            models.Index(F("result"), F("at").desc(), F("id").desc(), name="record_result"),
        ]
        triggers = only_added("Cannot truncate the audit, it is only ever added to")

    def __str__(self) -> str:
        return f"{self.who}: {self.action} {self.subject}"


class Request(models.Model):
    """What one person asked for and a second one has to agree to. No card data is ever part of it."""

    class State(models.TextChoices):
        """Where it stands; only an open one can still change."""

        OPEN = "open", _("waits for a second person")
        DONE = "done", _("agreed to and done")
        FAILED = "failed", _("agreed to, but not possible any more")
        TURNED_DOWN = "turned_down", _("turned down")
        WITHDRAWN = "withdrawn", _("withdrawn")
        EXPIRED = "expired", _("expired")

    #: the code of a `staff.requests.Kind`
    kind = models.TextField()
    subject_kind = models.TextField()
    subject = models.TextField()
    parameters = models.JSONField(default=dict)
    maker = models.TextField(_("asked by"))
    reason = models.TextField(_("reason"))
    created_at = models.DateTimeField(_("asked at"), db_default=Now())
    expires_at = models.DateTimeField(_("expires"))
    state = models.TextField(_("state"), choices=State, default=State.OPEN)
    checker = models.TextField(_("decided by"), blank=True)
    decided_at = models.DateTimeField(_("decided at"), null=True)
    note = models.TextField(_("note"), blank=True)
    #: what came of it, as a sentence
    outcome = models.TextField(_("outcome"), blank=True)
    #: what the one who agreed is told once; no column, and never kept
    secret = ""

    class Meta:
        verbose_name = _("request")
        verbose_name_plural = _("requests")
        permissions = [("approve_person", gettext_noop("Can agree to what is asked for people: roles and passwords"))]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "subject_kind", "subject"], name="request_once", condition=Q(state="open")
            ),
        ]
        indexes = [
            models.Index(fields=["id"], name="request_open", condition=Q(state="open")),
            models.Index(F("subject"), F("id").desc(), name="request_subject"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.subject}"
