"""Merchants and their API keys, about which a second person is asked. Decides nothing: `api_keys` does."""

from datetime import datetime
from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from rest_framework_api_key.models import APIKey
from unfold.admin import ModelAdmin
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSplitDateTimeWidget, UnfoldAdminTextInputWidget

from staff import requests
from staff.audit import actor_of
from staff.models import Request
from staff.pages import Audited, ReadOnly, ReasonForm
from staff.speech import unchanged
from transactions import api_keys
from transactions.admin import words
from transactions.models import ApiKey, Merchant


@admin.register(Merchant)
class MerchantAdmin(Audited, ModelAdmin):  # type: ignore[misc]
    """Who payments belong to."""

    list_display = ("name", "created_at")
    search_fields = ("name",)
    list_per_page = 25

    def has_delete_permission(self, request: Any, obj: Merchant | None = None) -> bool:
        """A merchant's payments stay."""
        return False


class ScopesForm(ReasonForm):
    """What a key may do, as boxes to tick."""

    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("What may it do?"),
        choices=list(api_keys.SCOPES.items()),
        widget=forms.CheckboxSelectMultiple,
        initial=["read", "pay"],
    )
    field_order: tuple[str, ...] = ("scopes", "reason")


class NewKeyForm(ScopesForm):
    """A key that does not exist yet."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=50, widget=UnfoldAdminTextInputWidget)
    merchant = forms.ModelChoiceField(
        Merchant.objects.order_by("name"), label=gettext_lazy("Merchant"), widget=UnfoldAdminSelectWidget
    )
    expiry_date = forms.SplitDateTimeField(
        label=gettext_lazy("Expires"), required=False, widget=UnfoldAdminSplitDateTimeWidget
    )
    field_order = ("name", "merchant", "scopes", "expiry_date", "reason")

    def clean_expiry_date(self) -> datetime | None:
        """Return it; a key that has expired is no use."""
        expires: datetime | None = self.cleaned_data["expiry_date"]
        if expires and expires <= timezone.now():
            raise forms.ValidationError(_("That is past."))
        return expires


class ReplaceForm(ReasonForm):
    """Why a key is replaced, and how long it works beside the new one."""

    overlap_hours = forms.TypedChoiceField(
        label=gettext_lazy("How long does the old key still work?"),
        choices=[(hours, api_keys.overlap_words(hours)) for hours in api_keys.OVERLAPS],
        coerce=int,
        initial=24,
        widget=UnfoldAdminSelectWidget,
        help_text=gettext_lazy("Long enough for the merchant to put the new key in; not at all if the old one leaked."),
    )
    field_order = ("overlap_hours", "reason")


#: what is asked about a key that exists -> its page, button and form
_ABOUT_ONE: Final[dict[str, tuple[str, Any, type[ReasonForm]]]] = {
    api_keys.CHANGE: ("scopes", gettext_lazy("Change what it may"), ScopesForm),
    api_keys.REPLACE: ("replace", gettext_lazy("Replace"), ReplaceForm),
    api_keys.REVOKE: ("revoke", gettext_lazy("Revoke"), ReasonForm),
}


@admin.register(ApiKey)
class ApiKeyAdmin(ReadOnly):
    """Look at keys; what makes, changes, replaces or revokes one is asked for."""

    fields = ("prefix", "name", "merchant", "may", "created", "expiry_date", "revoked")
    readonly_fields = ("may",)
    list_display = ("prefix", "name", "merchant", "created", "expiry_date", "revoked")
    list_filter = ("revoked",)
    search_fields = ("name", "prefix")
    ordering = ("-created",)
    change_form_before_template = "admin/ferryman/offers.html"  # type: ignore[assignment]

    @admin.display(description=gettext_lazy("May"))
    def may(self, key: ApiKey) -> str:
        """What the key may, in words."""
        return api_keys.scope_words(key.scopes)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """True for who may ask for a key."""
        return actor_of(request).may(api_keys.ASK[api_keys.MAKE])

    def get_urls(self) -> list[Any]:
        """Add the pages on which a second person is asked."""
        ask = self.admin_site.admin_view(self.ask)
        own = [
            path(f"<path:key_id>/{slug}/", ask, {"kind": kind}, name=f"api_key_{slug}")
            for kind, (slug, _title, _form) in _ABOUT_ONE.items()
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show a key, what waits for a second person about it, and what may be asked."""
        key: ApiKey | None = self.get_object(request, unquote(object_id))
        by = actor_of(request)
        able = _ABOUT_ONE if key and not api_keys.objection_to(key) else {}
        shown = {
            "offers": [
                (title, reverse(f"admin:api_key_{slug}", args=[object_id]))
                for kind, (slug, title, _form) in able.items()
                if by.may(api_keys.ASK[kind])
            ],
            "asked": [requests.shown(asked) for asked in api_keys.asked_about(key)] if key else [],
        }
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **shown})

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Take what a new key shall be; then ask a second person for it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = NewKeyForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                asked = api_keys.ask_for_new(by=actor_of(request), **form.cleaned_data)
            except requests.NotPossible as error:
                messages.error(request, unchanged(error))
                return redirect("admin:transactions_apikey_changelist")
            _said(request, asked)
            return redirect("admin:staff_request_change", asked.pk)
        return self._page(request, api_keys.MAKE, form, reverse("admin:transactions_apikey_changelist"))

    def ask(self, request: HttpRequest, key_id: str, kind: str) -> HttpResponse:
        """Say what will happen and ask why; then ask a second person."""
        by = actor_of(request)
        if not (by.may(api_keys.ASK[kind]) and self.has_view_permission(request)):
            raise PermissionDenied
        key: ApiKey | None = self.get_object(request, unquote(key_id))
        if key is None:
            raise Http404
        page = reverse("admin:transactions_apikey_change", args=[quote(key.pk)])
        initial = {"scopes": key.scopes} if kind == api_keys.CHANGE else None
        form = _ABOUT_ONE[kind][2](request.POST or None, initial=initial)
        if request.method == "POST" and form.is_valid():
            try:
                _said(request, api_keys.ask(kind, key, by, **form.cleaned_data))
            except requests.NotPossible as error:
                messages.error(request, unchanged(error))
            return redirect(page)
        return self._page(request, kind, form, page, key)

    def _page(
        self, request: HttpRequest, kind: str, form: forms.Form, page: str, key: ApiKey | None = None
    ) -> HttpResponse:
        title, meaning = api_keys.described(kind)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "meaning": meaning,
            "about": _about(key, page) if key else [],
            "form": form,
            "page": page,
        }
        return TemplateResponse(request, "admin/ferryman/ask.html", context)


def _about(key: ApiKey, page: str) -> list[tuple[str, Any]]:
    named = format_html('<a href="{}">{}</a>, {}', page, key.prefix, key.name)
    return [(_("Key"), named), (_("Merchant"), key.merchant)]


def _said(request: HttpRequest, asked: Request) -> None:
    time = words.duration((asked.expires_at - asked.created_at).total_seconds())
    told = _("Asked for. Nothing happens until somebody else agrees; the request expires in %(time)s.")
    messages.success(request, told % {"time": time})


admin.site.unregister(APIKey)
