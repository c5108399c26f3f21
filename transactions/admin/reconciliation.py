"""The bank's files beside ours: uploaded, compared, and each difference worked through by a person with a reason."""

from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import UnfoldAdminFileFieldWidget

from staff.audit import actor_of, record, subject_of
from staff.pages import ReadOnly, ReasonForm
from staff.spreadsheet import download
from transactions import reconciliation
from transactions.admin import words
from transactions.admin.reports import DayForm, latest_day, links, plain
from transactions.reconciliation import MOST_DIFFERENCES
from transactions.reconciliation_models import Difference, HostFile
from transactions.reports.host_lines import MOST_BYTES, MOST_LINES, Wrong, WrongFile

_RECONCILE: Final = "transactions.reconcile_hostfile"
_PAGE: Final = 50
_WRONG: Final = {
    "too_large": gettext_lazy("The file is too large."),
    "too_many_lines": gettext_lazy("The file has too many lines."),
    "not_utf8": gettext_lazy("The file is not text in UTF-8."),
    "empty": gettext_lazy("The file has no line below the names of its columns."),
    "missing": gettext_lazy("This column is missing. The first line must name the columns."),
    "twice": gettext_lazy("A column is there twice."),
    "not_csv": gettext_lazy("This is not CSV: look for a quotation mark that is not closed, or a line without end."),
    "short": gettext_lazy("The line has fewer cells than the first line has columns."),
    "rrn": gettext_lazy("An RRN has 12 letters and digits."),
    "unnamed": gettext_lazy("A line needs an RRN, or a STAN and a local date."),
    "stan": gettext_lazy("A STAN has at most 6 digits."),
    "local_date": gettext_lazy("A date is written as 2026-11-21."),
    "amount": gettext_lazy("An amount is written as 12500.00: no sign, and no more decimals than its currency has."),
    "currency": gettext_lazy("A currency is a code of ISO 4217: IDR or 360."),
    "operation": gettext_lazy("This operation is not known."),
    "response": gettext_lazy("A response code has 2 or 3 digits or capital letters."),
}
_FILE_HEAD: Final = (
    "difference payment line rrn stan our_state our_operation our_amount our_currency "
    "their_state their_operation their_amount their_currency worked_by worked_at reason"
).split()


class UploadForm(DayForm):
    """Which date of which link, and the bank's file."""

    file = forms.FileField(
        label=gettext_lazy("The bank's file"), widget=UnfoldAdminFileFieldWidget(attrs={"accept": ".csv"})
    )
    field_order = ("day", "link", "file")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["link"]
        field.choices = [(name, name) for name in links()]
        field.required = True

    def clean_file(self) -> BinaryIO:
        """Return the file, to be read as it is compared; one that is too large is not even opened."""
        file = self.cleaned_data["file"]
        if file.size > MOST_BYTES:
            raise forms.ValidationError(_WRONG["too_large"])
        opened: BinaryIO = file.file
        return opened


