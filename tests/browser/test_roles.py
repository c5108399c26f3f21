"""Each role at the console: what it is offered opens, and nothing else does."""

import re

import httpx
import pytest
from playwright.sync_api import expect

from staff.roles import NAMES
from tests.browser.conftest import SignIn
from tests.browser.console import Console
from tests.browser.house import House
from tests.browser.screens import addresses, settle
from tests.browser.steps import act, agree, answer_to, page_of
from tests.stack import wait_until

_LOOK = {
    *("Desk", "Payments", "Queue", "Lanes", "Links", "Routes", "Messages"),
    *("Deliveries", "Endpoints", "Replays", "Settlement", "Reconciliation"),
    *("Success", "Values", "Peak hours", "Response codes", "Slowest"),
}
_GUARD = {"Desk", "Requests", "Links", "Merchants", "API keys", "Staff", "Groups", "Audit"}
_READ = {"Requests", "Jobs"}
_WORK = {*_READ, "Terminal"}
#: role -> what its menu holds
MENUS = {
    "viewer": _LOOK,
    "operator": _LOOK | _WORK,
    "supervisor": _LOOK | _WORK,
    "security officer": _GUARD,
    "auditor": _LOOK | _READ | _GUARD,
}


def menu(console: Console) -> dict[str, str]:
    """Return what the menu holds: name -> address."""
    links = console.page.locator("#nav-sidebar-apps a[href^='/']").all()
    return {link.inner_text().split("\n")[-1].strip(): link.get_attribute("href") or "" for link in links}


def read_with(house: House, key: str) -> int:
    """Return the status with which a key is answered that reads payments."""
    return httpx.get(f"{house.url}/api/v1/payments", headers={"Authorization": f"Bearer {key}"}).status_code


@pytest.mark.parametrize("role", sorted(NAMES))
def test_what_a_role_is_offered_opens_and_the_rest_is_refused(sign_in: SignIn, house: House, role: str) -> None:
    console = sign_in(role, afresh=True)
    settle(console)
    assert console.stumbles() == []
    offered = menu(console)
    assert offered.keys() == MENUS[role]

    every = menu(sign_in("admin"))
    assert offered.items() <= every.items()
    for path in sorted(offered.values()):
        console.open(path)
        expect(console.page.get_by_text("Show all", exact=True)).to_have_count(0)
    assert {answer_to(console, path) for path in set(every.values()) - set(offered.values())} <= {403}


def test_who_is_not_signed_in_sees_nothing(house: House) -> None:
    for _, path in addresses(house):
        answer = httpx.get(house.url + path)
        assert (answer.status_code, answer.headers["location"].split("?")[0]) == (302, "/admin/login/"), path


def test_two_people_make_a_key_and_revoke_it(sign_in: SignIn, house: House) -> None:
    officer, second = sign_in("security officer"), sign_in("admin")
    page = officer.page
    officer.open("/admin/transactions/apikey/add/")
    page.get_by_label("Name").fill("till 9")
    page.get_by_label("Merchant").select_option(label="Demo Merchant")
    page.get_by_label("Why?").fill("a ninth till")
    page.get_by_role("button", name="Ask a second person").click()
    expect(page.get_by_text("Nothing happens until somebody else agrees").first).to_be_visible()
    agree(second, "a ninth till")
    secret = second.page.locator(".fm-secret").inner_text()
    assert read_with(house, secret) == 200

    officer.open("/admin/transactions/apikey/")
    page.get_by_role("link", name=secret.split(".")[0]).click()
    act(officer, "Revoke", "till 9 was stolen", "Ask a second person")
    expect(page.get_by_text("Nothing happens until somebody else agrees").first).to_be_visible()
    assert read_with(house, secret) == 200
    agree(second, "till 9 was stolen")
    wait_until(lambda: read_with(house, secret) == 401, 10, "the revoked key opens nothing")
    assert answer_to(officer, page_of({"id": house.newest_payment()})) == 403


def test_an_auditor_reads_who_did_what_and_changes_nothing(sign_in: SignIn, house: House) -> None:
    auditor = sign_in("auditor")
    page = auditor.page
    auditor.open("/admin/staff/record/?q=sign_in")
    expect(page.locator("#result_list tbody tr").filter(has_text="auditor").first).to_be_visible()

    with page.expect_download() as downloading:
        page.get_by_role("link", name=re.compile("CSV")).click()
    rows = downloading.value.path().read_text("utf-8-sig").splitlines()
    assert rows[0].startswith("at,who,address")
    assert any(",auditor," in row and ",sign_in," in row for row in rows[1:])
    for path in (*menu(auditor).values(), page_of({"id": house.newest_payment()})):
        auditor.open(path)
        expect(page.get_by_role("button", name="Save", exact=True)).to_have_count(0)
        expect(page.get_by_role("link", name=re.compile("^Add "))).to_have_count(0)
