"""The routing table: which link takes payments that name none. Rules are switched off, never deleted.

Who makes or changes one asks a second person; decides nothing: `rerouting` does.
"""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from processor.route_models import Route
from staff import requests
from staff.audit import actor_of
from staff.pages import ReasonForm
from staff.speech import unchanged
from transactions import rerouting
from transactions.models import Merchant


class RouteForm(forms.ModelForm):  # type: ignore[type-arg]
    """A merchant by its name."""

    merchant_id = forms.TypedChoiceField(
        label=_("Merchant"), required=False, coerce=int, empty_value=None, widget=UnfoldAdminSelectWidget
    )

    class Meta:
        model = Route
        fields = ("number", "merchant_id", "bin", "biller", "link", "fallback", "enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        merchants = Merchant.objects.order_by("name").values_list("id", "name")
        field: Any = self.fields["merchant_id"]
        field.choices = [("", _("any")), *merchants]


class AskForm(RouteForm, ReasonForm):
    """A rule as it shall be, and why."""


@admin.register(Route)
class RouteAdmin(ModelAdmin):
    """Rules in their order; the first that fits a payment decides."""

    form = RouteForm
    list_display = ("number", "merchant", "digits", "named", "link", "fallback", "enabled")
    list_display_links = ("number",)
    list_select_related = ("link", "fallback")
    ordering = ("number",)
    list_per_page = 25

    @display(description=_("merchant"))  # type: ignore[arg-type]  # Django takes lazy text
    def merchant(self, route: Route) -> Any:
        """The merchant's name, or any."""
        known = Merchant.objects.filter(id=route.merchant_id).first() if route.merchant_id else None
        return known or _("any")

    @display(description=_("BIN"))  # type: ignore[arg-type]  # Django takes lazy text
    def digits(self, route: Route) -> Any:
        """The first digits, or any."""
        return route.bin or _("any")

    @display(description=_("biller"))  # type: ignore[arg-type]  # Django takes lazy text
    def named(self, route: Route) -> Any:
        """The biller, or any."""
        return route.biller or _("any")

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Take what a new rule shall be; then ask a second person for it."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        return self._ask(request, rerouting.MAKE, None)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Take what a rule shall be, and ask a second person; who may not ask looks at it."""
        route: Route | None = self.get_object(request, object_id)
        if route is None or not self.has_change_permission(request, route):
            return super().change_view(request, object_id, form_url, extra_context)
        return self._ask(request, rerouting.CHANGE, route)

    def _ask(self, request: HttpRequest, kind: str, route: Route | None) -> HttpResponse:
        form = self.get_form(request, route, form=AskForm)(request.POST or None, instance=route)
        page = reverse("admin:processor_route_changelist")
        if request.method == "POST" and form.is_valid():
            try:
                asked = rerouting.ask(form.instance, actor_of(request), form.cleaned_data["reason"])
            except requests.NotPossible as error:
                messages.error(request, unchanged(error))
                return redirect(page)
            messages.success(request, gettext("Asked for. Nothing happens until somebody else agrees."))
            return redirect("admin:staff_request_change", asked.pk)
        title, meaning = rerouting.described(kind)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": title,
            "meaning": meaning,
            "asked": [requests.shown(asked) for asked in rerouting.asked_about(route)] if route else [],
            "form": form,
            "media": self.media + form.media,
            "page": page,
        }
        return TemplateResponse(request, "admin/ferryman/ask.html", context)

    def has_delete_permission(self, request: HttpRequest, obj: Route | None = None) -> bool:
        """A payment's story names its rule."""
        return False
