"""The queue, to look at. What is done to an entry is done on its payment's page."""

from typing import TYPE_CHECKING, Final
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext_lazy
from unfold.decorators import display

from queueing.models import Lane, QueueEntry
from staff.pages import ReadOnly

if TYPE_CHECKING:
    from django.db.models import QuerySet

#: a page of a higher package, named by its string as tasks are
PAYMENT_PAGE: Final = "admin:transactions_payment_change"

_COLOURS: Final = {
    "waiting": "warning",
    "blocked": "warning",
    "ready": "info",
    "dispatched": "info",
    "taken": "info",
    "answered": "success",
    "held": "danger",
}


@admin.register(QueueEntry)
class QueueEntryAdmin(ReadOnly):
    """What is still owed to the bank."""

    list_display = ("id", "condition", "kind", "payment", "link", "lane", "priority", "owed_since", "not_before")
    list_display_links = None
    list_filter = ("state", "kind", "link")
    search_fields = ("payment_id", "lane")
    search_help_text = gettext_lazy("Payment id or lane")
    ordering = ("id",)
    exclude = ("pin", "frame", "match_key")

    @display(description=gettext_lazy("state"), label=_COLOURS)  # type: ignore[arg-type]  # Django takes lazy text
    def condition(self, entry: QueueEntry) -> tuple[str, str]:
        """The state in its colour, with why it is held."""
        state = entry.get_state_display()
        return entry.state, f"{state}: {entry.held_reason}" if entry.held_reason else state

    @display(description=gettext_lazy("payment"))  # type: ignore[arg-type]  # Django takes lazy text
    def payment(self, entry: QueueEntry) -> str:
        """The payment's page."""
        address = reverse(PAYMENT_PAGE, args=[entry.payment_id])
        return format_html('<a class="whitespace-nowrap" href="{}">…{}</a>', address, str(entry.payment_id)[-12:])

    def get_search_results(
        self, request: HttpRequest, queryset: "QuerySet[QueueEntry]", search_term: str
    ) -> tuple["QuerySet[QueueEntry]", bool]:
        """A term is a payment's id, or a lane as its merchant names it."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            return queryset.filter(payment_id=UUID(term)), False
        except ValueError:
            return queryset.filter(lane__endswith=term), False


@admin.register(Lane)
class LaneAdmin(ReadOnly):
    """Lanes with something open."""

    list_display = ("lane", "open")
    list_display_links = None
    search_fields = ("lane",)
    ordering = ("-open",)
