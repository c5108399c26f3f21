"""The console speaks English and Indonesian, as the viewer's browser asks or as they choose; the API speaks English."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import translation

from processor.codec.dialects import DIALECTS
from processor.link.framing import FRAMINGS
from tests.builders import PAN
from tests.integration import test_permission_matrix as matrix
from tests.integration.conftest import Hand
from transactions.admin import words
from transactions.domain.values import REASONS, Operation, Status
from transactions.models import ApiKey

one_of_everything = matrix.rows
INDONESIAN = {"Accept-Language": "id-ID,id;q=0.9,en;q=0.5"}


@pytest.fixture(autouse=True)
def no_language_stays() -> Iterator[None]:
    """A request's language is that of its thread, and here of the tests after it."""
    yield
    translation.deactivate()


@pytest.fixture
def client(hand: Hand) -> Client:
    user = User.objects.create_user("sari", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_payment"))
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def page(client: Client, **headers: Any) -> str:
    return str(client.get(reverse("admin:index"), headers=headers.get("headers")).content.decode())


def test_a_browser_that_asks_for_indonesian_gets_it(client: Client) -> None:
    assert "Perlu perhatian" in page(client, headers=INDONESIAN)
    assert '<html lang="id"' in page(client, headers=INDONESIAN)
    assert "Needs attention" in page(client)


def test_what_the_viewer_chose_goes_before_what_the_browser_asks(client: Client) -> None:
    client.post("/i18n/setlang/", {"language": "en", "next": "/admin/"})
    assert "Needs attention" in page(client, headers=INDONESIAN)

    client.post("/i18n/setlang/", {"language": "id", "next": "/admin/"})
    assert "Perlu perhatian" in page(client)


def test_two_viewers_at_once_each_read_their_own(client: Client) -> None:
    english, indonesian = client.get("/admin/desk/"), client.get("/admin/desk/", headers=INDONESIAN)

    assert "Waiting" in english.json()["parts"]["links"]
    assert "Menunggu" in indonesian.json()["parts"]["links"]


def test_the_api_speaks_english_whatever_is_asked(hand: Hand) -> None:
    key = ApiKey.objects.create_key(name="test", merchant=hand.merchant, scopes=["pay"])[1]
    purchase = {"operation": "purchase", "amount": -1, "currency": "IDR", "card": {"pan": PAN}}
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": "k", **INDONESIAN}

    problem = Client().post("/api/v1/payments", purchase, content_type="application/json", headers=headers).json()

    assert "Nothing was accepted" in problem["detail"]


@pytest.mark.parametrize("sentence", [*REASONS.values()])
def test_every_reason_is_translated(sentence: str) -> None:
    with translation.override("id"):
        assert translation.gettext(sentence) != sentence


@pytest.mark.parametrize("word", [*Status, *Operation])
def test_every_status_and_operation_is_known_to_translators(word: str) -> None:
    assert word.replace("_", " ") in words._SPOKEN


class Texts(HTMLParser):
    """What of a page a person reads, one text after another."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._unread = 0
        self._is_icon = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unread += tag in ("script", "style", "template")
        self._is_icon = "material-symbols" in (dict(attrs).get("class") or "")

    def handle_endtag(self, tag: str) -> None:
        self._is_icon = False
        self._unread -= tag in ("script", "style", "template")

    def handle_data(self, text: str) -> None:
        if text.strip() and not self._unread and not self._is_icon:
            self.found.append(" ".join(text.split()))


def read(html: str) -> list[str]:
    reader = Texts()
    reader.feed(html)
    return reader.found


def english() -> set[str]:
    """Every name of a model, of a column, of a value of an enumeration, as long as Indonesian has another word."""
    with translation.override("id"):
        indonesian = [str(word).lower() for word, _ in _named()]
    with translation.override("en"):
        named = [{str(word).lower(), code.lower()} for word, code in _named()]
    return {word for words, own in zip(named, indonesian, strict=True) if own not in words for word in words} - {
        *indonesian,
        "",
    }


def _named() -> Iterator[tuple[Any, str]]:
    """A word, and the code it stands for, if any."""
    for model, page_of_it in admin.site._registry.items():
        yield from ((model._meta.verbose_name, ""), (model._meta.verbose_name_plural, ""))
        columns = {name for name in page_of_it.list_display if isinstance(name, str)}
        for field in model._meta.get_fields():
            if field.name in columns and model.__module__.split(".")[0] in OURS:
                yield getattr(field, "verbose_name", field.name), ""
            yield from ((name, str(value)) for value, name in getattr(field, "choices", None) or ())


OURS = {"transactions", "processor", "queueing", "staff"}
#: what stands for something else: an answer's code as ISO 8583 has it, and the name that a client gave its request
OTHERWISE = {
    ("processor_message_change", "approved"),
    ("queueing_queueentry_change", "request"),
    ("transactions_payment_change", "request"),
}
#: what is called the same in both languages
TERMS = {*DIALECTS, *FRAMINGS, "reversal", "transfer", "void", "capture"}


def test_no_page_names_a_model_or_a_state_in_english(one_of_everything: dict[str, Any]) -> None:
    client = Client(headers=INDONESIAN)
    client.force_login(
        User.objects.create_superuser("rani", "", "x"), backend="django.contrib.auth.backends.ModelBackend"
    )
    forbidden = english() - TERMS
    assert {"payments", "queue entry", "taken", "webhook deliveries", "given up", "jobs"} <= forbidden
    wrong: dict[str, set[str]] = {}

    for name in sorted({*matrix.PAGES, *matrix.of_models()}):
        response = client.get(matrix.address(name, one_of_everything))
        if response.status_code == 200 and response["Content-Type"].startswith("text/html"):
            for text in read(response.content.decode()):
                word = re.sub(r"^[\d.,:–…]+ |[:.]$", "", text).strip().lower()
                if word in forbidden and (name, word) not in OTHERWISE:
                    wrong.setdefault(text, set()).add(name)

    assert not wrong, "\n".join(f"{text}: {sorted(names)[:5]}" for text, names in sorted(wrong.items()))


def test_every_value_of_an_enumeration_has_an_indonesian_word() -> None:
    for model in (model for model in admin.site._registry if model.__module__.split(".")[0] in OURS):
        for field in model._meta.get_fields():
            choices = getattr(field, "choices", None) or ()
            with translation.override("id"):
                said = {value: str(name) for value, name in choices}
            with translation.override("en"):
                left = {value for value, name in choices if said[value] == str(name)}
            assert left <= TERMS, f"{model.__name__}.{field.name}"
