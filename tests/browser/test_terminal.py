"""The training terminal in a browser: from a card to a receipt, and what it says when no answer comes."""

import re
from collections.abc import Callable, Iterator
from functools import partial

import psycopg
import pytest
from playwright.sync_api import Request, Route, ViewportSize, expect
from psycopg import sql

from tests.browser.conftest import SignIn
from tests.browser.console import DESKTOP, PHONE, Console
from tests.browser.house import House

#: twelve digits that stand nowhere by chance
PIN = "904716382551"
PAYMENTS = "**/api/v1/payments"


@pytest.fixture
def terminal(operator: Console) -> Console:
    """An operator at the terminal."""
    operator.open("/terminal/")
    return operator


@pytest.fixture
def sent(terminal: Console) -> list[str]:
    """All that the page sends: addresses, headers, bodies."""
    noted: list[str] = []

    def note(request: Request) -> None:
        noted.append(f"{request.method} {request.url} {request.headers} {request.post_data or ''}")

    terminal.page.on("request", note)
    return noted


def withdraw(console: Console, amount: str, pin: str = "1234") -> None:
    """As a customer does, by the keyboard alone."""
    page = console.page
    page.get_by_role("button", name="IDR").focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Withdrawal").focus()
    page.keyboard.press("Enter")
    page.keyboard.type(amount)
    page.keyboard.press("Enter")
    page.keyboard.type(pin)
    page.keyboard.press("Enter")


def sees(console: Console, title: str, *lines: str) -> None:
    """The receipt has a title, and says things."""
    receipt = console.page.locator("#receipt")
    expect(receipt.get_by_role("heading")).to_have_text(title)
    for line in lines:
        expect(receipt).to_contain_text(line)


def posts(sent: list[str]) -> list[str]:
    """Payments among what was sent."""
    return [one for one in sent if one.startswith("POST") and "/api/v1/payments" in one]


def keys_of(sent: list[str]) -> set[str]:
    """Idempotency keys among what was sent."""
    return {found for one in sent for found in re.findall(r"'idempotency-key': '([^']+)'", one)}


def forgive(console: Console, *expected: str) -> None:
    """What a browser logs of an answer that we took from it is no fault of the page; everything else is."""
    console.problems[:] = [one for one in console.problems if not any(word in one for word in expected)]


def texts_of_the_database(house: House) -> Iterator[str]:
    """Every row of every table as text."""
    with psycopg.connect(house.database_url, autocommit=True) as connection:
        tables = connection.execute("SELECT schemaname, tablename FROM pg_tables WHERE schemaname = 'public'")
        for schema, table in tables.fetchall():
            rows = connection.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(schema, table)))
            yield from (row[0] for row in rows)


def test_from_a_withdrawal_to_its_story(terminal: Console, sent: list[str], house: House) -> None:
    withdraw(terminal, "12500000", PIN)

    sees(terminal, "Approved", "Hand out the money.", "IDR 125,000.00", "411111******1111", "Authorisation code")
    terminal.page.get_by_role("link", name="The payment's story").click()
    expect(terminal.page.locator(".fm-story")).to_contain_text("Approved")
    assert house.newest_payment() in terminal.page.url


