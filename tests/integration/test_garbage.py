"""A request to the API is freed when it is answered: what waits for the garbage collector stops everybody later."""

import gc
import io
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from config.handler import ApiHandler
from processor import links
from tests.builders import PAN
from tests.integration.conftest import Hand
from transactions.models import ApiKey


@pytest.fixture
def key(hand: Hand) -> str:
    return str(ApiKey.objects.create_key(name="test", merchant=hand.merchant, scopes=["read", "pay"])[1])


@pytest.fixture
def handler() -> ApiHandler:
    return ApiHandler()


@pytest.fixture
def collecting_by_hand() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()


def ask(handler: ApiHandler, key: str, method: str, body: bytes = b"") -> str:
    """One request as a WSGI server makes it; returns the status line."""
    said: list[str] = []

    def begin(status: str, _: list[tuple[str, str]], *__: Any) -> None:
        said.append(status)

    environ = {
        "REQUEST_METHOD": method,
        "PATH_INFO": "/api/v1/payments",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "HTTP_AUTHORIZATION": f"Bearer {key}",
        "HTTP_IDEMPOTENCY_KEY": str(uuid.uuid4()),
        "wsgi.input": io.BytesIO(body),
        "wsgi.url_scheme": "http",
        "wsgi.errors": io.StringIO(),
    }
    answer = handler(environ, begin)  # type: ignore[arg-type]
    b"".join(answer)
    answer.close()
    return said[0]


PURCHASE = json.dumps({"operation": "purchase", "amount": 100, "currency": "IDR", "card": {"pan": PAN}}).encode()


WRONG = PURCHASE.replace(b"100", b"-1")


@pytest.mark.parametrize(
    ("method", "body", "status"),
    [
        ("POST", PURCHASE, "202 Accepted"),
        ("GET", b"", "200 OK"),
        ("POST", b"{", "400 Bad Request"),
        ("POST", WRONG, "422 Unprocessable Entity"),
        ("PATCH", b"{}", "405 Method Not Allowed"),
    ],
    ids=["a payment", "a list", "nonsense", "a wrong amount", "a wrong method"],
)
def test_an_answered_request_leaves_nothing_to_collect(
    handler: ApiHandler, key: str, collecting_by_hand: None, method: str, body: bytes, status: str
) -> None:
    assert left_by(handler, key, method, body, status) == {}


def test_a_refusal_while_the_breaker_is_open_leaves_nothing_to_collect(
    hand: Hand, handler: ApiHandler, key: str, collecting_by_hand: None
) -> None:
    hand.report(up=True, breaker="open")
    links._remembered_live.clear()

    assert left_by(handler, key, "POST", PURCHASE, "503 Service Unavailable") == {}


def left_by(handler: ApiHandler, key: str, method: str, body: bytes, status: str) -> Counter[str]:
    """What one request leaves to the garbage collector, by type."""
    ask(handler, key, method, body)  # what the first one loads and remembers is no garbage of a request
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    assert ask(handler, key, method, body) == status
    gc.collect()
    return Counter(type(left).__name__ for left in gc.garbage)
