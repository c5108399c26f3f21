"""Many payments at once: what would happen to them, why, and then how far the job is. Decides nothing: `bulk` does."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from staff.audit import actor_of, record
from staff.pages import ReadOnly, ReasonForm
from staff.spreadsheet import download
from transactions import actions, bulk
from transactions.actions import Action
from transactions.admin import words
from transactions.admin.acting import Acting, ResolveForm
from transactions.admin.objections import say
from transactions.admin.reports import plain
from transactions.bulk import BULK, MOST
from transactions.job_models import Job, JobItem
from transactions.models import Merchant, Payment

EXPORT: Final = "transactions.export_payment"
_COLUMNS: Final = (
    "id created_at ended_at status reason operation amount currency masked_pan reference merchant_id link lane rrn "
    "host_rrn response_code authorisation_code terminal_id card_acceptor_id"
).split()
_HEAD: Final = ["merchant" if column == "merchant_id" else column for column in _COLUMNS]
#: so many of those that could not be done are named on the job's page; its download has all
_NAMED: Final = 100


class BulkForm(ReasonForm):
    """Why, and for which payments: their ids with commas, one field however many they are."""

    ids = forms.CharField(widget=forms.HiddenInput)
    form = forms.UUIDField(required=False, widget=forms.HiddenInput)

    def clean_ids(self) -> list[UUID]:
        """Return the ids; what is no list of them is refused."""
        try:
            ids = [UUID(part) for part in self.cleaned_data["ids"].split(",")]
        except ValueError:
            raise forms.ValidationError(_("These are no payments. Nothing was begun.")) from None
        if len(ids) > MOST:
            raise forms.ValidationError(
                _("These are %(n)s payments, and at most %(most)s are done at once. Nothing was begun.")
                % {"n": f"{len(ids):,}", "most": f"{MOST:,}"}
            )
        return ids


class BulkResolveForm(BulkForm, ResolveForm):
    """What became of all of them at the bank, and how one knows."""


def _form(action: Action) -> type[BulkForm]:
    return BulkResolveForm if action.name == "resolve" else BulkForm


def _of_selected(name: str) -> Callable[..., HttpResponse]:
    """Return the list's action for what is ticked."""

    @admin.action(description=BULK[name].title, permissions=[name])
    def act(page: "BulkActing", request: HttpRequest, queryset: Any) -> HttpResponse:
        return page.confirm(request, BULK[name], list(queryset.order_by("-id")[:MOST]))

    act.__name__ = f"{name}_selected"
    return act


class BulkActing(Acting):
    """The list's actions, on what is ticked and on all that it is narrowed to."""

    actions: Any = tuple(map(_of_selected, BULK))

    def has_retry_permission(self, request: HttpRequest) -> bool:
        """True for those who may let payments go on."""
        return actor_of(request).may(BULK["retry"].permission)

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """True for those who may cancel."""
        return actor_of(request).may(BULK["cancel"].permission)

    def has_reverse_permission(self, request: HttpRequest) -> bool:
        """True for those who may ask for reversals."""
        return actor_of(request).may(BULK["reverse"].permission)

    def has_resolve_permission(self, request: HttpRequest) -> bool:
        """True for those who may ask for resolutions."""
        return actor_of(request).may(BULK["resolve"].permission)

    def has_void_permission(self, request: HttpRequest) -> bool:
        """True for those who may ask for voids."""
        return actor_of(request).may(BULK["void"].permission)

    def get_urls(self) -> list[Any]:
        """Add the pages of the actions on many, and the download."""
        view = self.admin_site.admin_view
        many = [path(f"bulk/{name}/", view(self.act_on_many), {"name": name}, name=f"payments_{name}") for name in BULK]
        return [*many, path("export/", view(self.export), name="payments_export"), *super().get_urls()]

    def many(self, request: HttpRequest) -> list[dict[str, Any]]:
        """Return what this person may do with all that the list is narrowed to."""
        by, narrowed = actor_of(request), request.GET.urlencode()
        offered = [(action.title, f"payments_{action.name}") for action in BULK.values() if by.may(action.permission)]
        if by.may(EXPORT):
            offered.append((gettext_lazy("Download CSV"), "payments_export"))
        return [{"title": title, "address": f"{reverse(f'admin:{name}')}?{narrowed}"} for title, name in offered]

    def act_on_many(self, request: HttpRequest, name: str) -> HttpResponse:
        """Say what would happen to all that the list is narrowed to; then begin the job."""
        action, by = BULK[name], actor_of(request)
        if not by.may(action.permission):
            raise PermissionDenied
        if request.method != "POST":
            return self.confirm(request, action, self._narrowed(request, is_open=action.follows_as is None))
        form = _form(action)(request.POST)
        is_complete = form.is_valid()
        if "ids" in form.errors:
            messages.error(request, " ".join(map(str, form.errors["ids"])))
            return redirect("admin:transactions_payment_changelist")
        given = form.cleaned_data
        if not is_complete:
            named = Payment.objects.filter(id__in=given["ids"]).order_by("-id")
            return self.confirm(request, action, list(named), form)
        parameters = {name: value for name, value in given.items() if name not in BulkForm.base_fields}
        job = bulk.begin(action, given["ids"], by, given["reason"], given["form"], parameters)
        return redirect("admin:transactions_job_change", job.pk)

    def confirm(
        self, request: HttpRequest, action: Action, payments: list[Payment], form: BulkForm | None = None
    ) -> HttpResponse:
        """Show what would happen, and ask why."""
        back = reverse("admin:transactions_payment_changelist")
        if not payments:
            messages.error(request, _("There is no payment in this list about which that can be done."))
            return redirect(f"{back}?{request.GET.urlencode()}")
        objections = actions.objections(action, payments)
        possible = [payment for payment in payments if not objections[payment.id]]
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": action.title,
            "action": action,
            "size": len(payments),
            "possible": len(possible),
            "in_all": _sums(possible),
            "objections": Counter(map(say, filter(None, objections.values()))).most_common(),
            "form": form or _form(action)(initial={"ids": ",".join(str(one.id) for one in payments), "form": uuid4()}),
            "address": reverse(f"admin:payments_{action.name}"),
            "back": f"{back}?{request.GET.urlencode()}",
            "most": MOST if len(payments) == MOST else 0,
        }
        return TemplateResponse(request, "admin/transactions/payment/bulk.html", context)

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """Send the newest of what the list is narrowed to."""
        by = actor_of(request)
        if not by.may(EXPORT):
            raise PermissionDenied
        found = self._narrowed(request, is_open=False)
        detail = {"payments": len(found), "narrowed_to": dict(request.GET.items())}
        record("export_payments", by, detail=detail)
        return download(f"payments-{timezone.now():%Y%m%d-%H%M%S}.csv", _HEAD, _lines(found))

    def _narrowed(self, request: HttpRequest, *, is_open: bool) -> list[Payment]:
        """Return what the list of this address shows, its newest."""
        shown: Any = self.get_changelist_instance(request)
        found: list[Payment] = shown.narrowed_to(request, MOST, is_open=is_open)
        return found


