"""Every page, for everybody: axe-core finds nothing serious, in light and dark, and nothing is wider than a phone."""

import pytest
from playwright.sync_api import ViewportSize, expect

from tests.browser.conftest import SignIn
from tests.browser.console import DESKTOP, PHONE, Console
from tests.browser.house import House
from tests.browser.screens import PAGES, addresses, settle


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_nobody_stumbles(sign_in: SignIn, house: House, scheme: str, size: ViewportSize) -> None:
    console = sign_in("admin", viewport=size, color_scheme=scheme)
    stumbles: list[str] = []

    for name, path in addresses(house):
        console.open(path)
        settle(console)
        stumbles += [f"{name}: {found}" for found in console.stumbles()]
        wide = console.page.evaluate("() => document.documentElement.scrollWidth")
        if wide > size["width"]:
            stumbles.append(f"{name} is {wide} wide")

    assert not stumbles, "\n".join(stumbles)


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
