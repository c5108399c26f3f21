"""The analytic reports: five pages of one make, each of some days, with plots beside tables and a download.

Decides nothing: figures come from `reporting`, what they mean from `reports`, tables from the other modules here.
"""

from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib.admin import AdminSite
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from processor import links
from staff.audit import actor_of, record
from staff.spreadsheet import download
from transactions.admin import words
from transactions.admin.analytic.peaks import HOURS
from transactions.admin.analytic.responses import RESPONSES
from transactions.admin.analytic.slowest import SLOWEST
from transactions.admin.analytic.success import SUCCESS
from transactions.admin.analytic.tables import Report
from transactions.admin.analytic.values import VALUES
from transactions.admin.reports import DAYS, allow, day_widget
from transactions.domain.money import is_currency
from transactions.domain.values import Operation
from transactions.reporting import MOST, Found, TookTooLong
from transactions.reports.period import LONGEST, Asked, is_too_long, usual

_REPORTS: Final = (SUCCESS, VALUES, HOURS, RESPONSES, SLOWEST)


class PeriodForm(forms.Form):
    """Days by the viewer's calendar, both included, and what narrows them."""

    first = forms.DateField(label=_("First day"), widget=day_widget())
    last = forms.DateField(label=_("Last day"), widget=day_widget())
    link = forms.ChoiceField(label=_("Link"), required=False, widget=UnfoldAdminSelectWidget)
    operation = forms.ChoiceField(label=_("Operation"), required=False, widget=UnfoldAdminSelectWidget)
    currency = forms.CharField(
        label=_("Currency"), required=False, widget=UnfoldAdminTextInputWidget(attrs={"maxlength": 3, "size": 5})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        link: Any = self.fields["link"]
        link.choices = [("", _("all links")), *((name, name) for name in links.names())]
        operation: Any = self.fields["operation"]
        operation.choices = [("", _("all operations")), *((one.value, words.spoken(one)) for one in Operation)]

    def clean_currency(self) -> str:
        """Return the letters of a currency, in capitals."""
        letters: str = self.cleaned_data["currency"].upper()
        if letters and not is_currency(letters):
            raise forms.ValidationError(_("A currency is three letters of ISO 4217, such as IDR."))
        return letters

    def clean(self) -> dict[str, Any]:
        """Refuse days that no payment can have, and more of them than a report covers."""
        given: dict[str, Any] = super().clean() or {}
        first, last = given.get("first"), given.get("last")
        if first and last:
            if not DAYS[0] <= first <= DAYS[1] or not DAYS[0] <= last <= DAYS[1]:
                self.add_error("first", _("Payments have no such date."))
            elif last < first:
                self.add_error("last", _("The last day cannot be before the first."))
            elif is_too_long(first, last):
                self.add_error("last", _("A report covers at most %(n)s days.") % {"n": LONGEST})
        return given


def urls(site: AdminSite) -> list[Any]:
    """Return the pages and their downloads."""
    return [address for report in _REPORTS for address in Analytic(site, report).urls()]


class Analytic:
    """One report's page."""

    def __init__(self, site: AdminSite, report: Report) -> None:
        self._site = site
        self._report = report

    def urls(self) -> list[Any]:
        """Return the page and its download."""
        name, view = self._report.name, self._site.admin_view
        return [
            path(f"admin/reports/{name}/", view(self.page), name=f"report_{name}"),
            path(f"admin/reports/{name}/download/", view(self.send), name=f"report_{name}_download"),
        ]

    def page(self, request: HttpRequest) -> HttpResponse:
        """Show it."""
        allow(request)
        form, asked = _asked(request)
        found, is_slow = self._find(asked)
        tables = self._report.tables(found, asked) if asked and found else []
        context = {
            **self._site.each_context(request),
            "title": self._report.title,
            "rule": self._report.rule,
            "form": form,
            "address": reverse(f"report_{self._report.name}"),
            "download": reverse(f"report_{self._report.name}_download"),
            "asked": asked,
            "zone": timezone.get_current_timezone_name(),
            "before": _address(asked, -1),
            "after": _address(asked, 1),
            "here": _address(asked, 0),
            "is_slow": is_slow,
            "only_since": found and found.only_since,
            "most": f"{MOST:,}",
            "tables": tables,
            "charts": {f"chart-{place}": table.chart for place, table in enumerate(tables, 1) if table.chart},
        }
        return TemplateResponse(request, "admin/transactions/reports/analytic.html", context)

    def send(self, request: HttpRequest) -> HttpResponseBase:
        """Send it."""
        allow(request)
        _form, asked = _asked(request)
        found, _is_slow = self._find(asked)
        if asked is None or found is None:
            return self.page(request)
        lines = self._report.lines(found, asked)
        narrowed = {name: value for name, value in _query(asked, 0).items() if value}
        since = {"only_since": found.only_since.isoformat()} if found.only_since else {}
        detail = {"report": self._report.name, **narrowed, **since, "lines": len(lines)}
        record("export_report", actor_of(request), detail=detail)
        name = f"{self._report.name}-{asked.first:%Y%m%d}-{asked.last:%Y%m%d}.csv"
        return download(name, self._report.head, lines)

    def _find(self, asked: Asked | None) -> tuple[Found | None, bool]:
        """Return what there is, and whether reading it took too long."""
        try:
            return (self._report.read(asked) if asked else None), False
        except TookTooLong:
            return None, True


def _asked(request: HttpRequest) -> tuple[PeriodForm, Asked | None]:
    """Return the form, and what it asks for: the last week unless it says otherwise, None where it cannot be read."""
    zone = timezone.get_current_timezone()
    first, last = usual(timezone.localdate())
    if "first" not in request.GET:
        return PeriodForm(initial={"first": first, "last": last}), Asked(first, last, zone)
    form = PeriodForm(request.GET)
    return form, Asked(zone=zone, **form.cleaned_data) if form.is_valid() else None


def _address(asked: Asked | None, periods: int) -> str:
    return f"?{urlencode(_query(asked, periods))}" if asked else ""


def _query(asked: Asked, periods: int) -> dict[str, str]:
    """Return the same question so many periods later."""
    by = periods * (asked.last - asked.first + timedelta(days=1))
    narrowed = {"link": asked.link, "operation": asked.operation, "currency": asked.currency}
    return {"first": str(asked.first + by), "last": str(asked.last + by), **narrowed}
