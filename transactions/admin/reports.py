"""Reports to read and to download. Decides nothing: figures come from `reporting`, what they mean from `reports`."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib.admin import AdminSite
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminSingleDateWidget

from processor.models import Link, LinkStatus
from staff.audit import actor_of, record
from staff.spreadsheet import download
from transactions import reporting
from transactions.admin import totals, words
from transactions.domain.money import exponent
from transactions.reports.settlement import Tally, nets, tallies

#: the first and the last that a payment can have
DAYS: Final = (date(2000, 1, 1), date(2199, 12, 31))
_MAY_SEE: Final = "transactions.view_payment"
_SETTLEMENT_HEAD: Final = (
    "business_date link currency operation approved approved_amount reversed reversed_amount "
    "net net_amount undone declined open"
).split()


def day_widget() -> UnfoldAdminSingleDateWidget:
    """Return the browser's own calendar: it takes dates as ISO 8601 writes them, in every language."""
    return UnfoldAdminSingleDateWidget(attrs={"type": "date"}, format="%Y-%m-%d")


class DayForm(forms.Form):
    """A business date, and over which link."""

    day = forms.DateField(label=_("Business date"), widget=day_widget())
    link = forms.ChoiceField(label=_("Link"), required=False, widget=UnfoldAdminSelectWidget)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["link"]
        field.choices = [("", _("all links")), *((name, name) for name in links())]

    def clean_day(self) -> date:
        """Return a date that payments can have."""
        day: date = self.cleaned_data["day"]
        if not DAYS[0] <= day <= DAYS[1]:
            raise forms.ValidationError(_("Payments have no such date."))
        return day


def links() -> list[str]:
    """Return the names of the links."""
    return list(Link.objects.order_by("name").values_list("name", flat=True))


def latest_day() -> date | None:
    """Return the business date that the links are in now; None before there is a link."""
    return LinkStatus.objects.order_by("-business_date").values_list("business_date", flat=True).first()


def plain(amount_minor: int, currency: str) -> Decimal:
    """Return an amount in its currency's own unit, for a spreadsheet."""
    return Decimal(amount_minor).scaleb(-exponent(currency))


def allow(request: HttpRequest) -> None:
    """Let those pass who may see payments."""
    if not request.user.has_perm(_MAY_SEE):
        raise PermissionDenied


def urls(site: AdminSite) -> list[Any]:
    """Return every report's pages; they stand beside the pages of models."""
    return [*Settlement(site).urls()]


class Settlement:
    """What a business date came to."""

    def __init__(self, site: AdminSite) -> None:
        self._site = site

    def urls(self) -> list[Any]:
        """Return the page and its download."""
        view = self._site.admin_view
        return [
            path("admin/reports/settlement/", view(self.page), name="report_settlement"),
            path("admin/reports/settlement/download/", view(self.send), name="report_settlement_download"),
            *totals.urls(self._site),
        ]

    def page(self, request: HttpRequest) -> HttpResponse:
        """Show it."""
        allow(request)
        form, day, link = _asked(request)
        counted = reporting.counted(day, link) if day else []
        found = tallies(counted)
        context = {
            **self._site.each_context(request),
            "title": _("Settlement"),
            "form": form,
            "day": day,
            "before": _address(day and day - timedelta(days=1), link),
            "after": _address(day and day + timedelta(days=1), link),
            "here": _address(day, link),
            "lines": [_shown(tally) for tally in found],
            "nets": [words.signed_money(amount, currency) for currency, amount in sorted(nets(found).items())],
            "open": sum(tally.open for tally in found),
            "link": link,
            **(totals.panels(request, day, link, counted) if day and link else {}),
        }
        return TemplateResponse(request, "admin/transactions/reports/settlement.html", context)

    def send(self, request: HttpRequest) -> HttpResponseBase:
        """Send it."""
        allow(request)
        _form, day, link = _asked(request)
        if day is None:
            return self.page(request)
        found = reporting.settlement(day, link)
        detail = {"report": "settlement", "business_date": day, "link": link or "all", "lines": len(found)}
        record("export_report", actor_of(request), detail=detail)
        return download(f"settlement-{day:%Y%m%d}.csv", _SETTLEMENT_HEAD, _lines(found, day, link))


def _asked(request: HttpRequest) -> tuple[DayForm, date | None, str]:
    """Return the form, and the date and link it names; no date where what was given is none.

    Unasked it is the latest date, and the link where there is only one.
    """
    if "day" not in request.GET:
        day, known = latest_day(), links()
        link = known[0] if len(known) == 1 else ""
        return DayForm(initial={"day": day, "link": link}), day, link
    form = DayForm(request.GET)
    if not form.is_valid():
        return form, None, ""
    return form, form.cleaned_data["day"], form.cleaned_data["link"]


def _address(day: date | None, link: str) -> str:
    return f"?{urlencode({'day': day, 'link': link})}" if day else ""


def _shown(tally: Tally) -> dict[str, Any]:
    return {
        "tally": tally,
        "operation": words.spoken(tally.operation),
        "approved": words.signed_money(tally.approved_minor, tally.currency),
        "reversed": words.signed_money(tally.reversed_minor, tally.currency),
        "net": words.signed_money(tally.net_minor, tally.currency),
    }


def _lines(found: Sequence[Tally], day: date, link: str) -> list[list[Any]]:
    return [
        [
            *(day, link or "all", one.currency, one.operation),
            *(one.approved, plain(one.approved_minor, one.currency)),
            *(one.reversed, plain(one.reversed_minor, one.currency)),
            *(one.net, plain(one.net_minor, one.currency)),
            *(one.undone, one.declined, one.open),
        ]
        for one in found
    ]
