"""Every page, for everybody: axe-core finds nothing serious, in light and dark, and nothing is wider than a phone."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, ViewportSize, expect

from tests.browser.conftest import SignIn
from tests.browser.console import DESKTOP, PHONE, Console, window
from tests.browser.house import House
from tests.browser.screens import OPEN, PAGES, addresses, refuse, settle

#: pages with tables that nobody should have to push sideways
TABLES = (
    *("desk", "payments", "payment", "link", "settlement", "reconciliation"),
    *("success", "values", "hours", "responses", "slowest"),
)
#: what web.dev calls good is 0.1; nothing of ours moves but by what scroll bars take
MOST_SHIFT = 0.02
#: sums, from before the page's first line on, how far what is shown moves without being asked
WATCH_SHIFTS = """
window.shifted = [];
new PerformanceObserver(list => {
  for (const one of list.getEntries()) if (!one.hadRecentInput)
    window.shifted.push([one.value, one.sources.map(it => (it.node?.outerHTML ?? "").slice(0, 100))]);
}).observe({type: "layout-shift", buffered: true});
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nobody_stumbles(sign_in: SignIn, house: House, scheme: str, size: ViewportSize) -> None:
    console = sign_in("admin", viewport=size, color_scheme=scheme)
    stumbles: list[str] = []

    for name, path in addresses(house):
        console.open(path)
        stumbles += look_at(console, name, size)

    assert not stumbles, "\n".join(stumbles)


def test_nothing_is_wider_than_a_phone_in_indonesian(sign_in: SignIn, house: House) -> None:
    console = sign_in("admin", viewport=PHONE)
    console.page.context.add_cookies([{"name": "django_language", "value": "id", "url": house.url}])
    wide = {}

    for name, path in addresses(house):
        console.open(path)
        settle(console)
        wide[name] = console.page.evaluate("() => document.documentElement.scrollWidth")

    expect(console.page.locator("html")).to_have_attribute("lang", "id")
    assert {name: width for name, width in wide.items() if width > PHONE["width"]} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nobody_stumbles_before_they_are_signed_in(
    browser: Browser, house: House, scheme: str, size: ViewportSize
) -> None:
    stumbles: list[str] = []

    with window(browser, house.url, viewport=size, color_scheme=scheme) as console:
        for name, path in OPEN.items():
            console.open(path)
            stumbles += look_at(console, name, size)

    assert stumbles + console.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nobody_stumbles_over_a_file_that_is_refused(
    sign_in: SignIn, scheme: str, size: ViewportSize, tmp_path: Path
) -> None:
    console = sign_in("admin", viewport=size, color_scheme=scheme)

    refuse(console, tmp_path)

    assert look_at(console, "refused", size) == []
    console.page.get_by_role("link", name="Choose another file").click()
    expect(console.page.locator("input[type=file]")).to_be_visible()


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", TABLES)
def test_no_figure_lies_beside_the_page(sign_in: SignIn, house: House, name: str, size: ViewportSize) -> None:
    console = sign_in("admin", viewport=size)
    console.open(PAGES[name].format(**house.places()))
    settle(console)

    tables = console.page.locator(".fm-scroll, .simplebar-content-wrapper:has(#result_list)").all()

    assert tables
    assert [it for it in tables if it.evaluate("it => it.scrollWidth > it.clientWidth")] == []


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nothing_shifts_while_loading(sign_in: SignIn, house: House, size: ViewportSize) -> None:
    console = sign_in("admin", viewport=size)
    console.page.context.add_init_script(WATCH_SHIFTS)
    moved = {}

    for name, path in addresses(house):
        console.open(path)
        settle(console)
        shifts = console.page.evaluate("() => window.shifted")
        if sum(by for by, _what in shifts) > MOST_SHIFT:
            moved[name] = shifts

    assert moved == {}


def look_at(console: Console, name: str, size: ViewportSize) -> list[str]:
    """Return what is wrong with the page shown, for whoever cannot see it well, or on a phone."""
    settle(console)
    stumbles = [f"{name}: {found}" for found in console.stumbles()]
    wide = console.page.evaluate("() => document.documentElement.scrollWidth")
    return [*stumbles, *([f"{name} is {wide} wide"] if wide > size["width"] else [])]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nobody_stumbles_over_what_is_shown_once(
    sign_in: SignIn, house: House, scheme: str, size: ViewportSize
) -> None:
    console = sign_in("supervisor", viewport=size, color_scheme=scheme)
    console.open(PAGES["message-raw"].format(**house.places()))

    console.page.get_by_label("Why?").fill("the bank asked about it")
    console.page.get_by_role("button", name="Show raw message").click()

    expect(console.page.get_by_role("heading", name="Bytes")).to_be_visible()
    assert console.stumbles() == []
    assert console.page.evaluate("() => document.documentElement.scrollWidth") <= size["width"]


def test_the_end_of_an_id_stays_in_its_line(operator: Console) -> None:
    operator.open(PAGES["payments"])

    for cell in operator.page.locator("#result_list .field-short_id, #result_list th a").all()[:5]:
        box, size = cell.bounding_box(), cell.evaluate("it => parseFloat(getComputedStyle(it).lineHeight)")
        assert box
        assert box["height"] < 2 * size + 20, cell.inner_text()
