"""Receivers that do not take a webhook as they should, and addresses to which none is sent: real sockets."""

import datetime as dt
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integration.conftest import Hand
from tests.receiver import (
    Manner,
    Receiver,
    answering,
    babbling,
    cut_off,
    dribbling,
    dripping,
    flooding,
    hanging,
    receiving,
    resolving_to,
    resolving_to_all,
)
from tests.stack import free_ports
from transactions.models import WebhookAttempt, WebhookDelivery, WebhookEndpoint
from transactions.webhooks import deliveries, endpoints, posting
from transactions.webhooks.delivering import deliver
from transactions.webhooks.endpoints import Wanted
from transactions.webhooks.errors import AddressRefused

PUBLIC = "93.184.216.34"


@pytest.fixture
def on_this_machine(settings: Any) -> None:
    """Receivers listen on loopback."""
    settings.WEBHOOK_PRIVATE_ADDRESSES = True


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of patience."""
    monkeypatch.setattr(posting, "TOTAL_S", 1.0)


def told(hand: Hand, url: str) -> WebhookEndpoint:
    """An endpoint with one message to it."""
    endpoint, _ = endpoints.create(hand.merchant.pk, Wanted(url), actor="api:test")
    endpoints.send_test(hand.merchant.pk, endpoint.id)
    return endpoint


def outcome() -> tuple[str, int | None, str]:
    """What came of the only try."""
    attempt = WebhookAttempt.objects.get()
    return WebhookDelivery.objects.get().state, attempt.response_code, attempt.error


@pytest.mark.usefixtures("on_this_machine", "brief")
@pytest.mark.parametrize(("manner", "error"), [(hanging, "timeout"), (dripping, "timeout"), (babbling, "not_http")])
def test_who_hangs_drips_or_babbles_is_given_a_bounded_time(hand: Hand, manner: Manner, error: str) -> None:
    with receiving(manner) as receiver:
        told(hand, receiver.url)
        began = time.monotonic()
        deliver()

    assert time.monotonic() - began < 5
    assert outcome() == ("pending", None, error)


@pytest.mark.usefixtures("on_this_machine")
def test_a_body_without_end_is_not_read_to_it(hand: Hand) -> None:
    with receiving(flooding) as receiver:
        told(hand, receiver.url)
        deliver()
        assert receiver.flooded < 16_000_000, "what the kernel holds, and no more"

    assert outcome() == ("delivered", 200, "")
    assert len(WebhookAttempt.objects.get().answer) == 200


@pytest.mark.usefixtures("on_this_machine")
@pytest.mark.parametrize(("manner", "began"), [(dribbling, "xxx"), (cut_off, "thanks")])
def test_the_code_says_that_it_is_taken_whatever_becomes_of_the_body(hand: Hand, manner: Manner, began: str) -> None:
    with receiving(manner) as receiver:
        told(hand, receiver.url)
        started = time.monotonic()
        deliver()
        assert time.monotonic() - started < 10

    assert outcome() == ("delivered", 200, "")
    assert WebhookAttempt.objects.get().answer.startswith(began)


@pytest.mark.usefixtures("on_this_machine")
@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_followed_by_nobody(hand: Hand, code: int) -> None:
    with receiving() as other, receiving(answering(code, Location=other.url)) as receiver:
        told(hand, receiver.url)
        deliver()
        assert (len(receiver.received), other.received) == (1, [])

    assert outcome() == ("pending", code, "")


@pytest.mark.usefixtures("on_this_machine")
def test_a_receiver_that_is_not_there_is_tried_again(hand: Hand) -> None:
    told(hand, f"http://127.0.0.1:{free_ports(1)[0]}/")

    deliver()

    assert outcome() == ("pending", None, "cannot_connect")


@pytest.mark.usefixtures("on_this_machine", "brief")
def test_receivers_that_hang_keep_nobody_elses_webhooks_waiting(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving(hanging) as slow, receiving() as quick:
        endpoint = told(hand, slow.url)
        for _ in range(20):
            endpoints.send_test(hand.merchant.pk, endpoint.id)
        told(hand, quick.url)
        quick.manner = relieving(slow)
        monkeypatch.setattr("transactions.webhooks.delivering._AT_ONCE", 9)
        deliver()

        assert quick.received[0].at - slow.received[0].at < 0.9, "before the first of the slow ones was given up"


def relieving(slow: Receiver) -> Manner:
    """Take it, and let the slow one be quick from then on."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        slow.manner = answering(204)
        answering(204)(handler)

    return answer


@pytest.mark.usefixtures("on_this_machine")
def test_one_endpoint_is_sent_eight_at_once_at_most(hand: Hand) -> None:
    with receiving() as receiver:
        endpoint = told(hand, receiver.url)
        for _ in range(20):
            endpoints.send_test(hand.merchant.pk, endpoint.id)
        assert len(deliveries.claim(100)) == 8
        assert deliveries.claim(100) == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.5", "169.254.169.254", "::1", "::ffff:127.0.0.1", "fd00::1"])
