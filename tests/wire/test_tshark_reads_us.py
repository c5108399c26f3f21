"""A foreign reader, Wireshark's dissector, understands every frame between us and a host (`make wire`)."""

import json
import socket
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import Ferry
from tests.stack import wait_until

CARD = {"pan": "4111111111111111", "expiry": "3012"}
PIN = {**CARD, "pin_block": "0123456789ABCDEF"}
ACCOUNTS = {"source_account": "1234567890", "destination_account": "9876543210"}
BILL = {"biller": "PLN", "customer_number": "532100012345"}
DETAILS: dict[str, dict[str, Any]] = {
    "purchase": {},
    "authorisation": {},
    "deposit": ACCOUNTS,
    "transfer": ACCOUNTS,
    "withdrawal": {"source_account": "1234567890", "card": PIN},
    "balance_inquiry": {"source_account": "1234567890", "card": PIN, "amount": None},
    "bill_payment": {"source_account": "1234567890", **BILL},
}
EVERY_MTI = {"0100", "0110", "0200", "0210", "0420", "0430", "0500", "0510", "0800", "0810"}
ASK_FOR_TOTALS = """
from processor.models import LinkStatus
from staff.audit import Actor
from transactions.balancing import ask
ask(LinkStatus.objects.get().business_date, "bank", "IDR", Actor("wireshark", may=lambda _: True))
"""
#: how the dissector is told what our dialects are
READING = {
    "iso87-ascii": (
        "iso8583.charset:Digits represented as ASCII Characters",
        "iso8583.binencode:Bin data represented as Hex Ascii characters",
    ),
    "iso87-binary": ("iso8583.charset:Digits represented in nibbles", "iso8583.binencode:Bin data not encoded"),
}


@dataclass
class Recorder:
    """A relay between our link and a host that keeps what each said."""

    port: int
    said: dict[str, bytearray] = field(default_factory=lambda: {"O": bytearray(), "I": bytearray()})

    def frames(self) -> list[tuple[str, bytes]]:
        """Cut what was said into frames of two bytes of length and a body."""
        return [(who, frame) for who, spoken in self.said.items() for frame in _cut(bytes(spoken))]


def _cut(spoken: bytes) -> Iterator[bytes]:
    while spoken:
        end = 2 + int.from_bytes(spoken[:2])
        assert len(spoken) >= end, "a frame was cut short"
        yield spoken[:end]
        spoken = spoken[end:]


@contextmanager
def recording(host_port: int) -> Iterator[Recorder]:
    """Relay one port to another, both ways, until the test has ended."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        recorder = Recorder(listener.getsockname()[1])

        def pump(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
            while spoken := source.recv(65536):
                kept += spoken
                sink.sendall(spoken)
            sink.shutdown(socket.SHUT_WR)

        def relay() -> None:
            ours, _ = listener.accept()
            host = socket.create_connection(("127.0.0.1", host_port))
            with ours, host:
                back = threading.Thread(target=pump, args=(host, ours, recorder.said["I"]), daemon=True)
                back.start()
                pump(ours, host, recorder.said["O"])
                back.join(5)

        relaying = threading.Thread(target=relay, daemon=True)
        relaying.start()
        yield recorder
        relaying.join(10)


def dissected(frames: list[tuple[str, bytes]], port: int, dialect: str, folder: Path) -> list[dict[str, Any]]:
    """What the dissector makes of each frame, a frame a packet."""
    text, capture = folder / "frames.txt", folder / "frames.pcapng"
    text.write_text("".join(f"{who}\n000000 {frame.hex(' ')}\n\n" for who, frame in frames))
    subprocess.run(["text2pcap", "-q", "-D", "-T", f"40000,{port}", text, capture], check=True)
    preferences = ("iso8583.len_endian:Big endian", *READING[dialect])
    options = [word for preference in preferences for word in ("-o", preference)]
    read = subprocess.run(
        ["tshark", "-r", capture, "-d", f"tcp.port=={port},iso8583", *options, "-T", "json", "--no-duplicate-keys"],
        capture_output=True,
        check=True,
        text=True,
    )
    return [packet["_source"]["layers"] for packet in json.loads(read.stdout)]


@pytest.mark.parametrize("dialect", READING)
def test_no_field_is_malformed(ferry: Ferry, dialect: str, tmp_path: Path) -> None:
    spoken_so = ["--dialect", dialect, "--framing", "binary2"]
    ferry.simulator_options += spoken_so
    ferry.start("simulator")
    with recording(ferry.simulator_port) as wire:
        ferry.manage("link", "bank", "--endpoint", f"127.0.0.1:{wire.port}", *spoken_so)
        ferry.start("web", "worker", "link")
        ferry.wait_until_up()
        with ferry.client() as client:
            for operation, details in DETAILS.items():
                assert pay(client, operation, **details) == "approved"
            assert pay(client, "purchase", amount=100_073) == "reversed"
        ferry.manage("shell", "-v", "0", "-c", ASK_FOR_TOTALS)
        wait_until(lambda: ferry.sql("SELECT 1 FROM processor_linkcommand WHERE state = 'done'"), 10, "totals came")
        ferry.control("POST", "/send", {"message": "echo"})
        wait_until(lambda: answered_the_host(ferry), 10, "we answered the host's echo")
        ferry.processes["link"].stop()
    frames = wire.frames()

    packets = dissected(frames, wire.port, dialect, tmp_path)

    assert len(packets) == len(frames)
    for packet in packets:
        assert "_ws.malformed" not in packet, packet
        assert "_ws.expert" not in json.dumps(packet["iso8583"]), packet
    read = [packet["iso8583"] for packet in packets]
    assert {message["iso8583.mti"] for message in read} >= EVERY_MTI
    asked = {int(message["iso8583.bit11"]) for message in read if message["iso8583.mti"] in ("0100", "0200", "0420")}
    assert asked == {row.stan for row in ferry.sql("SELECT stan FROM transactions_attempt")}
    (totals,) = [message for message in read if message["iso8583.mti"] == "0500"]
    # four debits and the one that was reversed; a deposit
    assert [int(totals[f"iso8583.bit{number}"]) for number in (76, 77, 74, 75)] == [5, 1, 1, 0]
    if dialect == "iso87-binary":
        # Its table says n15 of 86 to 89, where the standard says n16: packed, both are eight bytes.
        assert (int(totals["iso8583.bit88"]), int(totals["iso8583.bit89"])) == (500_073, 100_073)


def pay(client: httpx.Client, operation: str, **details: Any) -> str:
    """Post one payment and wait for its end."""
    body = {"operation": operation, "amount": 100_000, "currency": "IDR", "card": CARD, **details}
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=20"}
    given = {name: value for name, value in body.items() if value is not None}
    response = client.post("/payments", json=given, headers=headers)
    assert response.status_code == 200, response.text
    return str(response.json()["status"])


def answered_the_host(ferry: Ferry) -> bool:
    """Say whether the host has our answer to what it began."""
    return any(line.get("mti") == "0810" and line["what"] == "in" for line in ferry.journal())
