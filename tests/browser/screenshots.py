"""`make screenshots`: every page of the console into docs/screens/, desktop and phone, light and dark."""

import sys
import tempfile
from pathlib import Path
from typing import Final

from PIL import Image
from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright

from tests.browser.console import DESKTOP, PHONE, Console, launch, window
from tests.browser.house import House, lived_in
from tests.browser.screens import OPEN, addresses, refuse, settle
from tests.browser.steps import PAYMENTS, act, page_of
from tests.receiver import Receiver, receiving
from tests.stack import BASE, services, wait_until

_FOLDER: Final = BASE / "docs" / "screens"
_SIZES: Final = {"desktop": DESKTOP, "phone": PHONE}
_SCHEMES: Final = ("light", "dark")
#: a page is shown to this height, in so many colours
_TALLEST: Final = 2400
_COLOURS: Final = 128
_SEEDED: Final = "60000"
_ROLLED_UP: Final = "SELECT max(minute) > now() - interval '2 minutes' AS is_up FROM transactions_minute"


def main() -> None:
    """Take them all."""
    with tempfile.TemporaryDirectory(prefix="ferryman-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o711)
        with services(folder / "services", durable=False) as (database, broker), sync_playwright() as playwright:
            browser = launch(playwright)
            with lived_in(folder / "house", database, broker) as house:
                house.manage("seed", "--payments", _SEEDED, "--beside-real")
                with receiving() as receiver:
                    _furnish(browser, house, receiver)
                    for size in _SIZES:
                        for scheme in _SCHEMES:
                            _take(browser, house, size, scheme)
            browser.close()
    _say(f"{sum(path.stat().st_size for path in _FOLDER.glob('*.png')) / 1e6:.1f} MB in {_FOLDER.relative_to(BASE)}")


def _furnish(browser: Browser, house: House, receiver: Receiver) -> None:
    """Let there be something on each page: payments cancelled, one held, one asked about, and others told of."""
    with house.client() as client:
        client.post("/webhook-endpoints", json={"url": receiver.url}).raise_for_status()
    house.manage("link", "bank", "pause", "--reason", "screenshots")
    for _ in range(3):
        house.pay(125_000, expires_in=3600, reference="sent-twice")
    with window(browser, house.url) as console:
        console.sign_in(house.logins["operator"])
        console.open(f"{PAYMENTS}?q=sent-twice")
        console.page.locator(".fm-many").get_by_role("link", name="Cancel payment").click()
        console.page.get_by_label("Why?").fill("the merchant sent them twice")
        console.page.get_by_role("button", name="Cancel payment").click()
        expect(console.page.locator("#job-progress")).to_contain_text("3 of 3")
    house.manage("link", "bank", "resume", "--reason", "screenshots")
    house.control("PUT", "/settings", {"reversals": "57"})
    held = house.pay(150_073, expires_in=600)  # answered with another amount, and so reversed
    house.becomes(held, "on_hold")
    house.control("PUT", "/settings", {"reversals": ""})
    with window(browser, house.url) as console:
        console.sign_in(house.logins["operator"])
        console.open(page_of(house.pay(990_000, wait_s=20)))
        act(console, "Refund payment", "the customer brought it back", "Ask a second person")
        expect(console.page.get_by_text("Nothing happens until somebody else agrees").first).to_be_visible()
    for amount in (84_000, 250_000):
        house.pay(amount, wait_s=20)
    wait_until(lambda: len(receiver.received) >= 6, 30, "all are told of")
    wait_until(lambda: house.sql(_ROLLED_UP)[0].is_up, 60, "the desk knows its last day")


def _take(browser: Browser, house: House, size: str, scheme: str) -> None:
    with window(browser, house.url, viewport=_SIZES[size], color_scheme=scheme) as console:
        for name, path in OPEN.items():
            console.open(path)
            _shoot(console, name, size, scheme)
        console.sign_in(house.logins["admin"])
        for name, path in addresses(house):
            console.open(path)
            _shoot(console, name, size, scheme)
        refuse(console, house.folder)
        _shoot(console, "reconcile-refused", size, scheme)
        _say(f"{size}, {scheme}")


def _shoot(console: Console, name: str, size: str, scheme: str) -> None:
    settle(console)
    target = _FOLDER / f"{name}-{size}-{scheme}.png"
    tall = min(_TALLEST, console.page.evaluate("() => document.documentElement.scrollHeight"))
    whole = ViewportSize(width=_SIZES[size]["width"], height=max(tall, _SIZES[size]["height"]))
    console.page.set_viewport_size(whole)
    console.page.screenshot(path=target)
    console.page.set_viewport_size(_SIZES[size])
    _shrink(target)


def _shrink(picture: Path) -> None:
    """Few colours are enough for a page of text, and a tenth of the bytes."""
    with Image.open(picture) as full:
        few = full.convert("RGB").quantize(_COLOURS, dither=Image.Dither.NONE)
    few.save(picture, optimize=True)


def _say(what: str) -> None:
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    _FOLDER.mkdir(parents=True, exist_ok=True)
    main()
