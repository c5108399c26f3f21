"""Rules of the routing table, made and changed: one asks, another agrees. Which one fits is `routing`'s to say."""

from collections.abc import Sequence
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from processor import routing
from processor.models import Link
from processor.route_models import Route
from staff import requests
from staff.audit import Actor, Subject, subject_of
from staff.models import Request
from staff.requests import Kind, NotDone, NotPossible
from transactions.models import Merchant

MAKE: Final = "make_route"
CHANGE: Final = "change_route"
#: kind -> who may ask for it
ASK: Final = {MAKE: "processor.add_route", CHANGE: "processor.change_route"}
_APPROVE: Final = "processor.approve_link"
_FIELDS: Final = ("number", "merchant_id", "bin", "biller", "link_id", "fallback_id", "enabled")
_NAMES: Final = {
    "number": gettext_lazy("Number"),
    "merchant_id": gettext_lazy("Merchant"),
    "bin": gettext_lazy("BIN"),
    "biller": gettext_lazy("Biller"),
    "link_id": gettext_lazy("Link"),
    "fallback_id": gettext_lazy("Fallback"),
    "enabled": gettext_lazy("Enabled"),
}


def kinds() -> Sequence[Kind]:
    """Return the kinds of requests about routes."""
    meaning = gettext_lazy(
        "Payments that name no link go by the first rule that fits, within seconds. What was accepted before stays on "
        "the link that it has."
    )
    return (
        Kind(MAKE, gettext_lazy("New route"), meaning, ASK[MAKE], _APPROVE, _make, _facts),
        Kind(CHANGE, gettext_lazy("Change of a route"), meaning, ASK[CHANGE], _APPROVE, _change, _facts),
    )


def described(kind: str) -> tuple[Any, Any]:
    """Return what a kind of request is called, and what it would do."""
    found = next(one for one in kinds() if one.code == kind)
    return found.title, found.meaning


def ask(wanted: Route, by: Actor, reason: str) -> Request:
    """Ask a second person for a rule as it shall be, new or not; raises PermissionDenied or NotPossible."""
    if wanted.pk is None:
        return requests.ask(MAKE, Subject("route", str(wanted.number)), by, reason, {"after": _document(wanted)})
    before, after = _document(Route.objects.get(pk=wanted.pk)), _document(wanted)
    if before == after:
        raise NotPossible(_("The rule is just so already."))
    return requests.ask(CHANGE, subject_of(wanted), by, reason, {"before": before, "after": after})


def asked_about(route: Route) -> list[Request]:
    """Return what waits for a second person about a rule."""
    return list(requests.waiting(subject_of(route)))


def _document(route: Route) -> dict[str, Any]:
    return {field: getattr(route, field) for field in _FIELDS}


def _make(asked: Request) -> str:
    route = _kept(Route(**asked.parameters["after"]))
    return _("Route %(number)s is made.") % {"number": route.number}


def _change(asked: Request) -> str:
    route = Route.objects.select_for_update().get(pk=asked.subject)
    if _document(route) != asked.parameters["before"]:
        raise NotDone(_("The rule was changed meanwhile: look again."))
    for field, given in asked.parameters["after"].items():
        setattr(route, field, given)
    return _("Route %(number)s is changed.") % {"number": _kept(route).number}


def _kept(route: Route) -> Route:
    try:
        route.full_clean()
    except ValidationError as error:
        raise NotDone(" ".join(error.messages)) from None
    route.save()
    transaction.on_commit(routing.forget)
    return route


def _facts(asked: Request) -> list[tuple[str, Any]]:
    before, after = asked.parameters.get("before", {}), asked.parameters["after"]
    facts = []
    for field in _FIELDS:
        now = _spoken(field, after[field])
        is_other = field in before and before[field] != after[field]
        facts.append((str(_NAMES[field]), f"{_spoken(field, before[field])} → {now}" if is_other else now))
    return facts


def _spoken(field: str, given: Any) -> str:
    if field == "enabled":
        return _("on") if given else _("off")
    if given in (None, ""):
        return "–" if field == "fallback_id" else _("any")
    if field in ("link_id", "fallback_id"):
        return str(Link.objects.filter(pk=given).first() or given)
    if field == "merchant_id":
        return str(Merchant.objects.filter(pk=given).first() or given)
    return str(given)
