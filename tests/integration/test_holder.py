"""The holder of a link, when the database is away as a session begins."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from django.db import OperationalError

from processor import links
from processor.codec.message import Message, decode, encode
from processor.holder import Holder
from processor.lease import Heard, Keeper
from processor.link.framing import FRAMINGS
from processor.link.network import network_answer
from processor.link.states import State
from processor.link.wishes import Wish
from processor.links import LinkConfig
from processor.models import InboundFrame
from processor.store import LinkStore
from tests.builders import BANK
from tests.integration.conftest import Hand


@dataclass
class Granted(Keeper):
    """A lease that is ours."""

    deadline: float = 0.0

    @property
    def holds(self) -> bool:
        return True


def test_it_asks_again_for_its_configuration_until_the_database_answers(hand: Hand) -> None:
    asked: list[bool] = []
    config = links.read("bank")

    def read_config() -> LinkConfig | None:
        asked.append(True)
        if len(asked) == 1:
            raise OperationalError("the server closed the connection")
        return config

    async def hold(store: LinkStore) -> None:
        holder = Holder("bank", store, Granted(), read_config, 0.0, Wish())
        crashes: list[dict[str, Any]] = []
        running = asyncio.create_task(holder.run(lambda: None, crashes.append))
        async with asyncio.timeout(10):
            while len(asked) < 2:
                await asyncio.sleep(0.01)
        holder.stop()
        await running
        assert not crashes

    hand.run(hold)

    assert len(asked) >= 2


def accepting(hand: Hand, told: Callable[[Holder, int], LinkConfig | None]) -> int:
    """Hold the link with a host that takes connections; `told` reads the configuration, and how often it was read."""
    connected: list[bool] = []

    async def hold(store: LinkStore) -> None:
        server = await asyncio.start_server(lambda *_: connected.append(True), "127.0.0.1", 0)
        endpoint = ("127.0.0.1", server.sockets[0].getsockname()[1])
        read: list[bool] = []

        def read_config() -> LinkConfig | None:
            read.append(True)
            config = told(holder, len(read))
            return config and replace(config, endpoints=(endpoint,))

        holder = Holder("bank", store, Granted(), read_config, 0.0, Wish())
        async with server, asyncio.timeout(20):
            await holder.run(lambda: None, lambda context: None)

    hand.run(hold)
    return len(connected)


def test_told_to_stop_while_it_reads_its_configuration_it_begins_no_session(hand: Hand) -> None:
    config = links.read("bank")

    def told(holder: Holder, _: int) -> LinkConfig | None:
        holder.stop()
        return config

    assert accepting(hand, told) == 0


def test_told_of_a_change_while_it_reads_its_configuration_it_reads_it_again(hand: Hand) -> None:
    config = links.read("bank")
    assert config is not None

    def told(holder: Holder, times: int) -> LinkConfig | None:
        if times == 1:
            holder.heard(Heard(config.version + 1, Wish(), is_commanded=False))
            return config
        holder.stop()
        return replace(config, version=config.version + 1)

    assert accepting(hand, told) == 0


def test_what_a_host_says_as_it_is_called_is_heard_once_the_session_has_begun(hand: Hand) -> None:
    config = links.read("bank")
    assert config is not None
    late = encode(Message("0210", {11: "000001", 39: "00", 41: "ATM-001"}), BANK)

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framing = FRAMINGS["ascii4"](BANK.max_body)
        writer.write(framing.frame(late))
        while received := await reader.read(4096):
            for body in framing.feed(received):
                writer.write(framing.frame(encode(network_answer(decode(body, BANK), "00", BANK), BANK)))
        writer.close()

    async def hold(store: LinkStore) -> None:
        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        there = replace(config, endpoints=(server.sockets[0].getsockname(),))
        holder = Holder("bank", store, Granted(), lambda: there, 0.0, Wish())
        crashes: list[dict[str, Any]] = []
        running = asyncio.create_task(holder.run(lambda: None, crashes.append))
        async with asyncio.timeout(10):
            while not (holder._session and holder._session._machine.state is State.UP):
                await asyncio.sleep(0.01)
        holder.stop()
        await running
        server.close()
        assert not crashes

    hand.run(hold)

    assert [filed.kind for filed in InboundFrame.objects.all()] == ["stray"]
