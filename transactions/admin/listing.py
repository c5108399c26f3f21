"""The list of payments: its filters, its pages, and the searches that staff keep. `finding` does the work."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from django import forms
from django.contrib import messages
from django.contrib.admin.views.main import SEARCH_VAR
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter, RangeDateFilter
from unfold.views import ChangeList

from processor import links
from staff.pages import day_after
from transactions import finding
from transactions.finding import Found, Wanted
from transactions.models import Merchant, Payment, SavedSearch

if TYPE_CHECKING:
    from django.contrib.admin import ModelAdmin

_BEFORE: Final = "before"
_AFTER: Final = "after"
_PLACES: Final = (_BEFORE, _AFTER, "p", "e")
#: filters that no index knows by themselves
_NARROWING: Final = ("status__exact", "operation__exact", "link")
_KEPT_AT_MOST: Final = 20


class LinkFilter(DropdownFilter):
    """Payments of one link."""

    title = gettext_lazy("link")
    parameter_name = "link"

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Any]") -> list[tuple[str, str]]:
        """Offer the links there are; asking the payments for theirs would read them all."""
        return [(name, name) for name in links.names()]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Payment]") -> "QuerySet[Payment]":
        """Return those of the link."""
        return queryset.filter(link=self.value()) if self.value() else queryset


class MerchantFilter(DropdownFilter):
    """Payments of one merchant."""

    title = gettext_lazy("merchant")
    parameter_name = "merchant"

    def lookups(self, request: HttpRequest, model_admin: "ModelAdmin[Any]") -> list[tuple[str, str]]:
        """Offer the merchants there are."""
        return [(str(key), name) for key, name in Merchant.objects.order_by("name").values_list("id", "name")]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Payment]") -> "QuerySet[Payment]":
        """Return those of the merchant."""
        value = self.value() or ""
        return queryset.filter(merchant=int(value)) if value.isdecimal() else queryset


class PeriodFilter(RangeDateFilter):
    """Payments accepted on the days from one to another, both included, by the viewer's calendar."""

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Payment]") -> "QuerySet[Payment]":
        """Return those of the days."""
        return queryset.filter(finding.accepted_between(*self.span()))

    def span(self) -> tuple[datetime | None, datetime | None]:
        """Return when the first day begins and the last one ends."""
        since, until = (self._day(end) for end in ("from", "to"))
        return _begin(since), _begin(day_after(until) if until else None)

    def _day(self, end: str) -> date | None:
        try:
            return parse_date(str(self.used_parameters.get(f"{self.parameter_name}_{end}") or ""))
        except ValueError:
            return None


FILTERS: Final = (
    ("status", ChoicesDropdownFilter),
    ("operation", ChoicesDropdownFilter),
    LinkFilter,
    MerchantFilter,
    ("created_at", PeriodFilter),
)


class Pages:
    """Where the list goes on; stands in for a paginator, which would count."""

    template_name = "admin/transactions/payment/pages.html"
    per_page = finding.PAGE

    def __init__(self, found: Found, query: dict[str, str]) -> None:
        self.looked_back_to = found.looked_back_to
        self.older = _address(query, _BEFORE, found.older)
        self.newer = _address(query, _AFTER, found.newer)
        self.newest = f"?{urlencode(query)}" if found.newer else ""


