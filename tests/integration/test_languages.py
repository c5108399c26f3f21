"""The console speaks English and Indonesian, as the viewer's browser asks or as they choose; the API speaks English."""

import ast
import inspect
import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from types import ModuleType
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.admin.utils import label_for_field
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import translation

from processor import adopting, checking, commanding, phrases, reconciling
from processor.codec.dialects import DIALECTS
from processor.link.console import MEANINGS, Footing, Verb, refusal
from processor.link.events import Cause
from processor.link.framing import FRAMINGS
from processor.link.health import (
    HealthState,
    Layer,
    NetworkReading,
    ProcessReading,
    ProtocolReading,
    Reading,
    ResourcesReading,
    judge,
    overall,
)
from processor.link.wishes import Wanted
from processor.message_words import fields_in_words, message_in_words
from processor.models import Link
from processor.ordering import field_name, spoken
from processor.versions import FIELDS
from staff import requests
from staff.words import action, code_of, permission
from tests.builders import PAN
from tests.integration import test_permission_matrix as matrix
from tests.integration.conftest import Hand
from tests.stack import BASE
from transactions import asking, following, iso8583, services
from transactions.actions import ACTIONS
from transactions.admin import objections, words
from transactions.bulk import BULK
from transactions.domain import children, decide
from transactions.domain.values import REASONS, Operation, ReasonCode, Status
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


#: attributes that a person reads or hears
READ_ALOUD = {"title", "placeholder", "aria-label"}


