"""Phrases of other packages' pages that they have in no other language: here, translators find them."""

from typing import Final

from django.utils.translation import gettext_noop as _

UNFOLD: Final = (
    *(_("Light"), _("Dark"), _("System"), _("Return to site"), _("Go back"), _("More actions"), _("Expand row")),
    *(
        _("Type to search"),
        _("Filters"),
        _("Apply Filters"),
        _("Reset filters"),
        _("From"),
        _("Date from"),
        _("Date to"),
    ),
    *(_("Run"), _("Select action"), _("Select action to run"), _("Select record"), _("Select all rows")),
    *(_("Next"), _("Previous"), _("True"), _("False"), _("Toggle password visibility")),
    *(_("Forgotten your password or username?"), _("Date"), _("Choose file to upload"), _("Select value")),
)
DJANGO: Final = (_("After you've created a user, you’ll be able to edit more user options."),)
API_KEYS: Final = (_("Once API key expires, clients cannot use it anymore."),)
