"""The console as a member of staff sees it: a browser signed in, and what must never happen in it noted down."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, Request, ViewportSize, expect

from tests.stack import BASE

#: Debian's
CHROMIUM: Final = os.environ.get("CHROMIUM", "/usr/bin/chromium")
AXE: Final = BASE / "var" / "browser" / "node_modules" / "axe-core" / "axe.min.js"
#: a slow machine with two cores, one of them busy
PATIENCE_MS: Final = 30_000
DESKTOP: Final = ViewportSize(width=1280, height=900)
PHONE: Final = ViewportSize(width=390, height=844)
_WORST: Final = ("serious", "critical")

expect.set_options(timeout=PATIENCE_MS)


def launch(playwright: Playwright) -> Browser:
    """Start Chromium without anything that it would like to ask the world."""
    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-sync"]
    return playwright.chromium.launch(executable_path=CHROMIUM, args=quiet)


class Console:
    """One browser window on the console."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.problems: list[str] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.problems.append(f"page error: {error}"))
        page.on("request", self._asked)

    def sign_in(self, login: Mapping[str, str]) -> None:
        """Sign in as a person would."""
        self.open("/admin/login/")
        self.page.get_by_label("Username").fill(login["user"])
        self.page.get_by_label("Password").fill(login["password"])
        self.page.keyboard.press("Enter")
        expect(self.page).to_have_url(f"{self.url}/admin/")

    def open(self, path: str) -> None:
        """Go to a page."""
        answer = self.page.goto(self.url + path)
        assert answer, path
        assert answer.status == 200, f"{path} is {answer.status}"

    def stumbles(self) -> list[str]:
        """Return what people with disabilities would stumble over on the page shown, by axe-core."""
        self.page.evaluate(AXE.read_text())
        found: dict[str, Any] = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{rule['id']}: {node['html'][:160]} – {node['failureSummary'][:200]}"
            for rule in found["violations"]
            if rule["impact"] in _WORST
            for node in rule["nodes"]
        ]

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.problems.append(f"console {message.type}: {message.text}")

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and f"{parts.scheme}://{parts.netloc}" != self.url:
            self.problems.append(f"another host was asked: {request.url}")


@contextmanager
def window(browser: Browser, url: str, **look: Any) -> Iterator[Console]:
    """Open a window of its own; `look` is Playwright's, such as viewport and color_scheme."""
    given = {"viewport": DESKTOP, "timezone_id": "Asia/Jakarta", "locale": "en-GB", **look}
    context = browser.new_context(**given)
    try:
        yield Console(context.new_page(), url)
    finally:
        context.close()


def axe_is_there() -> Path:
    """Return where axe-core lies; fails with what brings it."""
    assert AXE.exists(), "axe-core is not there: run `make browser`, which fetches it by npm."
    return AXE
