"""Every address of the back office and every action, for every role: what is forbidden is 403, and leaves a trace.

An address that this table does not know fails it: whoever adds a page says here who may see it.
"""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import URLResolver, get_resolver, reverse

from processor.models import Link
from processor.route_models import Route
from queueing import clock
from queueing.models import QueueEntry
from staff import requests
from staff.audit import Actor
from staff.models import Record, Request
from staff.roles import ROLES
from tests.integration.conftest import Hand, status_of
from transactions import actions, bulk
from transactions.models import ApiKey, Payment, WebhookEndpoint, WebhookReplay
from transactions.reconciliation_models import Difference, HostFile

VIEWER, OPERATOR, SUPERVISOR, SECURITY, AUDITOR = (role.name for role in ROLES)
EVERY: Final = {role.name for role in ROLES}
DESK: Final = {VIEWER, OPERATOR, SUPERVISOR, AUDITOR}
WORK: Final = {OPERATOR, SUPERVISOR}
GUARD: Final = {SECURITY, AUDITOR}
NOBODY: Final[set[str]] = set()

#: model -> who views it, and who adds and changes it; nobody deletes anything
MODELS: Final = {
    "axes_accessattempt": (GUARD, NOBODY),
    "axes_accessfailurelog": (GUARD, NOBODY),
    "axes_accesslog": (GUARD, NOBODY),
    "auth_group": (GUARD, NOBODY),
    "auth_user": (GUARD, {SECURITY}),
    "processor_link": (DESK | GUARD, NOBODY),
    "processor_message": (DESK, NOBODY),
    "processor_route": (DESK, WORK),
    "queueing_lane": (DESK, NOBODY),
    "queueing_queueentry": (DESK, NOBODY),
    "staff_record": (GUARD, NOBODY),
    "staff_request": (WORK | GUARD, NOBODY),
    "transactions_hostfile": (DESK, NOBODY),
    "transactions_job": (WORK | {AUDITOR}, NOBODY),
    "transactions_apikey": (GUARD, {SECURITY}),
    "transactions_merchant": (GUARD, {SECURITY}),
    "transactions_payment": (DESK, NOBODY),
    "transactions_webhookdelivery": (DESK, NOBODY),
    "transactions_webhookendpoint": (DESK, NOBODY),
    "transactions_webhookreplay": (DESK, WORK),
}
_REPORTED: Final = ("settlement", "success", "values", "hours", "responses", "slowest")
#: every report's page and its download
REPORTS: Final = [f"report_{name}{door}" for name in _REPORTED for door in ("", "_download")]
#: pages beside a model's own five -> who may open them
PAGES: Final = {
    "api_key_scopes": {SECURITY},
    "api_key_replace": {SECURITY},
    "api_key_revoke": {SECURITY},
    "auth_user_password_change": {SECURITY},
    "auth_user_roles": {SECURITY},
    "autocomplete": NOBODY,
    "desk_figures": DESK,
    "difference_work": WORK,
    "hostfile_export": DESK,
    "hostfile_progress": DESK,
    "hostfile_upload": WORK,
    "index": EVERY,
    "jsi18n": EVERY,
    "message_raw": {SUPERVISOR},
    "link_commands": DESK | GUARD,
    "link_configure": WORK,
    "link_key": {SECURITY},
    "link_tell": WORK,
    "link_version": DESK | GUARD,
    "password_change": EVERY,
    "password_change_done": EVERY,
    "payment_cancel": WORK,
    "payment_capture": WORK,
    "payment_refund": WORK,
    "payment_void": WORK,
    "payments_cancel": WORK,
    "payments_export": WORK | {AUDITOR},
    "payments_resolve": WORK,
    "payments_retry": WORK,
    "payments_reverse": WORK,
    "payments_void": WORK,
    "transactions_job_export": WORK | {AUDITOR},
    "transactions_job_progress": WORK | {AUDITOR},
    "payment_resolve": WORK,
    "payment_retry": WORK,
    "payment_reverse": WORK,
    **dict.fromkeys(REPORTS, DESK),
    "report_settlement_told": DESK,
    "search": EVERY,
    "staff_record_export": GUARD,
    "webhook_disable": WORK,
    "webhook_enable": WORK,
    "webhook_resend": WORK,
}
#: found beside the admin's own
BESIDE: Final = {"desk_figures", "report_settlement_ask", "report_settlement_told", *REPORTS}
#: doors that only take forms; each has a test of its own here or beside its pages
FORMS: Final = {"payment_forget_search", "payment_keep_search", "report_settlement_ask", "staff_request_decide"}
#: what leads elsewhere, and shows nothing
AWAY: Final = {"app_list", "login", "logout", "view_on_site"}


