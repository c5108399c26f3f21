"""The links' pages: how each is, what its worker is told, how it is configured. Decides nothing: `ordering` does."""

from typing import Any, Final

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import display

from processor import links, ordering, rekeying, versions
from processor.admin.forms import CommandForm, ConfigurationForm
from processor.admin.living import LIVE_PARTS, RECENT, live, number
from processor.admin.rekeying import Rekeying
from processor.admin.words import described, facts
from processor.checking import LinkRefused
from processor.commands import CommandRefused
from processor.link.console import MEANINGS, WORDS, Verb
from processor.models import Key, Link, Message
from processor.ordering import field_name, spoken, value
from processor.overview import overview
from processor.phrases import named, say
from processor.versions import Outdated
from queueing import queue
from queueing.models import EntryState
from staff import requests
from staff.audit import actor_of
from staff.models import Request
from staff.speech import unchanged

#: the buttons, in the order in which one needs them
_GROUPS: Final = (
    (Verb.PAUSE, Verb.RESUME, Verb.DRAIN),
    (Verb.ESTABLISH, Verb.SIGN_ON, Verb.SIGN_OFF, Verb.CLOSE),
    (Verb.ECHO, Verb.HEALTH_CHECK, Verb.SEND),
    (Verb.FAIL_OVER, Verb.RESET_BREAKER, Verb.RELOAD),
)


