"""Merchants and their API keys. A key's secret is shown once, when it is made."""

from typing import Any

from django import forms
from django.contrib import admin
from rest_framework_api_key.admin import APIKeyModelAdmin
from rest_framework_api_key.models import APIKey
from unfold.admin import ModelAdmin

from transactions.models import ApiKey, Merchant

_SCOPES = [
    ("read", "read payments"),
    ("pay", "post and cancel payments"),
    ("operate", "operate links"),
]


@admin.register(Merchant)
class MerchantAdmin(ModelAdmin):
    """Who payments belong to."""

    list_display = ("name", "created_at")
    search_fields = ("name",)
    list_per_page = 25

    def has_delete_permission(self, request: Any, obj: Merchant | None = None) -> bool:
        """A merchant's payments stay."""
        return False


class ApiKeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """Scopes as boxes to tick."""

    scopes = forms.MultipleChoiceField(choices=_SCOPES, widget=forms.CheckboxSelectMultiple, initial=["read", "pay"])

    class Meta:
        model = ApiKey
        fields = ("name", "merchant", "scopes", "expiry_date", "revoked")


@admin.register(ApiKey)
class ApiKeyAdmin(APIKeyModelAdmin, ModelAdmin):  # type: ignore[misc]
    """Make and revoke keys."""

    form = ApiKeyForm
    list_display = ("prefix", "name", "merchant", "created", "expiry_date", "revoked")
    list_filter = ("revoked",)
    list_per_page = 25


admin.site.unregister(APIKey)
