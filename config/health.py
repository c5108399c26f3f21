"""Whether this process lives, and whether it can do its work: which part cannot, and why."""

from typing import Any

from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, JsonResponse

from processor import links
from queueing import broker
from queueing.database import rows


def live(_: HttpRequest) -> JsonResponse:
    """The process answers."""
    return JsonResponse({"status": "alive"})


def ready(_: HttpRequest) -> JsonResponse:
    """200 while payments can be accepted, which takes the database only; the rest is said, with the reason."""
    database = _database()
    checks = {"database": database, "broker": _broker(), **(_links() if database["ok"] else {})}
    all_well = all(check["ok"] for check in checks.values())
    status = "ready" if all_well else "degraded" if database["ok"] else "not ready"
    return JsonResponse({"status": status, "checks": checks}, status=200 if database["ok"] else 503)


def _database() -> dict[str, Any]:
    try:
        rows("SELECT 1 AS one")
    except (DatabaseError, InterfaceError):
        return {"ok": False, "why": "The database cannot be reached: nothing is accepted until it can."}
    return {"ok": True}


def _broker() -> dict[str, Any]:
    if broker.is_reachable():
        return {"ok": True}
    return {"ok": False, "why": "The broker cannot be reached: payments are accepted and wait for it."}


def _links() -> dict[str, Any]:
    checks: dict[str, Any] = {}
    for name in links.names():
        live_link = links.live(name)
        if live_link and live_link.up and not live_link.carries:
            why = "The bank stopped answering, so its breaker is open: payments wait or are refused until it answers."
            checks[f"link {name}"] = {"ok": False, "why": why}
        elif live_link and live_link.up:
            checks[f"link {name}"] = {"ok": True}
        else:
            cause = live_link.cause or live_link.state if live_link else "never held"
            checks[f"link {name}"] = {"ok": False, "why": f"The link is down ({cause}): payments wait or expire."}
    return checks