@admin.register(Link)
class LinkAdmin(Rekeying):
    """The ways to the banks."""

    list_display = ("called", "now", "hosts", "dialect", "framing", "window")
    list_display_links = ("called",)

    @display(description=gettext_lazy("name"), ordering="name")  # type: ignore[arg-type]  # Django takes lazy text
    def called(self, link: Link) -> str:
        """Its name."""
        return link.name

    @display(description=gettext_lazy("now"), label={"up": "success", "held": "warning", "down": "danger"})  # type: ignore[arg-type]  # Django takes lazy text
    def now(self, link: Link) -> tuple[str, str]:
        """Up as F4 says it, stopped by staff, or down."""
        standing = links.live(link.name)
        if standing and standing.wanted != "open":
            return "held", named(standing.wanted)
        if standing and standing.up:
            return ("up", say("up")) if standing.carries else ("down", say("breaker open"))
        return "down", say("down")

    @display(description=gettext_lazy("endpoints"))  # type: ignore[arg-type]  # Django takes lazy text
    def hosts(self, link: Link) -> str:
        """The hosts in their order."""
        return ", ".join(str(endpoint) for endpoint in link.endpoints.all())

    def get_urls(self) -> list[Any]:
        """Add the pages about one link."""
        view = self.admin_site.admin_view
        own = [
            path("<int:link_id>/tell/<slug:word>/", view(self.tell), name="link_tell"),
            path("<int:link_id>/commands/", view(self.commands), name="link_commands"),
            path("<int:link_id>/configure/", view(self.configure), name="link_configure"),
            path("<int:link_id>/versions/<int:version>/", view(self.version), name="link_version"),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one link: how it is, what its worker was told, how it is configured, what was last said on it."""
        link: Link | None = self.get_object(request, object_id)
        if link is None:
            raise Http404
        if not self.has_view_permission(request, link):
            raise PermissionDenied
        seen = overview(link.name)
        if seen is None:
            raise Http404
        by = actor_of(request)
        conversation = Message.objects.filter(link=link.name, payment_id=None).order_by("-id")[:RECENT]
        context = {
            **self._context(request, link, _("Link %(name)s") % {"name": link.name}),
            **live(link.name, number(request.GET.get("before", ""))),
            "groups": [[(spoken(verb), verb.value, say(MEANINGS[verb])) for verb in group] for group in _GROUPS],
            "may_tell": by.may(ordering.OPERATE),
            "may_configure": by.may(ordering.CONFIGURE),
            "rekeyed": [(kind.value, kind.label) for kind in Key.Type] if by.may(rekeying.ASK) else [],
            "asked": [_waiting(asked) for asked in ordering.asked_about(link)],
            "refused": seen.refused and {"at": seen.refused.at, "reason": say(seen.refused.reason)},
            "versions": [(kept, say(kept.who), _changes(kept.changed)) for kept in versions.kept(link.name, RECENT)],
            "facts": facts(link, seen),
            "depths": [
                (EntryState(row.state).label, row.entries) for row in queue.depths(100_000) if row.link == link.name
            ],
            "conversation": [(message, named(message.remark), *described(message)) for message in conversation],
            "keys": Key.objects.filter(link=link).order_by("type", "-version"),
        }
        return TemplateResponse(request, "admin/processor/link/state.html", context)

    def commands(self, request: HttpRequest, link_id: int) -> HttpResponse:
        """What changes while one looks at a link: how it is, and what its worker answered."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        now = live(self._found(request, link_id).name)
        parts = {name: render_to_string(f"admin/processor/link/{name}.html", now, request) for name in LIVE_PARTS}
        return JsonResponse({"sentence": now["sentence"], "is_up": now["is_up"], "parts": parts})

    def tell(self, request: HttpRequest, link_id: int, word: str) -> HttpResponse:
        """Say what will happen and ask why; then ask the worker, or a second person first."""
        by, link = actor_of(request), self._found(request, link_id)
        if not by.may(ordering.OPERATE):
            raise PermissionDenied
        config = links.read(link.name)
        if word not in WORDS or config is None:
            raise Http404
        verb = Verb(word)
        form = CommandForm(request.POST or None, verb, config)
        if request.method == "POST" and form.is_valid():
            try:
                asked = ordering.tell(link, verb, form.parameters, by, form.cleaned_data["reason"])
            except (CommandRefused, requests.NotPossible) as error:
                messages.error(request, unchanged(say(str(error))))
            else:
                messages.success(request, _said(asked))
            return redirect("admin:processor_link_change", link.pk)
        context = {
            **self._context(request, link, f"{spoken(verb)}: {link.name}"),
            **live(link.name),
            "form": form,
            "meaning": say(MEANINGS[verb]),
            "needs_second": ordering.needs_second(verb),
        }
        return TemplateResponse(request, "admin/processor/link/tell.html", context)

    def configure(self, request: HttpRequest, link_id: int) -> HttpResponse:
        """Fill in a configuration, look at what it changes, and ask a second person for it."""
        by, link = actor_of(request), self._found(request, link_id)
        if not by.may(ordering.CONFIGURE):
            raise PermissionDenied
        form = ConfigurationForm(request.POST or None, _start(request, link), link.name)
        changed: list[Any] | None = None
        if request.method == "POST" and form.is_valid():
            changed = versions.differences(versions.document(link), form.configuration)
            if changed and request.POST.get("looked_at") == form.mark:
                return self._propose(request, link, form)
        context = {
            **self._context(request, link, _("Configure %(name)s") % {"name": link.name}),
            "form": form,
            "changes": None if changed is None else _changes(changed),
            "kept": [
                ("version", request.POST.get("version", link.version)),
                *([("looked_at", form.mark)] if changed else []),
            ],
        }
        return TemplateResponse(request, "admin/processor/link/configure.html", context)

    def _propose(self, request: HttpRequest, link: Link, form: ConfigurationForm) -> HttpResponse:
        expected = request.POST.get("version", "")
        try:
            asked = ordering.propose(
                link,
                form.configuration,
                int(expected) if expected.isdigit() else 0,
                actor_of(request),
                form.cleaned_data["reason"],
            )
        except (LinkRefused, Outdated, requests.NotPossible) as error:
            messages.error(request, unchanged(say(str(error))))
        else:
            messages.success(request, _said(asked))
        return redirect("admin:processor_link_change", link.pk)

    def version(self, request: HttpRequest, link_id: int, version: int) -> HttpResponse:
        """Show a configuration as it was."""
        link = self._found(request, link_id)
        if not self.has_view_permission(request, link):
            raise PermissionDenied
        kept = versions.find(link.name, version)
        if kept is None:
            raise Http404
        title = _("%(name)s, version %(version)s") % {"name": link.name, "version": version}
        context = {
            **self._context(request, link, title),
            "kept": kept,
            "who": say(kept.who),
            "changes": _changes(kept.changed),
            "values": [(field_name(field), value(given)) for field, given in kept.configuration.items()],
            "may_configure": actor_of(request).may(ordering.CONFIGURE) and version != link.version,
        }
        return TemplateResponse(request, "admin/processor/link/version.html", context)

    def _found(self, request: HttpRequest, link_id: int) -> Link:
        if not self.has_view_permission(request):
            raise PermissionDenied
        link: Link | None = self.get_object(request, str(link_id))
        if link is None:
            raise Http404
        return link

    def _context(self, request: HttpRequest, link: Link, title: str) -> dict[str, Any]:
        page = reverse("admin:processor_link_change", args=[link.pk])
        return {**self.admin_site.each_context(request), "opts": self.opts, "title": title, "link": link, "page": page}


def _changes(changed: list[Any]) -> list[tuple[str, str, str]]:
    return [(field_name(field), value(before), value(after)) for field, before, after in changed]


def _waiting(asked: Request) -> dict[str, Any]:
    address = reverse("admin:staff_request_change", args=[asked.pk])
    verb = asked.parameters.get("verb")
    title = spoken(Verb(verb)) if verb else requests.kind_of(asked).title
    return {"title": title, "maker": asked.maker, "address": address}


def _start(request: HttpRequest, link: Link) -> versions.Document:
    """What the form begins with: the configuration as it is, or as it once was."""
    wanted = request.GET.get("version", "")
    kept = versions.find(link.name, int(wanted)) if wanted.isdigit() and len(wanted) < 9 else None
    return kept.configuration if kept else versions.document(link)


def _said(asked: Request | int) -> str:
    if isinstance(asked, int):
        return _("The link's worker was asked; its answer appears below.")
    return _("Asked for. Nothing happens until somebody else agrees.")
