"""The proxy does to frames what its rules say, and its journal tells of every byte."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from processor.codec.dialects import DIALECTS
from processor.codec.message import Message, decode, encode
from processor.link.framing import Ascii4
from tests.faults.journal import overtaken_bytes, read
from tests.faults.stack import ProxiedFerry
from tests.stack import wait_until

DIALECT = DIALECTS["bank-ascii87"]


class Wire:
    """A client's and a host's end of what goes through a proxy."""

    def __init__(self, folder: Path) -> None:
        self.ferry = ProxiedFerry(folder, database_url="", broker_url="")
        self.listener = socket.create_server(("127.0.0.1", self.ferry.simulator_port))
        self.ferry.start("proxy")

    def connect(self) -> None:
        """Open a connection through the proxy."""
        self.client = socket.create_connection(("127.0.0.1", self.ferry.proxy_port), timeout=5)
        self.host, _ = self.listener.accept()
        self.host.settimeout(5)

    def send(self, *stans: int) -> None:
        """Send one request for each STAN."""
        self.client.sendall(b"".join(map(frame, stans)))

    def journal(self, what: str) -> list[dict[str, Any]]:
        """Return the journal's lines of a kind."""
        return [line for line in read(self.ferry.folder / "proxy.jsonl") if line["what"] == what]


def frame(stan: int) -> bytes:
    """One echo as it is on the wire."""
    body = encode(Message("0800", {7: "1121000000", 11: f"{stan:06d}", 70: "301"}), DIALECT)
    return Ascii4(DIALECT.max_body).frame(body)


def received(sock: socket.socket, count: int) -> list[str]:
    """Read as many messages; returns their STANs."""
    framing = Ascii4(DIALECT.max_body)
    bodies: list[bytes] = []
    while len(bodies) < count:
        some = sock.recv(4096)
        assert some, "the connection ended"
        bodies += framing.feed(some)
    return [str(decode(body, DIALECT).get(11)).lstrip("0") for body in bodies]


def until_reset(sock: socket.socket) -> bytes:
    """Read once; nothing where the connection was reset, and an end without a reset fails."""
    try:
        some = sock.recv(4096)
    except ConnectionResetError:
        return b""
    assert some, "it was closed, not reset"
    return some


@contextmanager
def running(folder: Path) -> Iterator[Wire]:
    wire = Wire(folder)
    try:
        yield wire
    finally:
        wire.ferry.stop()
        wire.listener.close()


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with running(tmp_path_factory.mktemp("proxy")) as wire:
        yield wire


@pytest.fixture
def wire(proxied: Wire) -> Iterator[Wire]:
    proxied.ferry.proxy("POST", "/heal")
    proxied.connect()
    yield proxied
    proxied.client.close()
    proxied.host.close()


def test_frames_pass_both_ways_and_are_written_down(wire: Wire) -> None:
    wire.send(1, 2)
    assert received(wire.host, 2) == ["1", "2"]
    wire.host.sendall(frame(3))
    assert received(wire.client, 1) == ["3"]

    lines = wire.journal("frame")[-3:]
    assert [(line["direction"], line["mti"], line["stan"]) for line in lines] == [
        ("out", "0800", "000001"),
        ("out", "0800", "000002"),
        ("in", "0800", "000003"),
    ]


def test_frames_are_picked_by_stan_and_number(wire: Wire) -> None:
    wire.ferry.rule("drop", stan="000002")
    wire.ferry.rule("duplicate", mti="08", nth=3)
    wire.send(1, 2, 3, 4, 5)
    assert received(wire.host, 5) == ["1", "3", "4", "4", "5"]


def test_a_delayed_frame_is_overtaken(wire: Wire) -> None:
    wire.ferry.rule("delay", stan="000001", seconds=0.1)
    wire.send(1, 2)
    assert received(wire.host, 2) == ["2", "1"]


def test_a_frame_is_changed(wire: Wire) -> None:
    wire.ferry.rule("mutate", direction="in", fields={"11": "000077"})
    wire.host.sendall(frame(1))
    assert received(wire.client, 1) == ["77"]


def test_slices_and_latency_change_no_byte(wire: Wire) -> None:
    wire.ferry.wire(slice_bytes=1, latency_s=0.02, jitter_s=0.02)
    wire.send(*range(1, 6))
    assert received(wire.host, 5) == ["1", "2", "3", "4", "5"]


def test_a_half_open_connection_swallows_and_stays(wire: Wire) -> None:
    wire.ferry.wire(swallow="both")
    wire.send(1)
    wait_until(lambda: wire.journal("bytes"), 5, "the bytes were read")
    wire.ferry.wire(swallow="")
    wire.send(2)
    assert received(wire.host, 1) == ["2"]


@pytest.mark.parametrize(("action", "arrives"), [("reset", 0), ("cut", len(frame(1)) // 2), ("pass_and_reset", 1000)])
def test_a_reset_reaches_both_ends(wire: Wire, action: str, arrives: int) -> None:
    wire.ferry.rule(action)
    wire.send(1)
    with pytest.raises(ConnectionResetError):
        wire.client.recv(100)
    got = b""
    while some := until_reset(wire.host):
        got += some
    assert got == frame(1)[:arrives]


def test_what_lay_unread_before_a_reset_never_arrives(wire: Wire) -> None:
    wire.ferry.wire(reads=False)
    wire.send(1)
    wire.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    wire.client.close()
    wire.ferry.wire(reads=True)
    assert until_reset(wire.host) == b""


def test_refused_while_told_so_and_no_nonsense_is_taken(wire: Wire) -> None:
    wire.ferry.wire(refuse=True)
    address = ("127.0.0.1", wire.ferry.proxy_port)
    with pytest.raises(ConnectionResetError), socket.create_connection(address, timeout=5) as refused:
        refused.recv(1)
    with pytest.raises(Exception, match="400"):
        wire.ferry.wire(latency_s="long")


def test_bytes_of_an_older_connection_are_told() -> None:
    lines = [{"connection": number, "what": "bytes", "direction": "out", "count": 9} for number in (1, 2, 2, 1)]
    assert overtaken_bytes(lines[:3]) == []
    assert overtaken_bytes(lines) == ["connection 1 sent 9 bytes after 2 had begun"]