class Texts(HTMLParser):
    """What of a page a person reads, one text after another."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._unread = 0
        self._is_icon = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unread += tag in ("script", "style", "template")
        self.found += [" ".join(text.split()) for name, text in attrs if name in READ_ALOUD and text]
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
    yield from ((phrases.say(text), "") for text in OF_THE_LINK)
    for dialect in DIALECTS.values():
        yield from ((field.name, "") for field in fields_in_words(dict.fromkeys(map(str, dialect.rules), "1"), dialect))


#: what the link's rules call things
OF_THE_LINK = (*MEANINGS.values(), *(spoken(verb) for verb in Verb), *Layer, *HealthState, *map(field_name, FIELDS))

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
    assert {"sign off", "answer timeout (s)", "processing code", "degraded", "resources"} <= forbidden
    wrong: dict[str, set[str]] = {}

    for name in sorted({*matrix.PAGES, *matrix.of_models()}):
        response = client.get(matrix.address(name, one_of_everything))
        if response.status_code == 200 and response["Content-Type"].startswith("text/html"):
            for text in read(response.content.decode()):
                word = re.sub(r"^[\d.,:–…]+ |[:.]$", "", text).strip().lower()
                if word in forbidden and (name, word) not in OTHERWISE:
                    wrong.setdefault(text, set()).add(name)

    assert not wrong, "\n".join(f"{text}: {sorted(names)[:5]}" for text, names in sorted(wrong.items()))


#: words that Indonesian has not
GIVEAWAYS = re.compile(
    r"\b(the|is|are|was|of|and|with|this|that|its|has|have|what|which|who|not|ago|every|can|be|to|you|your|after|before"
    r"|from|for|by|in|on|an|or|if|it|as|at|do|does|all|any|more|only|when|where|how|why|add|change|delete|view|open"
    r"|page|sign|line|lost|sent)\b",
    re.IGNORECASE,
)


#: headings that are the same in both languages
HEADINGS = {"mti", "id", "status", "epoch", "bin", "merchant", "no."}
#: what is no sentence: addresses, terms of ISO 8583, and what a package calls its rows
NO_SENTENCE = re.compile(r"/\S+|\bsign-o(n|ff)\b|(Access Log for|Failed access:).*", re.IGNORECASE)


def test_no_page_says_a_sentence_in_english(one_of_everything: dict[str, Any]) -> None:
    client = Client(headers=INDONESIAN)
    client.force_login(
        User.objects.create_superuser("rani", "", "x"), backend="django.contrib.auth.backends.ModelBackend"
    )
    wrong: dict[str, set[str]] = {}

    for name in sorted({*matrix.PAGES, *matrix.of_models()}):
        response = client.get(matrix.address(name, one_of_everything))
        if response.status_code == 200 and response["Content-Type"].startswith("text/html"):
            for text in read(response.content.decode()):
                if GIVEAWAYS.search(NO_SENTENCE.sub("", text)):
                    wrong.setdefault(text, set()).add(name)

    assert not wrong, "\n".join(f"{text}: {sorted(names)[:5]}" for text, names in sorted(wrong.items()))


def test_every_column_has_an_indonesian_heading() -> None:
    left = set()
    for page_of_it in (one for model, one in admin.site._registry.items() if model.__module__.split(".")[0] in OURS):
        for column in page_of_it.list_display:
            with translation.override("id"):
                said = str(label_for_field(column, page_of_it.model, page_of_it))
            with translation.override("en"):
                english = str(label_for_field(column, page_of_it.model, page_of_it))
            left |= {english.lower()} if said == english else set()
    assert left == HEADINGS


def actions() -> set[str]:
    """The code of whatever leaves a record: those that are asked for or done, and those that are written down."""
    codes = {kind.code for kind in requests.kinds()} | {action.code for action in ACTIONS.values()}
    codes |= {f"{BULK[name].code}s" for name in BULK}
    for package in sorted(OURS | {"config"}):
        for file in (BASE / package).rglob("*.py"):
            calls = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call))
            first = [call.args[0] for call in calls if getattr(call.func, "id", "") == "record" and call.args]
            codes |= {str(name.value) for name in first if isinstance(name, ast.Constant)}
    return codes


def test_every_action_of_the_audit_has_indonesian_words_by_which_it_is_found() -> None:
    assert {"sign_in", "open_page", "link.command", "retry_payments", "set_roles"} <= actions()
    for code in actions() | {"add", "change", "delete", "enable_webhook_endpoint", "reveal_message"}:
        with translation.override("id"):
            said = action(code)
            assert code_of(said) == code
        assert said not in (code, code.replace("_", " "), code.replace(".", " ")), code


@pytest.mark.django_db
def test_every_permission_has_an_indonesian_name() -> None:
    with translation.override("id"):
        said = {row.name: permission(row) for row in Permission.objects.select_related("content_type")}

    assert {name for name, own in said.items() if own == name or GIVEAWAYS.search(own)} == set()


#: what may be found in the bank's answer
OF_AN_ANSWER = sorted({ReasonCode[name] for name in re.findall(r"ReasonCode\.(\w+)", inspect.getsource(iso8583))})


@pytest.mark.parametrize(
    "remark", [*Cause, *OF_AN_ANSWER, "late or duplicate", "unmatched", "unreadable", "maybe sent"]
)
def test_every_remark_on_a_message_is_said_in_indonesian(remark: str) -> None:
    with translation.override("id"):
        assert phrases.named(remark) != remark.replace("_", " ")


def spoken_in(module: ModuleType, *doors: str) -> set[str]:
    """Return the sentences that go through some calls, with a 7 for what differs from time to time."""
    nodes = list(ast.walk(ast.parse(inspect.getsource(module))))
    calls = [node for node in nodes if isinstance(node, ast.Call) and getattr(node.func, "id", "") in doors]
    named = [
        node for node in nodes if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "sentence"
    ]
    texts = [argument for call in calls for argument in call.args] + [node.value for node in named]
    found = {"".join(_part(part) for part in getattr(text, "values", [text])) for text in texts}
    return {sentence for sentence in found if sentence[:1].isupper() or sentence.startswith("7 ")}


def _part(part: ast.expr) -> str:
    return str(part.value) if isinstance(part, ast.Constant) else "7" if isinstance(part, ast.FormattedValue) else ""


def refusals() -> set[str]:
    """Whatever a command may be refused with."""
    footings = [
        Footing(
            wanted=wanted, is_up=is_up, is_spared=False, hosts=("one", "two"), turn=0, preferred=0, messages=("echo",)
        )
        for wanted in Wanted
        for is_up in (True, False)
    ]
    given: list[dict[str, Any]] = [{}, {"endpoint": 1}, {"endpoint": 9}, {"message": "echo"}, {"other": 1}]
    return {refusal(verb, one, footing) or "" for verb in Verb for one in given for footing in footings} - {""}


def losses() -> set[str]:
    """Whatever may lower a link's health."""
    readings: list[Reading] = [
        ProcessReading(late_s=0.5, is_renewed=False),
        NetworkReading(is_connected=False, is_clear=False),
        NetworkReading(is_connected=True, is_clear=False),
        ProtocolReading(is_up=False, echo_s=None, echo_timeout_s=10, unreadable=0),
        ProtocolReading(is_up=True, echo_s=5, echo_timeout_s=10, unreadable=2),
        ResourcesReading(files=0.9, in_line=0.9),
    ]
    whole = [
        overall({}, is_held=held, is_up=True, is_spared=True, down_s=None, wanted="paused") for held in (True, False)
    ]
    found = [judge(reading).lowered_by for reading in readings] + [health.lowered_by for health in whole]
    return {words for lowered_by in found for words in lowered_by}


