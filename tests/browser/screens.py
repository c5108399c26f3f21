"""Every page of the console by name: for the screenshots, and for what everybody must be able to use."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from playwright.sync_api import expect

from tests.browser.console import Console
from tests.browser.house import House
from transactions.reports.host_lines import MOST_BYTES

#: name -> where it is; {…} are what `House.places` knows
PAGES: Final = {
    "desk": "/admin/",
    "payments": "/admin/transactions/payment/",
    "payment": "/admin/transactions/payment/{payment}/change/",
    "settlement": "/admin/reports/settlement/",
    "success": "/admin/reports/success/",
    "values": "/admin/reports/values/",
    "hours": "/admin/reports/hours/",
    "responses": "/admin/reports/responses/",
    "slowest": "/admin/reports/slowest/",
    "reconciliations": "/admin/transactions/hostfile/",
    "reconcile": "/admin/transactions/hostfile/upload/",
    "reconciliation": "/admin/transactions/hostfile/{file}/change/",
    "difference": "/admin/transactions/hostfile/difference/{difference}/",
    "queue": "/admin/queueing/queueentry/",
    "lanes": "/admin/queueing/lane/",
    "links": "/admin/processor/link/",
    "link": "/admin/processor/link/{link}/change/",
    "link-key": "/admin/processor/link/{link}/keys/TSK/",
    "routes": "/admin/processor/route/",
    "route-new": "/admin/processor/route/add/",
    "messages": "/admin/processor/message/",
    "message": "/admin/processor/message/{message}/change/",
    "message-raw": "/admin/processor/message/{message}/raw/",
    "merchants": "/admin/transactions/merchant/",
    "api-keys": "/admin/transactions/apikey/",
    "api-key-new": "/admin/transactions/apikey/add/",
    "api-key": "/admin/transactions/apikey/{key}/change/",
    "api-key-replace": "/admin/transactions/apikey/{key}/replace/",
    "staff": "/admin/auth/user/",
    "groups": "/admin/auth/group/",
    "audit": "/admin/staff/record/",
    "requests": "/admin/staff/request/",
    "jobs": "/admin/transactions/job/",
    "webhook-endpoints": "/admin/transactions/webhookendpoint/",
    "webhook-deliveries": "/admin/transactions/webhookdelivery/",
    "webhook-replays": "/admin/transactions/webhookreplay/",
    "terminal": "/terminal/",
}

#: what everybody sees who has not signed in
OPEN: Final = {"sign-in": "/admin/login/", "password": "/admin/password/"}


def addresses(house: House) -> Iterator[tuple[str, str]]:
    """Yield every page with its address."""
    places = house.places()
    for name, path in PAGES.items():
        yield name, path.format(**places)


def refuse(console: Console, folder: Path) -> None:
    """Send the bank's list as a file that is too large, and see it refused."""
    file = folder / "too-large.csv"
    with file.open("wb") as sparse:
        sparse.truncate(MOST_BYTES + 2**20)
    console.open(PAGES["reconcile"])
    console.page.locator("input[type=file]").set_input_files(file)
    console.page.locator(".fm-form button[type=submit]").click()
    expect(console.page.get_by_role("alert")).to_contain_text("too large")
    settle(console)
    refused = "413 (Payload Too Large)"
    console.problems[:] = [problem for problem in console.problems if refused not in problem]


def settle(console: Console) -> None:
    """Wait until the page has drawn itself."""
    console.page.wait_for_load_state("networkidle")
    console.page.evaluate("() => document.fonts.ready")
