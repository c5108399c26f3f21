"""What people read in place of a page that they do not get: what happened, that nothing was changed, where to go on."""

from typing import TYPE_CHECKING

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

if TYPE_CHECKING:
    from collections.abc import Sequence


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say that it is not for this person's role; the audit knows by `staff.watching`."""
    told = _("Your role does not allow it. That you tried is in the audit.")
    step = _("If it is part of your work, ask a security officer for the role that has it.")
    return _page(request, 403, _("This is not open to you, and nothing was changed"), (told, step))


def stale(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Say what a form without the session's token mostly is: a page from before the last sign-in. Django calls this."""
    told = _("The page that you sent was opened before you last signed in, or your browser keeps no cookies.")
    step = _("Go back to it, load it again, and look whether what you wanted is still to be done.")
    return _page(request, 403, _("This page was too old, and nothing was changed"), (told, step))


def missing(request: HttpRequest, exception: Exception) -> HttpResponse:
    """Say that an address leads nowhere."""
    told = _("The address is mistyped, or what it showed is not here any more. A payment is never removed.")
    step = _("Search for the payment by its RRN, its reference or its amount.")
    return _page(request, 404, _("There is nothing at this address"), (told, step))


def _page(request: HttpRequest, status: int, title: str, sentences: "Sequence[str]") -> HttpResponse:
    is_known = getattr(request, "user", None) is not None and request.user.is_authenticated
    layout = "admin/base_site.html" if is_known else "unfold/layouts/unauthenticated.html"
    shown = {"title": title, "sentences": sentences, "layout": layout, "is_known": is_known}
    response = TemplateResponse(
        request, "ferryman/instead.html", {**admin.site.each_context(request), **shown}, status=status
    )
    return response.render()
