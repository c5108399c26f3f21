"""The page on which a link's key is put in, and a second person asked. Decides nothing: `rekeying` does."""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _

from processor import rekeying
from processor.admin.forms import KeyForm
from processor.keys.errors import KeyProblem
from processor.models import Key, Link
from staff import requests
from staff.audit import actor_of
from staff.pages import ReadOnly
from staff.speech import unchanged


class Rekeying(ReadOnly):
    """The page of a key, beside a link's own."""

    def get_urls(self) -> list[Any]:
        """Add the page of a key."""
        view = self.admin_site.admin_view(self.rekey)
        return [path("<int:link_id>/keys/<slug:word>/", view, name="link_key"), *super().get_urls()]

    def rekey(self, request: HttpRequest, link_id: int, word: str) -> HttpResponse:
        """Say what will happen, and take the key and the reason; then ask a second person."""
        by = actor_of(request)
        if not (by.may(rekeying.ASK) and self.has_view_permission(request)):
            raise PermissionDenied
        link: Link | None = self.get_object(request, str(link_id))
        if link is None or word not in Key.Type:
            raise Http404
        kind, form = Key.Type(word), KeyForm(request.POST or None)
        page = reverse("admin:processor_link_change", args=[link.pk])
        if request.method == "POST" and form.is_valid():
            try:
                rekeying.ask(link, kind, form.cleaned_data["key"], by, form.cleaned_data["reason"])
            except (KeyProblem, requests.NotPossible) as error:
                messages.error(request, unchanged(error))
            else:
                messages.success(request, _("Asked for. Nothing happens until somebody else agrees."))
            return redirect(page)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("New %(kind)s of %(link)s") % {"kind": kind.label, "link": link.name},
            "meaning": rekeying.MEANINGS[kind],
            "form": form,
            "page": page,
        }
        response = TemplateResponse(request, "admin/ferryman/ask.html", context)
        response["Cache-Control"] = "no-store"
        return response