@admin.register(HostFile)
class HostFileAdmin(ReadOnly):
    """Every file that was compared, with what is left of its differences."""

    list_display = (
        *("uploaded_at", "business_date", "link", "condition", "lines", "agreeing", "differing", "left", "uploaded_by"),
    )
    list_display_links = ("uploaded_at", "business_date")
    list_filter = ("link",)
    list_before_template: Any = "admin/transactions/hostfile/upload_button.html"
    ordering = ("-id",)
    list_fullwidth = True

    @admin.display(description=gettext_lazy("state"))
    def condition(self, file: HostFile) -> str:
        """How it stands, in words."""
        return _condition(file)

    @admin.display(description=gettext_lazy("still open"))
    def left(self, file: HostFile) -> int:
        """How many nobody has worked through."""
        return _open(file)

    def get_urls(self) -> list[Any]:
        """Add the upload, the download and the page on which a difference is worked through."""
        view = self.admin_site.admin_view
        return [
            path("upload/", view(self.upload), name="hostfile_upload"),
            path("<int:file_id>/progress/", view(self.progress), name="hostfile_progress"),
            path("<int:file_id>/export/", view(self.export), name="hostfile_export"),
            path("difference/<int:difference_id>/", view(self.work), name="difference_work"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> TemplateResponse:
        """Offer the upload to whom it is allowed."""
        shown: Any = {"may_reconcile": request.user.has_perm(_RECONCILE)}
        return super().changelist_view(request, shown)

    def upload(self, request: HttpRequest) -> HttpResponse:
        """Ask for a file, and have it compared."""
        _allow(request)
        form = UploadForm(request.POST or None, request.FILES or None, initial={"day": latest_day()})
        wrongs: list[dict[str, Any]] = []
        if request.method == "POST" and form.is_valid():
            given = form.cleaned_data
            try:
                file = reconciliation.begin(given["file"], given["day"], given["link"], actor_of(request))
            except WrongFile as wrong:
                wrongs = [_said(one) for one in wrong.wrongs]
            else:
                return redirect("admin:transactions_hostfile_change", file.pk)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Compare with the bank"),
            "form": form,
            "wrongs": wrongs,
            "most_lines": f"{MOST_LINES:,}",
            "most_mb": MOST_BYTES // 2**20,
            "back": reverse("admin:transactions_hostfile_changelist"),
        }
        return TemplateResponse(request, "admin/transactions/hostfile/upload.html", context)

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what differs: what is open first unless all is asked for."""
        file = self._file(request, object_id)
        wants_all = request.GET.get("show") == "all"
        found = Difference.objects.filter(file=file).order_by("id")
        page = Paginator(found if wants_all else found.filter(worked_at=None), _PAGE).get_page(request.GET.get("page"))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Reconciliation of %(day)s") % {"day": file.business_date},
            "file": file,
            "left": _open(file),
            "wants_all": wants_all,
            "page": page,
            "lines": [_shown(one) for one in page],
            "may_reconcile": request.user.has_perm(_RECONCILE),
            "failed": _failure(file),
            **_progress(file),
        }
        return TemplateResponse(request, "admin/transactions/hostfile/file.html", context)

    def progress(self, request: HttpRequest, file_id: int) -> HttpResponse:
        """Answer how far it is, as it is shown."""
        shown = _progress(self._file(request, str(file_id)))
        html = render_to_string("admin/transactions/hostfile/progress.html", shown, request)
        answer = JsonResponse({"html": html, "is_over": shown["is_over"]})
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def work(self, request: HttpRequest, difference_id: int) -> HttpResponse:
        """Show a difference, and mark it as worked through with a reason."""
        _allow(request)
        found = get_object_or_404(Difference.objects.select_related("file"), pk=difference_id)
        form = ReasonForm(request.POST or None)
        back = reverse("admin:transactions_hostfile_change", args=[found.file_id])
        if request.method == "POST" and form.is_valid():
            if reconciliation.work_through(found, form.cleaned_data["reason"], actor_of(request)):
                messages.success(request, _("Worked through. Nothing was changed at the payment."))
            else:
                messages.error(request, _("Somebody had already worked through it: their reason stands."))
            return redirect(back)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": _("Work through a difference"),
            "line": _shown(found),
            "form": form,
            "back": back,
        }
        return TemplateResponse(request, "admin/transactions/hostfile/work.html", context)

    def export(self, request: HttpRequest, file_id: int) -> HttpResponseBase:
        """Send every difference, open or not."""
        file = self._file(request, str(file_id))
        record("export_differences", actor_of(request), subject=subject_of(file), detail={"lines": file.differing})
        return download(f"differences-{file.business_date:%Y%m%d}-{file.pk}.csv", _FILE_HEAD, _rows(file))

    def _file(self, request: HttpRequest, file_id: str) -> HostFile:
        file: HostFile | None = self.get_object(request, file_id)
        if file is None:
            raise Http404
        if not self.has_view_permission(request, file):
            raise PermissionDenied
        return file


def _allow(request: HttpRequest) -> None:
    if not request.user.has_perm(_RECONCILE):
        raise PermissionDenied


def _failure(file: HostFile) -> str:
    """Why nothing came of it, and what to do; empty where something did."""
    if file.failed == HostFile.Failed.BROKEN:
        return _("Something broke, and nothing was kept; no money moved. Bring the file once more, or ask an operator.")
    said = _("More than %(most)s differences: this is most likely the file of another date or link. Nothing was kept.")
    return said % {"most": f"{MOST_DIFFERENCES:,}"} if file.failed else ""


def _condition(file: HostFile) -> str:
    if file.failed:
        return _("not compared")
    return _("ended") if file.ended_at else _("at work")


def _progress(file: HostFile) -> dict[str, Any]:
    size = max(file.ours or 0, file.compared)
    return {
        "is_over": file.ended_at is not None,
        "condition": _condition(file),
        "finished": f"{file.compared:,}",
        "size": f"{size:,}",
        "percent": 100 * file.compared // size if size else 0,
        "agreeing": f"{file.agreeing:,}",
        "differing": f"{file.differing:,}",
    }


def _open(file: HostFile) -> int:
    return Difference.objects.filter(file=file, worked_at=None).count()


def _said(wrong: Wrong) -> dict[str, Any]:
    return {"line": wrong.line or "–", "column": wrong.column or "–", "sentence": _WRONG[wrong.code]}


def _shown(one: Difference) -> dict[str, Any]:
    return {
        "difference": one,
        "ours": _side(one.our_state, one.our_operation, one.our_amount, one.our_currency),
        "theirs": _side(one.their_state, one.their_operation, one.their_amount, one.their_currency),
        "payment": one.payment_id and reverse("admin:transactions_payment_change", args=[one.payment_id]),
        "is_elsewhere": one.kind == Difference.Kind.THEIRS_ONLY and one.payment_id is not None,
    }


def _side(state: str, operation: str, amount: int | None, currency: str) -> dict[str, str] | None:
    if amount is None:
        return None
    money = words.money(amount, currency)
    return {"operation": words.spoken(operation), "money": money, "state": words.spoken(state)}


def _rows(file: HostFile) -> Iterator[list[Any]]:
    for one in Difference.objects.filter(file=file).order_by("id"):
        yield [
            *(one.kind, one.payment_id, one.line, one.rrn, one.stan),
            *(one.our_state, one.our_operation, _plain(one.our_amount, one.our_currency), one.our_currency),
            *(one.their_state, one.their_operation, _plain(one.their_amount, one.their_currency), one.their_currency),
            *(one.worked_by, one.worked_at, one.reason),
        ]


def _plain(amount: int | None, currency: str) -> Any:
    return "" if amount is None else plain(amount, currency)
