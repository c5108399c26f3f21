"""An operator with a phone asks the bank for its totals, and reads what differs."""

from playwright.sync_api import expect

from tests.browser.conftest import SignIn
from tests.browser.console import PHONE
from tests.browser.house import House


def test_the_bank_is_asked_and_answers_on_the_same_page(sign_in: SignIn, house: House) -> None:
    house.pay(100_000, wait_s=20, currency="SGD")  # nobody else in this house pays in it
    console = sign_in("operator", viewport=PHONE)
    page = console.page
    console.open("/admin/reports/settlement/")
    page.get_by_label("Link").select_option("bank")
    page.get_by_role("button", name="Show").click()
    totals = page.get_by_role("region", name="Totals of the bank SGD")

    totals.get_by_role("button", name="Ask the bank").click()
    expect(totals.get_by_text("In balance: the bank counts as we do.")).to_be_visible()

    house.control("PUT", "/settings", {"totals_off_by": 125_000_000})
    try:
        totals.get_by_role("button", name="Ask again").click()
        expect(totals.get_by_text("The bank counts 1 debit more: SGD 1,250,000.00.")).to_be_visible()
    finally:
        house.control("PUT", "/settings", {"totals_off_by": 0})

    assert console.stumbles() == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= PHONE["width"]
