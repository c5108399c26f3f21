"""What admin pages of every package have in common: those only to look at, and those whose changes are recorded."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from django import forms
from django.contrib import admin
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext_lazy
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import RangeDateFilter
from unfold.paginator import InfinitePaginator
from unfold.utils import parse_date_str
from unfold.widgets import UnfoldAdminTextareaWidget

from staff.audit import actor_of, record, subject_of
from staff.words import thing

#: from here on only the end of a key is shown: it tells payments of one moment apart
_LONG: Final = 24


def subject_link(kind: str, key: str) -> str:
    """Return what something was done to, with its page where it has one: the kind is a model's label, or a word."""
    app, _dot, model = kind.partition(".")
    name = f"{thing(kind)} {key if len(key) < _LONG else '…' + key[-12:]}".strip()
    try:
        address = reverse(f"admin:{app}_{model}_change", args=[key])
    except NoReverseMatch:
        return f"{thing(kind)} {key}".strip() or "–"
    return format_html('<a href="{}" title="{}">{}</a>', address, key, name)


class ReasonForm(forms.Form):
    """Why a member of staff does something; kept with the payment."""

    reason = forms.CharField(
        label=gettext_lazy("Why?"),
        min_length=3,
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "autofocus": True}),
        help_text=gettext_lazy("It is recorded with your name. Never write card numbers here."),
    )


class Days(RangeDateFilter):
    """From the beginning of one day to the end of another, in the viewer's zone."""

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> "QuerySet[Any]":
        """Narrow to the days that are named; what is no date narrows nothing."""
        first, last = (
            parse_date_str(str(self.used_parameters.get(f"{self.field_path}_{end}"))) for end in ("from", "to")
        )
        if first:
            queryset = queryset.filter(**{f"{self.field_path}__gte": _midnight(first)})
        if last:
            queryset = queryset.filter(**{f"{self.field_path}__lt": _midnight(day_after(last))})
        return queryset


def day_after(day: date) -> date:
    """Return the next day; the last that there is has none, and nothing ever comes after it."""
    return day + timedelta(days=1) if day < date.max else day


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


class ReadOnly(ModelAdmin):
    """What is derived is not edited."""

    list_per_page = 25
    paginator = InfinitePaginator
    show_full_result_count = False

    def has_add_permission(self, request: Any) -> bool:
        """Nobody adds here."""
        return False

    def has_change_permission(self, request: Any, obj: Any = None) -> bool:
        """Nobody changes here."""
        return False

    def has_delete_permission(self, request: Any, obj: Any = None) -> bool:
        """Nobody deletes here."""
        return False


class Audited(admin.ModelAdmin):  # type: ignore[type-arg]
    """Configuration: what is added, changed or deleted is recorded, with what it was before."""

    def save_model(self, request: HttpRequest, obj: Model, form: "forms.ModelForm[Any]", change: bool) -> None:  # noqa: FBT001
        """Save, in the transaction that Django has open, and record it there.

        Of what was there before only what the form has changed: the rest may have been changed meanwhile, a password by
        its owner among it.
        """
        if change:
            columns = {field.name for field in obj._meta.concrete_fields}  # noqa: SLF001  (Django's documented way)
            obj.save(update_fields=columns.intersection(form.changed_data))
        else:
            super().save_model(request, obj, form, change)
        action = "change" if change else "add"
        record(action, actor_of(request), subject=subject_of(obj), detail={"name": str(obj), **_changes(form, change)})

    def log_deletions(self, request: HttpRequest, queryset: "QuerySet[Any]") -> Any:
        """Called before the deletion, in its transaction."""
        for row in queryset:
            record("delete", actor_of(request), subject=subject_of(row), detail={"name": str(row)})
        return super().log_deletions(request, queryset)


def _changes(form: "forms.ModelForm[Any]", change: bool) -> dict[str, Any]:  # noqa: FBT001
    """Return what was changed, before and after; never a password."""
    names = [name for name in form.changed_data if "password" not in name and name in form.cleaned_data]
    before = {name: _plain(form.initial.get(name)) for name in names} if change else {}
    return {"before": before, "after": {name: _plain(form.cleaned_data[name]) for name in names}}


def _plain(value: Any) -> Any:
    if isinstance(value, (str, int, bool)) or value is None:
        return value
    if isinstance(value, Iterable):
        return sorted(str(part) for part in value)
    return str(value)
