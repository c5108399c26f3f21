"""One member of staff and a browser's session: pages are opened and forms sent, and sent again until answered.

Owns what was pressed and what was said of it; what they set out to do is `errands`'.
"""

import random
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.faults.deeds import Deed
from tests.faults.pages import Page

LOGIN: Final = "/admin/login/"
_AGAIN_S: Final = 0.5
#: so often a person presses, or looks, before they turn to something else
_PATIENCE: Final = 12


class Silence(Exception):
    """Nothing came that a person could read: the connection broke, or the server could not answer."""


@dataclass
class Member:
    """One of the staff: a login, a browser's session, dice, and what they did."""

    name: str
    password: str
    role: str
    url: str
    dice: random.Random
    deeds: list[Deed] = field(default_factory=list)
    #: answers that nobody should get, whatever is broken
    odd: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._browser = httpx.Client(base_url=self.url, timeout=15)
        self._sign_ins = self.begin("sign in", "sign_in")

    def begin(self, what: str, kind: str) -> Deed:
        """Have something in mind; its reason is told from every other."""
        deed = Deed(self.name, what, kind, f"{what}, by letter {len(self.deeds) + 1} of {self.name}")
        self.deeds.append(deed)
        return deed

    def look(self, path: str) -> Page:
        """Open a page, signing in where that is asked for; raises Silence."""
        for _ in range(_PATIENCE):
            with suppress(Silence):
                page = self._read("GET", path, follow_redirects=True)
                if not page.path.startswith(LOGIN):
                    return page
                self._sign_in(page)
            time.sleep(_AGAIN_S)
        raise Silence

    def press(self, deed: Deed, path: str, given: Mapping[str, str], *, to: str = "") -> Page | None:
        """Fill in the form of a page and send it, again and again until it is answered; returns what came of it.

        `to` is where the form goes, unless to its own page. None where there is no form, or never an answer.
        """
        reason = "note" if deed.kind == "decide" else "reason"
        for _ in range(_PATIENCE):
            form = self.look(path).form("csrfmiddlewaretoken", reason)
            if form is None:
                deed.refused += 1
                return None
            with suppress(Silence):
                page = self._send(deed, to or path, {**form, reason: deed.reason, **given})
                if page is not None:
                    return page
            time.sleep(_AGAIN_S)
        return None

    def download(self, deed: Deed, path: str) -> None:
        """Fetch a file."""
        for _ in range(_PATIENCE):
            try:
                page = self._read("GET", path)
            except Silence:
                deed.lost += 1
            else:
                if page.status == 200:
                    deed.done += 1
                    return
                self.look("/admin/")
            time.sleep(_AGAIN_S)

    def _send(self, deed: Deed, path: str, fields: Mapping[str, str]) -> Page | None:
        """Send a form, and once more what was shown to be looked at first; None when one is signed out."""
        try:
            page = self._read("POST", path, data=fields)
        except Silence:
            deed.lost += 1
            raise
        if page.path.startswith(LOGIN):
            return None
        for mark in ("looked_at", "seen"):
            again = page.form(mark) if page.status == 200 else None
            if again and again[mark] and again[mark] != fields.get(mark):
                return self._send(deed, path, again)
        if page.status == 200:
            self.odd.append(f"{self.name} sent a form to {path} that was not taken: {sorted(fields)}")
        if page.status == 302:
            try:
                page = self.look(page.path)
            except Silence:
                deed.lost += 1
                raise
        deed.hear(page)
        return page

    def _sign_in(self, page: Page) -> None:
        form = page.form("username", "password")
        if form is None:
            self.odd.append(f"{self.name} was shown a sign-in page without a form, {page.status}")
            raise Silence
        given = {**form, "username": self.name, "password": self.password}
        try:
            after = self._read("POST", LOGIN, data=given)
        except Silence:
            self._sign_ins.lost += 1
            raise
        if after.status == 302:
            self._sign_ins.done += 1
        else:
            self.odd.append(f"{self.name} could not sign in: {after.status} {after.said}")

    def _read(self, method: str, path: str, **details: Any) -> Page:
        """Return an answer; a redirect that is not followed is a page of where it leads."""
        try:
            answer = self._browser.request(method, path, **details)
        except httpx.TransportError as error:
            raise Silence from error
        if answer.status_code >= 500:
            raise Silence
        if answer.status_code not in (200, 302, 403):
            self.odd.append(f"{self.name} was answered {answer.status_code} to {method} {path}")
        where = answer.headers.get("location") or str(answer.url.raw_path, "ascii")
        return Page.read(where, answer.status_code, answer.text)
