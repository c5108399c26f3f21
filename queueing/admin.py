"""The queue, to look at. What is done to an entry is done on its payment's page."""

from typing import Any, Final

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.paginator import InfinitePaginator

from queueing.models import Lane, QueueEntry

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


@admin.register(QueueEntry)
class QueueEntryAdmin(ReadOnly):
    """What is still owed to the bank."""

    list_display = ("id", "condition", "kind", "payment", "link", "lane", "priority", "owed_since", "not_before")
    list_display_links = None
    list_filter = ("state", "kind", "link")
    search_fields = ("payment_id", "lane")
    search_help_text = "Payment id or lane"
    ordering = ("id",)
    exclude = ("pin", "frame", "match_key")

    @display(description="state", label=_COLOURS)
    def condition(self, entry: QueueEntry) -> tuple[str, str]:
        """The state in its colour, with why it is held."""
        return entry.state, f"{entry.state}: {entry.held_reason}" if entry.held_reason else entry.state

    @display(description="payment")
    def payment(self, entry: QueueEntry) -> str:
        """The payment's page."""
        address = reverse(PAYMENT_PAGE, args=[entry.payment_id])
        return format_html('<a href="{}">…{}</a>', address, str(entry.payment_id)[-12:])


@admin.register(Lane)
class LaneAdmin(ReadOnly):
    """Lanes with something open."""

    list_display = ("lane", "open")
    list_display_links = None
    search_fields = ("lane",)
    ordering = ("-open",)