def test_a_clear_pin_is_nowhere(terminal: Console, sent: list[str], house: House) -> None:
    withdraw(terminal, "12500000", PIN)
    sees(terminal, "Approved")

    assert re.search('"pin_block":"[0-9A-F]{64}"', posts(sent)[0])
    left = terminal.page.evaluate("() => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    everywhere = [*sent, left, terminal.page.content(), *texts_of_the_database(house)]
    everywhere += [path.read_text(errors="replace") for path in house.folder.rglob("*.log")]
    assert [one[:200] for one in everywhere if PIN in one] == []


def test_a_pin_that_the_bank_refuses_shows_that_it_read_the_block(terminal: Console) -> None:
    withdraw(terminal, "12500000", "0000")

    sees(terminal, "Declined", "Wrong PIN", "Do not hand out money.", "55")


def test_a_lost_answer_is_asked_for_again_and_paid_once(terminal: Console, sent: list[str], house: House) -> None:
    lost: list[str] = []

    def lose_the_first(route: Route) -> None:
        if lost:
            route.continue_()
            return
        lost.append(str(route.fetch().json()["id"]))
        route.abort()

    terminal.page.route(PAYMENTS, lose_the_first)

    withdraw(terminal, "7700000")

    sees(terminal, "Approved", "Hand out the money.")
    sees(terminal, "Approved", *lost)
    assert len(posts(sent)) == 2
    assert len(keys_of(sent)) == 1
    key = keys_of(sent).pop()
    assert len(house.sql("SELECT 1 FROM transactions_payment WHERE idempotency_key = %s", key)) == 1
    forgive(terminal, "ERR_FAILED")


def test_no_answer_at_all_is_said_to_be_not_known(terminal: Console, sent: list[str]) -> None:
    terminal.page.clock.install()
    terminal.page.route(PAYMENTS, lambda route: route.abort())

    withdraw(terminal, "7700000")
    receipt = terminal.page.locator("#receipt")
    for _ in range(60):
        if receipt.is_visible():
            break
        terminal.page.clock.run_for(1000)
    sees(terminal, "Not known", "Do not hand out money.", "under the same key")
    terminal.page.get_by_role("button", name="New customer").click()
    expect(terminal.page.get_by_role("alert")).to_contain_text("Press again")

    terminal.page.unroute(PAYMENTS)
    terminal.page.get_by_role("button", name="Ask again").click()

    sees(terminal, "Approved", "Hand out the money.")
    assert len(keys_of(sent)) == 1
    forgive(terminal, "ERR_FAILED")


def test_a_service_that_takes_nothing_now_is_shown_as_such(terminal: Console, sent: list[str]) -> None:
    problem = {
        "type": "urn:ferryman:problem:link-unavailable",
        "title": "The link is down",
        "detail": "Nothing was sent.",
    }
    answer = {"status": 503, "headers": {"Retry-After": "2"}, "json": problem}
    terminal.page.route(PAYMENTS, lambda route: route.fulfill(**answer))

    withdraw(terminal, "7700000")

    sees(terminal, "Not now", "Do not hand out money.", "The link is down. Nothing was sent.", "asked again in")
    again = terminal.page.get_by_role("button", name="Ask again")
    expect(again).to_be_disabled()
    terminal.page.unroute(PAYMENTS)
    again.click()
    sees(terminal, "Approved")
    assert len(keys_of(sent)) == 1
    forgive(terminal, "503")


def test_a_payment_that_is_open_hands_out_nothing_until_it_has_ended(terminal: Console, house: House) -> None:
    house.control("PUT", "/settings", {"reversals": "silent"})
    try:
        withdraw(terminal, "7700071")
        sees(terminal, "Being taken back", "Do not hand out money.", "IDR 77,000.71")
        terminal.page.keyboard.press("Escape")
        sees(terminal, "Being taken back")
    finally:
        house.control("PUT", "/settings", {"reversals": ""})

    sees(terminal, "Taken back", "The account is as it was before.")


@pytest.mark.parametrize(
    ("operation", "line"),
    [("Balance", "JPY"), ("Transfer", "2000000001"), ("Bill payment", "530000000001")],
)
def test_the_other_operations(terminal: Console, operation: str, line: str) -> None:
    page = terminal.page
    page.get_by_role("button", name="JPY").click()
    page.get_by_role("button", name=operation).click()
    if operation == "Balance":
        for digit in "4711":
            page.get_by_role("button", name=digit, exact=True).click()
    else:
        page.keyboard.press("Enter")
        page.get_by_role("button", name="JPY 5,000").click()
        expect(page.locator("#amount")).to_have_text("JPY 5,000")
    page.get_by_role("button", name="Enter", exact=True).click()

    sees(terminal, "Approved", line)
    expect(page.locator("#receipt")).not_to_contain_text("Hand out")


def test_an_ending_is_chosen_by_its_button(terminal: Console) -> None:
    page = terminal.page
    page.get_by_role("button", name="USD").click()
    page.get_by_role("button", name="Withdrawal").click()
    page.get_by_role("button", name="USD 100.00").click()
    page.get_by_role("button", name="51", exact=True).click()
    expect(page.locator("#amount")).to_have_text("USD 100.51")
    page.keyboard.press("Enter")
    page.keyboard.type("1234")
    page.keyboard.press("Enter")

    sees(terminal, "Declined", "Insufficient funds", "No money moved.", "Do not hand out money.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nobody_stumbles_at_any_step(sign_in: SignIn, scheme: str, size: ViewportSize) -> None:
    console = sign_in("operator", viewport=size, color_scheme=scheme)
    console.open("/terminal/")
    page, stumbles = console.page, console.stumbles()
    keypad = page.get_by_role("group", name="Keypad").bounding_box()

    steps: list[Callable[[], None]] = [
        page.get_by_role("button", name="IDR").click,
        page.get_by_role("button", name="Withdrawal").click,
        partial(page.keyboard.type, "12500000"),
        partial(page.keyboard.press, "Enter"),
        partial(page.keyboard.type, "1234"),
    ]
    for step in steps:
        step()
        stumbles += console.stumbles()
        assert page.get_by_role("group", name="Keypad").bounding_box() == keypad
        assert page.evaluate("() => document.documentElement.scrollWidth") <= size["width"]
    page.keyboard.press("Enter")
    sees(console, "Approved")
    stumbles += console.stumbles()

    assert not stumbles, "\n".join(stumbles)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= size["width"]