def names(resolver: URLResolver | None = None) -> Iterator[str]:
    """Every name of the admin."""
    for pattern in (resolver or _admin()).url_patterns:
        if isinstance(pattern, URLResolver):
            yield from names(pattern)
        elif pattern.name:
            yield pattern.name


def _admin() -> URLResolver:
    found = (pattern for pattern in get_resolver().url_patterns if getattr(pattern, "namespace", "") == "admin")
    return next(found)  # type: ignore[return-value]


def of_models() -> dict[str, set[str]]:
    """What the table of models means for each of their pages, opened."""
    expected: dict[str, set[str]] = {}
    for model, (view, change) in MODELS.items():
        may = {"changelist": view | change, "change": view | change, "history": view | change, "add": change}
        expected |= {f"{model}_{page}": roles for page, roles in may.items()} | {f"{model}_delete": NOBODY}
    return expected


@pytest.fixture
def rows(hand: Hand) -> Iterator[dict[str, Any]]:
    """One of everything."""
    at = clock.now()
    WebhookEndpoint.objects.create(merchant=hand.merchant, url="https://x.test/", created_at=at, updated_at=at)
    WebhookReplay.objects.create(merchant=hand.merchant, actor="x", at=at, payments=0, deliveries=0)
    hand.accept(lane="a")
    hand.answer(hand.take()[0])
    payment = hand.accept(lane="a")
    ApiKey.objects.create_key(name="till", merchant=hand.merchant, scopes=["read"])
    User.objects.create_user("bob", is_staff=True)
    Group.objects.get_or_create(name="night")
    somewhere = {"ip_address": "192.0.2.1", "username": "x", "user_agent": "", "http_accept": "", "path_info": ""}
    AccessAttempt.objects.create(**somewhere, failures_since_start=1)
    AccessLog.objects.create(**somewhere)
    AccessFailureLog.objects.create(**somewhere)
    maker, subject = Actor("m", may=lambda _: True), actions.subject_of(payment.id)
    requests.ask("reverse_payment", subject, maker, "a letter")
    bulk.begin(actions.ACTIONS["reverse"], [payment.id], maker, "a letter")
    file = HostFile.objects.create(link="bank", business_date=at.date(), lines=1, agreeing=0, differing=1)
    Difference.objects.create(file=file, kind="ours_only", payment_id=payment.id)
    Record.objects.create(who="x", action="open_page", kind="page", subject="/", result="done")
    Route.objects.create(number=10, link=Link.objects.get())
    found = {model: apps.get_model(model.replace("_", ".", 1)).objects.order_by("pk").last() for model in MODELS}
    assert all(found.values()), found
    yield {**found, "auth_group": Group.objects.get(name="night"), "auth_user": User.objects.get(username="bob")}
    Group.objects.filter(name="night").delete()


def user_of(role: str) -> str:
    return role.split(maxsplit=1)[0]


def sign_in(role: str) -> Client:
    user = User.objects.create_user(user_of(role), is_staff=True)
    user.groups.set([Group.objects.get(name=role)])
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


#: pages about one row -> of which model
ABOUT: Final = {
    "api_key_scopes": "transactions_apikey",
    "api_key_replace": "transactions_apikey",
    "api_key_revoke": "transactions_apikey",
    "auth_user_password_change": "auth_user",
    "auth_user_roles": "auth_user",
    "hostfile_export": "transactions_hostfile",
    "hostfile_progress": "transactions_hostfile",
    "message_raw": "processor_message",
    "transactions_job_export": "transactions_job",
    "transactions_job_progress": "transactions_job",
}


def address(name: str, rows: dict[str, Any]) -> str:
    """Where a page of that name is, of one that exists."""
    if name in BESIDE:
        return reverse(name)
    if name.startswith("link_"):
        more: dict[str, list[object]] = {"link_key": ["TSK"], "link_tell": ["pause"], "link_version": [1]}
        return reverse(f"admin:{name}", args=[rows["processor_link"].pk, *more.get(name, [])])
    if name in ABOUT:
        return reverse(f"admin:{name}", args=[rows[ABOUT[name]].pk])
    if name == "difference_work":
        return reverse(f"admin:{name}", args=[Difference.objects.get().pk])
    if name.startswith("payment_"):
        return reverse(f"admin:{name}", args=[rows["transactions_payment"].pk])
    if name.startswith("webhook_"):
        model = "transactions_webhookdelivery" if name == "webhook_resend" else "transactions_webhookendpoint"
        return reverse(f"admin:{name}", args=[rows[model].pk])
    model, _, page = name.rpartition("_")
    with_key = model in MODELS and page in ("change", "delete", "history")
    return reverse(f"admin:{name}", args=[rows[model].pk] if with_key else [])


