"""What people do at the console, in the words of the stories."""

from typing import Any

from playwright.sync_api import Locator, expect

from tests.browser.console import Console
from tests.stack import wait_until

PAYMENTS = "/admin/transactions/payment/"


def find(console: Console, term: str) -> Locator:
    """Search as a person does, from the list and by the keyboard; return the rows found."""
    console.open(PAYMENTS)
    console.page.locator("#searchbar").fill(term)
    console.page.keyboard.press("Enter")
    return console.page.locator("#result_list tbody tr")


def page_of(payment: dict[str, Any], *door: str) -> str:
    """Return where a payment's story is, or the page of an action on it."""
    return "/".join((f"{PAYMENTS}{payment['id']}", *(door or ("change",)), ""))


def act(console: Console, link: str, reason: str, button: str = "") -> None:
    """Follow the link of an action, say why, and press its button, which is called as the link is unless told."""
    console.page.get_by_role("link", name=link, exact=True).click()
    expect(console.page.get_by_text("What will happen")).to_be_visible()
    assert console.stumbles() == []
    console.page.get_by_label("Why?").fill(reason)
    console.page.get_by_role("button", name=button or link, exact=True).click()


def agree(console: Console, about: str) -> None:
    """Open what waits for a second person from the desk, see whose wish and which reason it is, and agree."""
    console.open("/admin/staff/request/")
    row = console.page.locator("#result_list tbody tr").filter(has_text=about)
    row.get_by_role("link").first.click()
    expect(console.page.get_by_text(about)).to_be_visible()
    assert console.stumbles() == []
    console.page.get_by_role("button", name="Agree, and do it now").click()


def status(console: Console) -> Locator:
    """Return where a payment's page says how it stands."""
    return console.page.locator(".fm-head").first


def shows(console: Console, address: str, text: str) -> None:
    """Look at a page that does not change by itself until it shows a text."""

    def look() -> bool:
        console.open(address)
        return console.page.get_by_text(text).count() > 0

    wait_until(look, 30, f"{address} shows {text!r}")


def answer_to(console: Console, path: str) -> int:
    """Return the status with which an address, typed in by whoever is signed in, is answered."""
    return console.page.request.get(console.url + path, max_redirects=0).status
