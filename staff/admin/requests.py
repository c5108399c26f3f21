"""What waits for a second person: the list, oldest first, and the page on which it is decided."""

from typing import Any, Final

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from staff import requests
from staff.audit import Actor, actor_of
from staff.models import Request
from staff.pages import ReadOnly, subject_link
from staff.requests import Forbidden, NotPossible, State
from staff.speech import unchanged

_COLOURS: Final[dict[str, str]] = {
    State.OPEN: "info",
    State.DONE: "success",
    State.FAILED: "danger",
    State.TURNED_DOWN: "warning",
    State.WITHDRAWN: "warning",
    State.EXPIRED: "warning",
}
_ALL: Final = "all"


class NoteForm(forms.Form):
    """What the second person has to say."""

    note = forms.CharField(
        required=False,
        max_length=500,
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 3}),
        help_text=gettext_lazy("It is recorded with your name. Never write card numbers here."),
    )


class StateFilter(admin.SimpleListFilter):
    """Unless asked otherwise, what is still open."""

    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Every state, and all of them."""
        return [*((value, label) for value, label in State.choices if value != State.OPEN), (_ALL, gettext_lazy("all"))]

    def queryset(self, request: HttpRequest, queryset: "QuerySet[Request]") -> "QuerySet[Request]":
        """What waits, oldest first; what does not, newest first."""
        if self.value() is None:
            return queryset.filter(state=State.OPEN)
        return queryset if self.value() == _ALL else queryset.filter(state=self.value())

    def choices(self, changelist: Any) -> Any:
        """The first is what is still open."""
        first, *rest = super().choices(changelist)
        return [{**first, "display": State.OPEN.label}, *rest]


@admin.register(Request)
class RequestAdmin(ReadOnly):
    """Asked for, agreed to, done."""

    list_display = ("created_at", "what", "about", "maker", "reason", "condition", "expires_at", "checker")
    list_display_links = ("created_at", "what")
    list_filter = (StateFilter,)
    list_fullwidth = True

    def get_ordering(self, request: HttpRequest) -> tuple[str]:
        """What waits longest comes first."""
        return ("-id",) if request.GET.get(StateFilter.parameter_name) else ("id",)

    @admin.display(description=gettext_lazy("what"))
    def what(self, asked: Request) -> str:
        """The kind in words."""
        return str(requests.kind_of(asked).title)

    @admin.display(description=gettext_lazy("about"))
    def about(self, asked: Request) -> str:
        """What it is about, with its page."""
        return subject_link(asked.subject_kind, asked.subject)

    @display(description=gettext_lazy("state"), label=_COLOURS)  # type: ignore[arg-type]
    def condition(self, asked: Request) -> tuple[str, str]:
        """The state in its colour."""
        return asked.state, asked.get_state_display()

    def get_urls(self) -> list[Any]:
        """Add the door by which it is decided."""
        decide = self.admin_site.admin_view(self.decide)
        return [path("<int:request_id>/decide/", decide, name="staff_request_decide"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show what would happen, who asked and why."""
        asked: Request | None = self.get_object(request, object_id)
        if asked is None:
            raise Http404
        if not self.has_view_permission(request, asked):
            raise PermissionDenied
        return self._page(request, asked, NoteForm())

    def decide(self, request: HttpRequest, request_id: int) -> HttpResponse:
        """Agree, turn down or withdraw, as the button says."""
        asked: Request | None = self.get_object(request, str(request_id))
        if asked is None:
            raise Http404
        if not self.has_view_permission(request, asked):
            raise PermissionDenied
        if request.method != "POST":
            # who signed in again meanwhile is led here by the address of the form
            return redirect(reverse("admin:staff_request_change", args=[asked.pk]))
        form = NoteForm(request.POST)
        decision = request.POST.get("decision", "")
        if decision == "turn_down" and not request.POST.get("note", "").strip():
            form.add_error("note", _("Say why: the one who asked will read it."))
        if not form.is_valid():
            return self._page(request, asked, form)
        try:
            secret = _decided(request, decision, asked, actor_of(request), form.cleaned_data["note"])
        except Forbidden as error:
            messages.error(request, unchanged(error))
            return self._page(request, asked, form, status=403)
        except NotPossible as error:
            messages.error(request, str(error))
            secret = ""
        if secret:
            # No redirect: a secret is in this one answer, and in no session, cookie or cache.
            asked.refresh_from_db()
            return self._page(request, asked, form, secret)
        return redirect(reverse("admin:staff_request_change", args=[asked.pk]))

    def _page(
        self, request: HttpRequest, asked: Request, form: NoteForm, secret: str = "", status: int = 200
    ) -> HttpResponse:
        kind, viewer = requests.kind_of(asked), actor_of(request)
        objection = requests.objection(asked, viewer)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": kind.title,
            "asked": asked,
            "meaning": kind.meaning,
            "facts": kind.facts(asked),
            "subject": subject_link(asked.subject_kind, asked.subject),
            "colour": _COLOURS[asked.state],
            "is_open": asked.state == State.OPEN,
            "objection": objection,
            "may_withdraw": asked.state == State.OPEN and asked.maker == viewer.name,
            "may_be_told": not secret and requests.may_be_told(asked, viewer),
            "form": form,
            "secret": secret,
        }
        response = TemplateResponse(request, "admin/staff/request/decide.html", context, status=status)
        if secret:
            response["Cache-Control"] = "no-store"
        return response


def _decided(request: HttpRequest, decision: str, asked: Request, by: Actor, note: str) -> str:
    """Do what the button says, and say what came of it; returns what is told once."""
    if decision == "approve":
        ended = requests.approve(asked.pk, by, note)
        say = messages.success if ended.state == State.DONE else messages.error
        say(request, ended.outcome)
        return ended.secret
    if decision == "tell":
        return requests.tell(asked.pk, by)
    if decision == "turn_down":
        requests.turn_down(asked.pk, by, note)
        messages.success(request, _("Turned down. Nothing was changed."))
    elif decision == "withdraw":
        requests.withdraw(asked.pk, by, note)
        messages.success(request, _("Withdrawn. Nothing was changed."))
    else:
        raise PermissionDenied
    return ""