def test_an_endpoint_in_a_private_network_cannot_be_made(
    hand: Hand, settings: Any, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    settings.WEBHOOK_PRIVATE_ADDRESSES = False
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to(address))

    with pytest.raises(AddressRefused) as refused:
        endpoints.create(hand.merchant.pk, Wanted("https://hooks.example.com/"), actor="api:test")

    assert refused.value.code == "private_address"
    assert not WebhookEndpoint.objects.exists()


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "localhost", "[::1]", "127.1"])
def test_no_spelling_of_loopback_is_taken(hand: Hand, settings: Any, host: str) -> None:
    settings.WEBHOOK_PRIVATE_ADDRESSES = False
    with pytest.raises(AddressRefused):
        endpoints.create(hand.merchant.pk, Wanted(f"https://{host}/"), actor="api:test")


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "::ffff:7f00:1", "0.0.0.0", "::1"])
def test_a_name_that_turns_private_later_is_sent_nothing(
    hand: Hand, settings: Any, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    settings.WEBHOOK_PRIVATE_ADDRESSES = False
    with connected_to() as (port, connections):
        monkeypatch.setattr(socket, "getaddrinfo", resolving_to(PUBLIC, address))
        told(hand, f"https://hooks.example.com:{port}/")
        deliver()
        assert connections() == 0

    assert outcome() == ("pending", None, "private_address")


@pytest.mark.parametrize("addresses", [(PUBLIC, "127.0.0.1"), ("::ffff:10.0.0.5", PUBLIC), (PUBLIC, "fe80::1")])
def test_one_private_address_among_several_is_enough(
    hand: Hand, settings: Any, monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, str]
) -> None:
    settings.WEBHOOK_PRIVATE_ADDRESSES = False
    with connected_to() as (port, connections):
        monkeypatch.setattr(socket, "getaddrinfo", resolving_to(PUBLIC))
        told(hand, f"https://hooks.example.com:{port}/")
        monkeypatch.setattr(socket, "getaddrinfo", resolving_to_all(*addresses))
        deliver()
        assert connections() == 0

    assert outcome() == ("pending", None, "private_address")


@contextmanager
def connected_to() -> Iterator[tuple[int, Callable[[], int]]]:
    """Listen on every address of this machine, IPv4 and IPv6; yields the port and how often somebody came."""
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as listening:
        listening.settimeout(0.2)

        def count() -> int:
            came = 0
            with suppress(TimeoutError):
                while True:
                    listening.accept()[0].close()
                    came += 1
            return came

        yield listening.getsockname()[1], count


def test_who_listens_everywhere_would_see_us_come() -> None:
    with connected_to() as (port, connections):
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, port)).close()
        assert connections() == 2


@pytest.mark.usefixtures("on_this_machine")
def test_a_name_is_looked_up_once_a_try_and_that_address_is_gone_to(
    hand: Hand, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver:
        told(hand, receiver.url)
        WebhookEndpoint.objects.update(url=f"http://hooks.example.com:{receiver.port}/")
        looked: list[str] = []
        first_then_nowhere = resolving_to("127.0.0.1", "192.0.2.1")

        def counting(host: str, port: int, **more: Any) -> list[Any]:
            looked.append(host)
            return first_then_nowhere(host, port, **more)

        monkeypatch.setattr(socket, "getaddrinfo", counting)
        deliver()

    assert looked == ["hooks.example.com"], "who asked twice would be led to another address"
    assert outcome() == ("delivered", 204, "")


@pytest.mark.usefixtures("on_this_machine")
def test_the_address_that_was_checked_is_the_one_connected_to(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        monkeypatch.setattr(socket, "getaddrinfo", resolving_to("127.0.0.1", "127.0.0.1", "192.0.2.1"))
        told(hand, f"http://hooks.example.com:{receiver.port}/in?shop=7")
        deliver()
        (request,) = receiver.received

    assert (request.headers["Host"], request.path) == (f"hooks.example.com:{receiver.port}", "/in?shop=7")


@pytest.fixture
def certified(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver with a certificate for hooks.example.com, from somebody who is trusted here."""
    certificate, key = self_signed("hooks.example.com", tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    receiver = Receiver(answering(204))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    receiver.wrap(context)
    receiver.serve()
    yield receiver
    receiver.stop()


@pytest.mark.usefixtures("on_this_machine")
@pytest.mark.parametrize(
    ("host", "expected"),
    [("hooks.example.com", ("delivered", 204, "")), ("other.example.com", ("pending", None, "cannot_connect"))],
)
def test_a_certificate_is_checked_by_the_name_although_the_address_is_pinned(
    hand: Hand, certified: Receiver, monkeypatch: pytest.MonkeyPatch, host: str, expected: tuple[Any, ...]
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", resolving_to("127.0.0.1"))
    told(hand, f"https://{host}:{certified.port}/")

    deliver()

    assert outcome() == expected


def self_signed(name: str, folder: Path) -> tuple[Path, Path]:
    """Make a certificate that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files