class PaymentList(ChangeList):
    """One page of payments by their ids: nothing is counted, nothing skipped over."""

    paginator: Any

    def get_filters_params(self, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Leave out where the page begins: it filters nothing."""
        found: dict[str, Any] = super().get_filters_params(params)
        return {name: value for name, value in found.items() if name not in _PLACES}

    def get_results(self, request: HttpRequest) -> None:
        """Find one page."""
        query = _narrowing(request)
        found = finding.find(self._filtered(request), self._wanted(request))
        self.result_list = found.payments
        self.result_count = len(found.payments)
        self.full_result_count = self.result_count
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.can_show_all = self.multi_page = False
        self.paginator = Pages(found, query)

    def narrowed_to(self, request: HttpRequest, at_most: int, *, is_open: bool) -> list[Payment]:
        """Return the newest payments that the list is narrowed to, however many pages they fill."""
        within = self._filtered(request)
        within = within.filter(ended_at=None) if is_open else within
        wanted: Wanted | None = replace(self._wanted(request), before=None, after=None)
        found: list[Payment] = []
        for _page in range(2 * at_most // finding.PAGE):
            if wanted is None or len(found) >= at_most:
                break
            page = finding.find(within, wanted)
            found += page.payments
            wanted = replace(wanted, before=page.older, after=None) if page.older else None
        return found[:at_most]

    def _wanted(self, request: HttpRequest) -> Wanted:
        query = _narrowing(request)
        spans = [spec.span() for spec in self.filter_specs if isinstance(spec, PeriodFilter)]
        since, until = spans[0] if spans else (None, None)
        return Wanted(
            term=self.query.strip(),
            status=query.get("status__exact", ""),
            is_filtered=any(name != SEARCH_VAR for name in query),
            is_narrowed=any(name in query for name in _NARROWING),
            before=_id(request, _BEFORE),
            after=_id(request, _AFTER),
            since=since,
            until=until,
        )

    def _filtered(self, request: HttpRequest) -> "QuerySet[Payment]":
        """Return what the filters leave, whatever the search term."""
        term, self.query = self.query, ""
        try:
            return self.get_queryset(request)
        finally:
            self.query = term


class SavedSearchForm(forms.ModelForm):  # type: ignore[type-arg]
    """A search with its name."""

    class Meta:
        model = SavedSearch
        fields = ("name", "query")

    def clean_query(self) -> str:
        """Keep what was looked for, not the page that was looked at."""
        return _kept(self.cleaned_data["query"])


def saved(request: HttpRequest) -> Iterator[dict[str, Any]]:
    """Return the searches that who asks has kept, and whether one of them is shown now."""
    now = _kept(request.GET.urlencode())
    for search in SavedSearch.objects.filter(user_id=_viewer(request)).order_by("name"):
        yield {"id": search.pk, "name": search.name, "address": f"?{search.query}", "is_shown": search.query == now}


def urls(admin: "ModelAdmin[Any]") -> list[Any]:
    """Return the addresses at which searches are kept and forgotten."""

    def keep(request: HttpRequest) -> HttpResponse:
        return _keep(request, admin)

    def forget(request: HttpRequest, search_id: int) -> HttpResponse:
        return _forget(request, search_id, admin)

    view = admin.admin_site.admin_view
    return [
        path("searches/", view(keep), name="payment_keep_search"),
        path("searches/<int:search_id>/forget/", view(forget), name="payment_forget_search"),
    ]


def _keep(request: HttpRequest, admin: "ModelAdmin[Any]") -> HttpResponse:
    if not admin.has_view_permission(request):
        raise PermissionDenied
    if request.method != "POST":
        return redirect("admin:transactions_payment_changelist")
    form = SavedSearchForm(request.POST)
    own = SavedSearch.objects.filter(user_id=_viewer(request))
    if not form.is_valid():
        messages.error(request, _("A search needs a name of at most 60 characters. Nothing was kept."))
        return redirect("admin:transactions_payment_changelist")
    name, query = form.cleaned_data["name"], form.cleaned_data["query"]
    if own.exclude(name=name).count() >= _KEPT_AT_MOST:
        messages.error(request, _("You keep 20 searches already. Forget one of them first."))
    else:
        SavedSearch.objects.update_or_create(user_id=_viewer(request), name=name, defaults={"query": query})
    return redirect(f"{reverse('admin:transactions_payment_changelist')}?{query}")


def _forget(request: HttpRequest, search_id: int, admin: "ModelAdmin[Any]") -> HttpResponse:
    if not admin.has_view_permission(request):
        raise PermissionDenied
    if request.method == "POST":
        SavedSearch.objects.filter(user_id=_viewer(request), pk=search_id).delete()
    return redirect("admin:transactions_payment_changelist")


def _narrowing(request: HttpRequest) -> dict[str, str]:
    """Return what the list is narrowed by, without the place of its page."""
    return {name: str(value) for name, value in request.GET.items() if value and name not in _PLACES}


def _viewer(request: HttpRequest) -> int:
    return int(request.user.pk or 0)


def _kept(query: str) -> str:
    pairs = [(name, value) for name, value in parse_qsl(query) if value and name not in _PLACES]
    return urlencode(sorted(pairs))


def _address(query: dict[str, str], place: str, at: UUID | None) -> str:
    return f"?{urlencode({**query, place: str(at)})}" if at else ""


def _id(request: HttpRequest, name: str) -> UUID | None:
    try:
        return UUID(request.GET.get(name, ""))
    except ValueError:
        return None


def _begin(day: date | None) -> datetime | None:
    return timezone.make_aware(datetime.combine(day, time.min)) if day else None
