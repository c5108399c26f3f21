"""A browser on a running Ferryman. No window may hear an error or ask another host, whatever the test was about."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.console import Console, axe_is_there, launch, window
from tests.browser.house import House, lived_in

SignIn = Callable[..., Console]


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """Everything running, with some payments; shared by the stories, which leave the link up."""
    folder = tmp_path_factory.mktemp("house")
    with lived_in(folder, os.environ["DATABASE_URL"], os.environ["BROKER_URL"]) as house:
        yield house


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    axe_is_there()
    with sync_playwright() as playwright:
        browser = launch(playwright)
        yield browser
        browser.close()


@pytest.fixture
def sign_in(browser: Browser, house: House) -> Iterator[SignIn]:
    """Open a window signed in with a role, or as "admin"; what it must not have done is checked in the end.

    Who has signed in once is remembered; `afresh` asks for the password again.
    """
    opened: list[Console] = []
    with ExitStack() as windows:

        def open_window(role: str, *, afresh: bool = False, **look: Any) -> Console:
            known = None if afresh else house.signed_in.get(role)
            console = windows.enter_context(window(browser, house.url, storage_state=known, **look))
            opened.append(console)
            if known:
                console.open("/admin/")
            else:
                console.sign_in(house.logins[role])
                house.signed_in[role] = console.page.context.storage_state()
            return console

        yield open_window
        assert [problem for console in opened for problem in console.problems] == []


@pytest.fixture
def operator(sign_in: SignIn) -> Console:
    """An operator at the console."""
    return sign_in("operator")