def of_payments() -> set[str]:
    """Whatever may speak against what somebody wants of a payment."""
    return {
        sentence
        for module in (asking, following, services, decide, children)
        for sentence in spoken_in(module, "NotAllowed")
    }


def of_links() -> set[str]:
    """Whatever a link's worker answers, or its rules say."""
    answers = spoken_in(adopting, "NotAdopted")
    for module in (commanding, reconciling):
        answers |= spoken_in(module, "done", "failed", "Answer")
    misfits = {sentence for _field, sentence, _fits in checking._requirements(Link(dialect="bank-ascii87"), ())}
    causes = {cause.value.replace("_", " ") for cause in Cause}
    return {*answers, *misfits, *refusals(), *losses(), *causes, *MEANINGS.values(), *HealthState, *Layer}


@pytest.mark.parametrize(("said", "say"), [(of_links, phrases.say), (of_payments, objections.say)])
def test_what_the_rules_say_is_said_in_indonesian(said: Callable[[], set[str]], say: Callable[[str], str]) -> None:
    assert len(said()) > 25

    with translation.override("id"):
        assert {sentence for sentence in said() if say(sentence) == sentence} == set()
    assert {say(sentence) for sentence in said()} == said()


def test_what_stands_in_a_sentence_is_translated_too() -> None:
    with translation.override("id"):
        down = phrases.say("The link is up, to bank:5000. The bank did not answer.")
        why = phrases.say("The link is down: connect refused. Payments wait.")

    assert down == "Jalur tersambung ke bank:5000. Bank tidak menjawab."
    assert why == "Jalur putus: sambungan ditolak. Pembayaran menunggu."


@pytest.mark.parametrize(
    ("mti", "words"),
    [("0210", "jawaban finansial"), ("0421", "advis reversal, diulang"), ("0430", "jawaban advis reversal")],
)
def test_a_message_is_named_in_indonesian(mti: str, words: str) -> None:
    with translation.override("id"):
        assert message_in_words(mti, {}, DIALECTS["bank-ascii87"]) == words


def test_every_value_of_an_enumeration_has_an_indonesian_word() -> None:
    for model in (model for model in admin.site._registry if model.__module__.split(".")[0] in OURS):
        for field in model._meta.get_fields():
            choices = getattr(field, "choices", None) or ()
            with translation.override("id"):
                said = {value: str(name) for value, name in choices}
            with translation.override("en"):
                left = {value for value, name in choices if said[value] == str(name)}
            assert left <= TERMS, f"{model.__name__}.{field.name}"
