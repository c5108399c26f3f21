"""The routing table's columns; its rule is in `link.routes`."""

from django.core.validators import RegexValidator
from django.db import models
from django.utils.translation import gettext_lazy as _


class Route(models.Model):
    """A rule that sends payments naming no link to one; the first that fits decides."""

    number = models.PositiveSmallIntegerField(_("number"), unique=True, help_text=_("Rules are tried in this order."))
    #: a merchant is known by its number here
    merchant_id = models.BigIntegerField(_("merchant"), null=True, blank=True)
    bin = models.CharField(
        _("BIN"),
        max_length=11,
        blank=True,
        validators=[RegexValidator(r"^[0-9]{2,11}\Z", _("2 to 11 digits."))],
        help_text=_("First digits of the card; empty for any."),
    )
    biller = models.CharField(_("biller"), max_length=20, blank=True, help_text=_("Empty for any."))
    link = models.ForeignKey("processor.Link", models.PROTECT, related_name="+", verbose_name=_("link"))
    fallback = models.ForeignKey(
        "processor.Link",
        models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("fallback"),
        help_text=_("Takes what comes while the link is down, where it is up itself."),
    )
    enabled = models.BooleanField(_("enabled"), default=True)

    class Meta:
        verbose_name = _("route")
        verbose_name_plural = _("routes")
        ordering = ("number",)
        constraints = [
            models.CheckConstraint(
                condition=models.Q(fallback__isnull=True) | ~models.Q(fallback=models.F("link")),
                name="route_fallback_is_another",
                violation_error_message=_("The fallback is another link than the link."),
            )
        ]

    def __str__(self) -> str:
        return f"{self.number} → {self.link.name}"