def was_refused(role: str, where: str) -> bool:
    refusals = Record.objects.filter(action="open_page", result="refused")
    return refusals.filter(who=user_of(role), subject=where).exists()


def test_the_table_knows_every_page() -> None:
    assert {*names(), *BESIDE} - FORMS - AWAY == {*PAGES, *of_models()}


@pytest.mark.parametrize("role", sorted(EVERY))
def test_opening(rows: dict[str, Any], role: str) -> None:
    client = sign_in(role)
    wrong = []

    for name, allowed in sorted({**PAGES, **of_models()}.items()):
        where = address(name, rows)
        status = client.get(where).status_code
        # an action that the state of this payment does not allow leads back to its page
        right = status in (200, 302) if role in allowed else status == 403 and was_refused(role, where)
        if not right:
            wrong.append((name, status))

    assert wrong == []


@pytest.mark.parametrize("role", sorted(EVERY))
def test_changing(rows: dict[str, Any], role: str) -> None:
    client = sign_in(role)
    wrong = []

    for model, (_, change) in MODELS.items():
        for page in ("add", "delete", *(["change"] if model not in OWN_PAGES else [])):
            where = address(f"{model}_{page}", rows)
            status = client.post(where, {"post": "yes"}).status_code
            is_allowed = role in change and page != "delete"
            if (status == 403) is is_allowed or (not is_allowed and not was_refused(role, where)):
                wrong.append((model, page, status))

    assert wrong == []
    assert [model for model, row in rows.items() if not type(row).objects.filter(pk=row.pk).exists()] == []


#: their page of one row only shows, whatever is sent to it
OWN_PAGES: Final = {
    "transactions_apikey",
    "transactions_hostfile",
    "processor_link",
    "processor_message",
    "staff_request",
    "transactions_payment",
    "transactions_webhookdelivery",
    "transactions_webhookendpoint",
    "transactions_webhookreplay",
    "transactions_job",
}


@pytest.mark.parametrize("role", sorted(EVERY))
@pytest.mark.parametrize("name", sorted(actions.ACTIONS))
def test_acting(unsettled: Payment, role: str, name: str) -> None:
    action, where = actions.ACTIONS[name], reverse(f"admin:payment_{name}", args=[unsettled.pk])

    given = {"reason": "a letter", "outcome": "approved", "amount": "1"}
    status = sign_in(role).post(where, given).status_code

    assert status == (302 if role in WORK else 403)
    assert was_refused(role, where) is (role not in WORK)
    assert status_of(unsettled) == "on_hold"
    # what follows a payment follows an approved one
    is_asked = action.needs_second and action.follows_as is None
    assert Request.objects.exists() is (role in WORK and is_asked)


@pytest.mark.parametrize("role", sorted(EVERY))
@pytest.mark.parametrize("is_own", [True, False], ids=["own", "another's"])
@pytest.mark.parametrize("decision", ["approve", "turn_down", "withdraw"])
def test_deciding(unsettled: Payment, role: str, decision: str, *, is_own: bool) -> None:
    maker = Actor(user_of(role) if is_own else "somebody", may=lambda _: True)
    asked = actions.ask(actions.ACTIONS["reverse"], unsettled, maker, "a letter", {})
    where = reverse("admin:staff_request_decide", args=[asked.pk])

    status = sign_in(role).post(where, {"decision": decision, "note": "seen"}).status_code

    asked.refresh_from_db()
    decides = role == SUPERVISOR and not is_own and decision != "withdraw"
    takes_back = is_own and decision == "withdraw" and role != VIEWER
    assert (asked.state != "open") is (decides or takes_back)
    assert (status_of(unsettled) == "reversing") is (decides and decision == "approve")
    is_forbidden = not decides and not takes_back
    assert (status == 403) is is_forbidden
    assert was_refused(role, where) is is_forbidden


def test_nobody_gets_anywhere_without_signing_in(rows: dict[str, Any]) -> None:
    stranger = Client()

    for name in {**PAGES, **of_models()}:
        response = stranger.get(address(name, rows))
        assert (response.status_code, response.url.split("?")[0]) == (302, reverse("admin:login")), name  # type: ignore[attr-defined]


def test_what_is_owed_is_left_as_it_was(rows: dict[str, Any]) -> None:
    before = list(QueueEntry.objects.values())

    for role in sorted(EVERY):
        client = sign_in(role)
        for name in {**PAGES, **of_models()}:
            client.get(address(name, rows))

    assert list(QueueEntry.objects.values()) == before
