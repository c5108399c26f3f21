"""By the keyboard alone: whatever can be pressed is reached, shows that it is, and does what it says."""

from typing import Any

import pytest

from tests.browser.conftest import SignIn
from tests.browser.console import Console
from tests.browser.house import House
from tests.browser.screens import PAGES, settle
from tests.browser.steps import page_of, shows

#: more than any page here has to press
MOST = 150
#: notes what can be pressed, and how each looks while the keyboard is elsewhere
NOTE = """() => {
  document.activeElement.blur();
  window.look = it => {
    const how = getComputedStyle(it);
    return [how.outlineStyle !== "none" && parseFloat(how.outlineWidth) > 0, how.boxShadow, how.borderColor,
      how.backgroundColor, how.textDecorationLine].join();
  };
  const every = document.querySelectorAll("a[href], button, input:not([type=hidden]), select, textarea, summary");
  window.unmet = new Map([...every]
    .filter(it => !it.disabled && it.tabIndex >= 0 && it.getClientRects().length
      && it.checkVisibility({visibilityProperty: true}))
    .map(it => [it, look(it)]));
  return unmet.size;
}"""
#: crosses off where the keyboard is, and returns it if nothing shows so
CROSS_OFF = """() => {
  const it = document.activeElement, before = unmet.get(it);
  unmet.delete(it);
  return before === look(it) ? it.outerHTML.slice(0, 160) : "";
}"""
LEFT = (
    "() => [...unmet.keys()].filter(it => it.isConnected && it.checkVisibility()).map(it => it.outerHTML.slice(0, 160))"
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", ["desk", "payments", "payment", "link", "settlement", "terminal"])
def test_every_page_is_walked_by_tab_and_says_where_one_is(
    sign_in: SignIn, house: House, name: str, scheme: str
) -> None:
    console = sign_in("supervisor", color_scheme=scheme)
    console.open(PAGES[name].format(**house.places()))
    settle(console)
    pressed = console.page.evaluate(NOTE)
    unseen = set()

    for _ in range(pressed + 20):
        console.page.keyboard.press("Tab")
        unseen.add(console.page.evaluate(CROSS_OFF))

    assert pressed > 5
    assert unseen - {""} == set()
    assert console.page.evaluate(LEFT) == []


def tab_to(console: Console, words: str) -> None:
    """Press Tab until the keyboard is on what says so."""
    for _ in range(MOST):
        console.page.keyboard.press("Tab")
        said: Any = console.page.evaluate("() => document.activeElement.innerText?.trim()")
        if said == words:
            return
    raise AssertionError(f"{words!r} is not reached by Tab")


def press(console: Console, words: str) -> None:
    """Go to what says so, press it, and wait for the page that it leads to."""
    tab_to(console, words)
    with console.page.expect_navigation():
        console.page.keyboard.press("Enter")


def test_two_people_void_a_payment_without_a_mouse(sign_in: SignIn, house: House) -> None:
    payment = house.pay(77_700, wait_s=20)
    maker, checker = sign_in("operator"), sign_in("supervisor")

    maker.open(page_of(payment))
    press(maker, "Void payment")
    maker.page.keyboard.type("the customer asked")
    press(maker, "Ask a second person")
    press(maker, "Look at the request")
    checker.page.goto(maker.page.url)
    press(checker, "Agree, and do it now")

    shows(checker, page_of(payment), "What followed")
    house.nothing_is_wrong()
