"""A page of the back office as a person reads it: the forms on it, where it leads, what it says in green or red."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Final

_PAYMENT: Final = re.compile(r"/admin/transactions/payment/([0-9a-f-]{36})/change/")
_NUMBERED: Final = r"/admin/{}/(\d+)/change/"
#: how unfold shows what a page says after a form was sent, by its colour
_BOX: Final = "rounded-default"
_GREEN, _RED = "bg-green-100", "bg-red-100"


@dataclass(frozen=True, slots=True)
class Said:
    """One sentence at the top of a page."""

    is_good: bool
    sentence: str


@dataclass(slots=True)
class Page:
    """One page: its address, its text as it came, its forms as {field: value}, and what it says."""

    path: str
    status: int
    text: str
    forms: list[dict[str, str]] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)

    @classmethod
    def read(cls, path: str, status: int, text: str) -> "Page":
        """Read an answer."""
        page = cls(path, status, text)
        _Reader(page).feed(text)
        return page

    def form(self, *fields: str) -> dict[str, str] | None:
        """Return the last form that has these fields, as it is filled in; None where there is none."""
        return next((form for form in reversed(self.forms) if form.keys() >= {*fields}), None)

    def payments(self) -> Sequence[str]:
        """Return the ids of the payments that it names."""
        return sorted(set(_PAYMENT.findall(self.text)))

    def numbers(self, model: str) -> Sequence[str]:
        """Return the keys of the rows of a model, as "app/model", that it leads to."""
        return sorted(set(re.findall(_NUMBERED.format(model), self.text)))


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self._page = page
        self._form: dict[str, str] | None = None
        self._select = ""
        self._textarea = ""
        self._box: bool | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in what begins."""
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._form = {}
            self._page.forms.append(self._form)
        elif tag == "div" and _BOX in given.get("class", ""):
            self._box = next((colour == _GREEN for colour in (_GREEN, _RED) if colour in given["class"]), None)
        elif self._form is not None:
            self._take(self._form, tag, given, is_ticked=any(name in ("checked", "selected") for name, _ in attrs))

    def _take(self, form: dict[str, str], tag: str, given: dict[str, str], *, is_ticked: bool) -> None:
        name = given.get("name", "")
        if tag == "input" and name:
            kind = given.get("type")
            if kind in ("checkbox", "radio"):
                form |= {name: given.get("value", "on")} if is_ticked else {}
            elif kind != "submit":
                form[name] = given.get("value", "")
        elif tag == "textarea":
            self._textarea, form[name] = name, ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select and (is_ticked or self._select not in form):
            form[self._select] = given.get("value", "")

    def handle_data(self, data: str) -> None:
        """Take in text."""
        if self._box is not None and data.strip():
            self._page.said.append(Said(self._box, " ".join(data.split())))
            self._box = None
        if self._form is not None and self._textarea:
            # The first line break inside a textarea belongs to its tag.
            self._form[self._textarea] += data.removeprefix("\n") if not self._form[self._textarea] else data

    def handle_endtag(self, tag: str) -> None:
        """Take in what ends."""
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._textarea = ""
        elif tag == "div":
            self._box = None
