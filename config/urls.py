"""Where everything is found."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from django.views import defaults
from django.views.generic import RedirectView

from config import instead, terminal
from config.health import live, ready
from config.metrics import metrics
from config.openapi import DocsView, SchemaView
from staff.admin import passwords
from transactions.admin import desk, reports
from transactions.admin.analytic import pages
from transactions.api import problems

urlpatterns = [
    path("api/v1/", include("transactions.api.urls")),
    path("", RedirectView.as_view(url="/admin/")),
    path("favicon.ico", RedirectView.as_view(url="/static/ferryman/icon.svg")),
    path("admin/desk/", admin.site.admin_view(desk.figures), name="desk_figures"),
    path("admin/password/", passwords.choose, name="admin_password_reset"),
    *reports.urls(admin.site),
    *pages.urls(admin.site),
    path("admin/", admin.site.urls),
    path("terminal/", terminal.page, name="terminal"),
    path("terminal/key", terminal.key, name="terminal_key"),
    path("api/schema/", SchemaView.as_view(), name="schema"),
    path("api/docs/", DocsView.as_view(), name="docs"),
    path("i18n/", include("django.conf.urls.i18n")),
    path("health/live", live),
    path("health/ready", ready),
    path("metrics", metrics),
]


handler403 = instead.forbidden


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """An address that leads nowhere, as a problem for machines and a page for people."""
    if request.path.startswith("/api/"):
        detail = "See /api/docs/ for those there are."
        return problems.page(request, 404, "not-found", "There is no such address", detail)
    return instead.missing(request, exception)


def handler500(request: HttpRequest) -> HttpResponse:
    """A bug of ours."""
    if request.path.startswith("/api/"):
        detail = "This is our fault. Repeat a payment with the same Idempotency-Key: it is carried once."
        return problems.page(request, 500, "bug", "Something broke", detail)
    return defaults.server_error(request)


def handler400(request: HttpRequest, exception: Exception) -> HttpResponse:
    """A request that Django itself refuses."""
    if request.path.startswith("/api/"):
        detail = "The request cannot be understood. Nothing was accepted."
        return problems.page(request, 400, "bad-request", "The request is wrong", detail)
    return defaults.bad_request(request, exception)
