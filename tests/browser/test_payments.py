"""Payments in a browser: found by what people hold in their hand, read, cancelled, and helped on."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser import steps
from tests.browser.conftest import SignIn
from tests.browser.console import Console
from tests.browser.house import House
from tests.browser.steps import act, answer_to, find, page_of


@pytest.mark.parametrize("role", ["viewer", "operator", "supervisor", "auditor"])
def test_a_payment_is_found_by_its_rrn_and_its_story_read(sign_in: SignIn, house: House, role: str) -> None:
    payment = house.pay(4_200_000, wait_s=20, reference=f"read-by-{role}")
    reader = sign_in(role)

    rows = find(reader, payment["rrn"])
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(f"read-by-{role}")
    rows.get_by_role("link").first.click()

    story = reader.page.locator(".fm-story")
    expect(story).to_contain_text("Accepted")
    expect(story).to_contain_text("Approved")
    story.locator("details").filter(has_text="To the bank: 0200").locator("summary").click()
    expect(story).to_contain_text("System Trace Audit Number")
    expect(story).to_contain_text("411111******1111")
    assert reader.stumbles() == []


def test_a_queued_one_is_cancelled_with_a_reason(operator: Console, house: House) -> None:
    house.silence_the_bank()
    try:
        payment = house.pay(125_000, expires_in=600, reference="never-sent")
        operator.open(page_of(payment))
        act(operator, "Cancel payment", "the customer left")

        expect(operator.page.get_by_text("No money moved").first).to_be_visible()
        expect(operator.page.locator(".fm-story")).to_contain_text("the customer left")
        expect(operator.page.locator(".fm-story")).to_contain_text("by operator")
    finally:
        house.bring_the_bank_back()

    assert house.read(payment)["status"] == "cancelled"
    assert house.written(payment, "0200") == []
    house.nothing_is_wrong()


def test_what_the_bank_refuses_to_reverse_is_held_and_goes_on_when_the_operator_says_so(
    operator: Console, house: House
) -> None:
    house.control("PUT", "/settings", {"reversals": "57"})
    try:
        payment = house.pay(150_073, expires_in=600)  # answered with another amount, and so reversed
        house.becomes(payment, "on_hold")
    finally:
        house.control("PUT", "/settings", {"reversals": ""})
    operator.open("/admin/")
    expect(operator.page.locator('[data-part="attention"]')).to_contain_text("on hold")

    operator.open(page_of(payment))
    expect(steps.status(operator)).to_contain_text("on hold")
    act(operator, "Go on now", "the bank has mended its side")

    expect(operator.page.get_by_text("The payment goes on now.").first).to_be_visible()
    steps.shows(operator, page_of(payment), "Reversed")
    expect(operator.page.locator(".fm-story")).to_contain_text("the bank has mended its side")
    assert house.read(payment)["status"] == "reversed"
    assert [line["effect"].split()[0] for line in house.written(payment, "0421")] == ["undone"]
    house.nothing_is_wrong()


def test_who_only_looks_is_offered_no_action_and_refused_each(sign_in: SignIn, house: House) -> None:
    payment = house.pay(125_000, expires_in=600)
    doors = [page_of(payment, name) for name in ("retry", "cancel", "reverse", "resolve")]
    many = [f"{steps.PAYMENTS}bulk/{name}/" for name in ("retry", "cancel", "reverse")]
    assert 403 not in [answer_to(sign_in("operator"), door) for door in (*doors, *many)]

    for role in ("viewer", "auditor"):
        looker = sign_in(role)
        looker.open(page_of(payment))
        expect(looker.page.locator(".fm-actions a")).to_have_count(0)
        looker.open(steps.PAYMENTS)
        expect(looker.page.get_by_role("link", name="Cancel payment")).to_have_count(0)
        expect(looker.page.locator("select[name=action]")).to_have_count(0)
        assert {answer_to(looker, door) for door in (*doors, *many)} == {403}


def test_a_search_is_kept_under_a_name(operator: Console) -> None:
    operator.open("/admin/transactions/payment/?status__exact=declined")
    operator.page.get_by_label("Keep this search as").fill("Declined ones")
    operator.page.get_by_role("button", name="Keep").click()

    chip = operator.page.get_by_role("link", name="Declined ones", exact=True)
    expect(chip).to_have_attribute("aria-current", "page")
    operator.open("/admin/transactions/payment/")
    chip.click()
    expect(operator.page).to_have_url(re.compile("status__exact=declined"))

    operator.page.get_by_role("button", name="Forget the search Declined ones").click()
    expect(chip).to_have_count(0)
