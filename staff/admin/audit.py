"""The audit, to search and to download; quick with millions of rows, for nothing is counted and all is by index."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.timezone import now
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from staff.audit import actor_of, record
from staff.models import Record
from staff.pages import Days, ReadOnly, subject_link
from staff.spreadsheet import download
from staff.words import action, code_of

_AT_ONCE: Final = 2000
_COLOURS: Final[dict[str, str]] = {
    Record.Result.DONE: "success",
    Record.Result.REFUSED: "danger",
    Record.Result.FAILED: "danger",
    Record.Result.ASKED: "info",
    Record.Result.APPROVED: "success",
    Record.Result.TURNED_DOWN: "warning",
    Record.Result.WITHDRAWN: "warning",
    Record.Result.EXPIRED: "warning",
}
_COLUMNS: Final = ("at", "who", "address", "agent", "action", "kind", "subject", "result", "why", "detail")


@admin.register(Record)
class RecordAdmin(ReadOnly):
    """Who did what."""

    list_display = ("at", "who", "what", "about", "outcome", "why", "address")
    list_display_links = ("at",)
    list_filter = ("result", ("at", Days))
    list_filter_submit = True
    list_fullwidth = True
    search_fields = ("who",)
    search_help_text = _(
        "A name, an address, an action such as sign in, or the id of what it was done to; each in full"
    )
    ordering = ("-at", "-id")
    list_before_template: Any = "admin/staff/record/download.html"
    fields = ("at", "who", "address", "agent", "what", "about", "outcome", "why", "detail")
    readonly_fields = ("what", "about", "outcome")

    @admin.display(description=_("what"))
    def what(self, row: Record) -> str:
        """The action in words."""
        return action(row.action)

    @admin.display(description=_("about"))
    def about(self, row: Record) -> str:
        """What it was done to, with its page where it has one."""
        return subject_link(row.kind, row.subject)

    @display(description=_("result"), label=_COLOURS)  # type: ignore[arg-type]
    def outcome(self, row: Record) -> tuple[str, str]:
        """The result in its colour."""
        return row.result, row.get_result_display()

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[Record]", search_term: str
    ) -> tuple["QuerySet[Record]", bool]:
        """A term is a name, an action, an address or a subject, whichever there is; one index is asked."""
        term = search_term.strip()
        if not term:
            return queryset, False
        for column, sought in (("who", term), ("action", code_of(term)), ("address", term)):
            if Record.objects.filter(**{column: sought}).exists():
                return queryset.filter(**{column: sought}), False
        return queryset.filter(subject=term), False

    def get_urls(self) -> list[Any]:
        """Add the download."""
        return [path("export/", self.admin_site.admin_view(self.send), name="staff_record_export"), *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> TemplateResponse:
        """Offer the download to whom it is allowed."""
        shown: Any = {"may_export": self.has_export_permission(request), "narrowed_to": request.GET.urlencode()}
        return super().changelist_view(request, shown)

    def has_export_permission(self, request: HttpRequest) -> bool:
        """True for those who may take the audit away."""
        return bool(request.user.has_perm("staff.export_record"))

    def send(self, request: HttpRequest) -> HttpResponseBase:
        """Send what the list is narrowed to, newest first, while it is read."""
        if not self.has_export_permission(request):
            raise PermissionDenied
        found = self.get_changelist_instance(request).get_queryset(request)
        record("export_audit", actor_of(request), detail={"narrowed_to": dict(request.GET.items())})
        return download(f"audit-{now():%Y%m%d-%H%M%S}.csv", _COLUMNS, _rows(found))


def _rows(found: "QuerySet[Record]") -> Iterator[tuple[Any, ...]]:
    """Read in pages of keys: no cursor stays open, whatever stands between us and the database."""
    last: tuple[datetime, int] | None = None
    while True:
        page = found.filter(Q(at__lt=last[0]) | Q(at=last[0], id__lt=last[1])) if last else found
        chunk = list(page.order_by("-at", "-id")[:_AT_ONCE])
        for row in chunk:
            told = (getattr(row, column) for column in _COLUMNS[:-1])
            yield (*told, json.dumps(row.detail, ensure_ascii=False, sort_keys=True))
        if len(chunk) < _AT_ONCE:
            return
        last = (chunk[-1].at, chunk[-1].id)
