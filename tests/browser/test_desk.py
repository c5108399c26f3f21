"""The desk in a browser: it changes by itself, rests while nobody looks, and says when the server is silent."""

import re

from playwright.sync_api import expect

from tests.browser.console import Console
from tests.browser.house import House


def test_it_changes_by_itself_when_the_bank_is_gone_and_back(operator: Console, house: House) -> None:
    links = operator.page.get_by_role("region", name="Links")
    expect(links).to_contain_text("Up")

    house.silence_the_bank()
    try:
        expect(links).to_contain_text(re.compile(r"Down for .*0 payments wait"))
        expect(operator.page.locator('[data-part="attention"]')).to_contain_text("The link bank is down")
    finally:
        house.bring_the_bank_back()

    expect(links).to_contain_text("Up, last echo")


def test_payments_show_in_the_charts_figures(operator: Console, house: House) -> None:
    tiles = operator.page.locator('[data-part="tiles"]')

    house.pay(125_000, wait_s=20)

    expect(tiles).to_contain_text(re.compile(r"Approved, last hour\s*\d+\.\d%"))
    expect(tiles).to_contain_text(re.compile(r"\d+ / \d+ / \d+ ms"))


def test_every_process_is_shown_alive(operator: Console) -> None:
    processes = operator.page.locator("#processes")

    for kind in ("beat", "link-bank", "web", "worker"):
        expect(processes.get_by_role("row").filter(has_text=kind)).to_contain_text("alive")


def test_it_says_since_when_the_server_is_silent_and_recovers(operator: Console) -> None:
    operator.page.route("**/admin/desk/", lambda route: route.abort())
    trouble = operator.page.get_by_role("status")
    expect(trouble).to_contain_text("No answer from the server since")

    operator.page.unroute("**/admin/desk/")

    expect(trouble).not_to_contain_text("No answer")
    operator.problems = [problem for problem in operator.problems if "ERR_FAILED" not in problem]


def test_it_rests_while_nobody_looks(operator: Console) -> None:
    asked: list[str] = []
    operator.page.on("request", lambda request: asked.append(request.url) if "/desk/" in request.url else None)
    expect(operator.page.locator("#desk-at")).not_to_be_empty()
    hide = "hidden => { Object.defineProperty(document, 'hidden', {value: hidden, configurable: true}); "
    tell = "document.dispatchEvent(new Event('visibilitychange')); }"

    operator.page.evaluate(f"({hide}{tell})(true)")
    operator.page.wait_for_timeout(1000)  # an answer on its way comes in
    before = len(asked)
    operator.page.wait_for_timeout(4000)
    assert len(asked) == before

    with operator.page.expect_request("**/admin/desk/"):
        operator.page.evaluate(f"({hide}{tell})(false)")


def test_who_is_signed_out_meanwhile_is_told(operator: Console) -> None:
    operator.page.context.clear_cookies()

    expect(operator.page.get_by_role("link", name="Sign in again")).to_be_visible()