def _lines(payments: Sequence[Payment]) -> Iterator[list[Any]]:
    merchants = dict(Merchant.objects.values_list("id", "name"))
    for payment in payments:
        row = {column: getattr(payment, column) for column in _COLUMNS}
        row |= {"merchant_id": merchants.get(payment.merchant_id), "amount": plain(payment.amount, payment.currency)}
        yield list(row.values())


def _sums(payments: Sequence[Payment]) -> str:
    amounts: Counter[str] = Counter()
    for payment in payments:
        amounts[payment.currency] += payment.amount
    return ", ".join(words.money(amount, currency) for currency, amount in sorted(amounts.items()))


@admin.register(Job)
class JobAdmin(ReadOnly):
    """What was done to many payments at once, and how far it is."""

    list_display = ("created_at", "what", "size", "maker", "checker", "reason", "condition")
    list_display_links = ("created_at", "what")
    ordering = ("-id",)
    list_fullwidth = True

    @admin.display(description=gettext_lazy("what"))
    def what(self, job: Job) -> str:
        """The action in words."""
        return str(BULK[job.action].title)

    @admin.display(description=gettext_lazy("state"))
    def condition(self, job: Job) -> str:
        """How it stands, in words."""
        return _condition(job)

    def get_urls(self) -> list[Any]:
        """Add what the page asks for while it is looked at, and the download."""
        view = self.admin_site.admin_view
        return [
            path("<int:job_id>/progress/", view(self.progress), name="transactions_job_progress"),
            path("<int:job_id>/export/", view(self.export), name="transactions_job_export"),
            *super().get_urls(),
        ]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one job, and keep showing how far it is."""
        job = self._job(request, object_id)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": BULK[job.action].title,
            "outcome": words.spoken(job.parameters["outcome"]) if job.parameters else "",
            **_progress(job),
        }
        return TemplateResponse(request, "admin/transactions/job/job.html", context)

    def progress(self, request: HttpRequest, job_id: int) -> HttpResponse:
        """Answer how far it is, as it is shown."""
        shown = _progress(self._job(request, job_id))
        html = render_to_string("admin/transactions/job/progress.html", shown, request)
        answer = JsonResponse({"html": html, "is_over": shown["is_over"]})
        answer.headers["Cache-Control"] = "no-store"
        return answer

    def export(self, request: HttpRequest, job_id: int) -> HttpResponseBase:
        """Send what came of each payment."""
        job = self._job(request, job_id)
        items = job.items.order_by("id").values_list("payment_id", "result", "outcome", "done_at")
        return download(f"job-{job.pk}.csv", ("payment", "result", "outcome", "done_at"), list(items))

    def _job(self, request: HttpRequest, job_id: Any) -> Job:
        job: Job | None = self.get_object(request, str(job_id))
        if job is None:
            raise Http404
        if not self.has_view_permission(request, job):
            raise PermissionDenied
        return job


def _condition(job: Job) -> str:
    if job.ended_at:
        return _("ended")
    if job.started_at:
        return _("at work")
    asked = bulk.request_of(job)
    return str(asked.get_state_display()) if asked else _("not begun")


def _progress(job: Job) -> dict[str, Any]:
    counts = bulk.progress(job)
    missed = job.items.exclude(result__in=["", JobItem.Result.DONE]).order_by("id")
    finished = job.size - counts[""]
    return {
        "job": job,
        "asked": bulk.request_of(job),
        "condition": _condition(job),
        "is_over": job.ended_at is not None,
        "size": job.size,
        "finished": finished,
        "percent": 100 * finished // job.size,
        "done": counts[JobItem.Result.DONE],
        "refused": counts[JobItem.Result.REFUSED],
        "failed": counts[JobItem.Result.FAILED],
        "missed": [(item.payment_id, say(item.outcome)) for item in missed[:_NAMED]],
    }
