"""Commands of staff: asked as rows, carried out once by the worker that holds the link, and answered in sentences."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import pytest
from django.db import connection

from processor import commands, links
from processor.codec.message import decode, encode
from processor.commands import CommandRefused, UnknownLink, Wanting
from processor.holder import Holder
from processor.lease import Heard, Keeper
from processor.link.console import CommandState, Verb
from processor.link.framing import FRAMINGS
from processor.link.health import Layer
from processor.link.network import network_answer
from processor.link.wishes import Wanted, Wish
from processor.models import Lease, Link, LinkCommand, LinkEvent, LinkStatus
from processor.overview import overview
from processor.store import ABANDONED, LinkStore
from queueing.models import QueueEntry
from tests.builders import BANK
from tests.integration.conftest import Hand
from transactions import forwarding, recovery
from transactions.accepting import LinkUnavailable

T = TypeVar("T")

BUDI = Wanting("staff:budi", "the bank called")


def ask(verb: Verb, patience_s: float = 60.0, **parameters: Any) -> LinkCommand:
    return LinkCommand.objects.get(id=commands.ask("bank", verb, parameters, BUDI, patience_s))


async def aside(work: Callable[..., T], *given: Any, **named: Any) -> T:
    """Do something with Django's own connection, in a thread that leaves none behind."""

    def with_connection() -> T:
        try:
            return work(*given, **named)
        finally:
            connection.close()

    return await asyncio.to_thread(with_connection)


class TestAsking:
    def test_a_command_says_who_asked_for_what_and_why(self, link: Link) -> None:
        command = ask(Verb.FAIL_OVER, endpoint=1)

        assert (command.state, command.asked_by, command.reason) == ("open", "staff:budi", "the bank called")
        assert command.parameters == {"endpoint": 1}

    def test_what_does_not_fit_the_link_is_refused_and_no_row(self, link: Link) -> None:
        with pytest.raises(CommandRefused, match="from 1 to 1"):
            ask(Verb.FAIL_OVER, endpoint=2)
        with pytest.raises(UnknownLink):
            commands.ask("nowhere", Verb.ECHO, {}, BUDI)
        assert not LinkCommand.objects.exists()

    def test_one_that_no_worker_takes_expires_with_a_sentence(self, link: Link) -> None:
        command = ask(Verb.PAUSE, patience_s=0.0)

        recovery.recover()

        command.refresh_from_db()
        assert command.state == "expired"
        assert "nothing was done" in command.answer


class TestTaking:
    def test_each_is_taken_once_oldest_first(self, hand: Hand) -> None:
        first, second = ask(Verb.ECHO), ask(Verb.PAUSE)

        async def take(store: LinkStore) -> list[Any]:
            taken = [await store.claim_command()]
            await store.finish_command(first.id, CommandState.DONE, "It is done.", {"ms": 3})
            return [*taken, await store.claim_command(), await store.claim_command()]

        one, two, none = hand.run(take)

        assert (one.id, two.id, none) == (first.id, second.id, None)
        first.refresh_from_db()
        assert (first.state, first.answer, first.detail, first.epoch) == ("done", "It is done.", {"ms": 3}, 1)

    def test_one_that_a_dead_holder_took_is_failed_and_never_run_again(self, hand: Hand) -> None:
        command = ask(Verb.FAIL_OVER, endpoint=1)
        hand.run(lambda store: store.claim_command())
        hand.epoch = 2
        hand.hold()

        assert hand.run(lambda store: store.claim_command()) is None

        command.refresh_from_db()
        assert (command.state, command.answer) == ("failed", ABANDONED)

    def test_a_holder_that_lost_its_lease_takes_and_wishes_nothing(self, hand: Hand) -> None:
        ask(Verb.ECHO)
        Lease.objects.update(epoch=2)

        assert hand.run(lambda store: store.claim_command()) is None
        assert hand.run(lambda store: store.wish(Wanted.CLOSED, "")) is None
        assert Lease.objects.get().wanted == "open"


class TestAPausedLink:
    def pause(self, hand: Hand) -> None:
        hand.run(lambda store: store.wish(Wanted.PAUSED, ""))
        links._remembered_live.clear()

    def test_what_can_wait_waits_and_what_cannot_is_refused(self, hand: Hand) -> None:
        self.pause(hand)

        hand.accept(expires_in_s=3600)
        with pytest.raises(LinkUnavailable):
            hand.accept(expires_in_s=30)
        assert hand.take() == []

    def test_reversals_go_on(self, hand: Hand) -> None:
        hand.accept()
        (taken,) = hand.take()
        hand.silence(taken)
        hand.accept()
        self.pause(hand)

        forwarding.forward()

        live = links.live("bank")
        assert live is not None
        taken_now = hand.run(lambda store: store.take(10, 1, live.lowest))
        assert [one.mti for one in taken_now] == ["0420"]

    def test_what_was_dispatched_waits_in_the_queue_again(self, hand: Hand) -> None:
        hand.accept(expires_in_s=3600)
        forwarding.forward()
        assert QueueEntry.objects.get().state == "dispatched"

        self.pause(hand)
        forwarding.forward()

        assert QueueEntry.objects.get().state in ("ready", "waiting")


@dataclass
class Granted(Keeper):
    """A lease that is ours."""

    deadline: float = 0.0
    may_begin: bool = True

    @property
    def holds(self) -> bool:
        return True


@dataclass
class Bank:
    """Hosts that accept every network message, and what they heard."""

    heard: list[str] = field(default_factory=list)
    connected: list[int] = field(default_factory=list)

    async def greet(self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framing = FRAMINGS["ascii4"](BANK.max_body)
        while received := await reader.read(4096):
            for body in framing.feed(received):
                message = decode(body, BANK)
                self.heard.append(f"{number}:{BANK.network_purpose(message.fields)}")
                writer.write(framing.frame(encode(network_answer(message, "00", BANK), BANK)))
        writer.close()

    async def open(self, number: int) -> tuple[asyncio.Server, tuple[str, int]]:
        server = await asyncio.start_server(lambda r, w: self.greet(number, r, w), "127.0.0.1", 0)
        return server, server.sockets[0].getsockname()


#: an hour between two looks at each layer of its health
SELDOM: Any = {f"health_{layer.value}_s": 3600.0 for layer in Layer}


class Console:
    """The holder of a link with two hosts, and the hand that asks it."""

    def __init__(self, hand: Hand) -> None:
        self.hand = hand
        self.bank = Bank()

    def hold(self, story: Callable[["Console"], Awaitable[None]], wish: Wish = Wish()) -> None:  # noqa: B008
        self.hand.run(lambda store: self._hold(store, story, wish))

    async def _hold(self, store: LinkStore, story: Callable[["Console"], Awaitable[None]], wish: Wish) -> None:
        config = await aside(links.read, "bank")
        assert config is not None
        servers = [await self.bank.open(number) for number in (1, 2)]
        self.there = replace(config, endpoints=tuple(endpoint for _, endpoint in servers), **SELDOM)
        await aside(links.configure, "bank", {}, list(self.there.endpoints))
        self.holder = Holder("bank", store, Granted(), lambda: self.there, 0.0, wish)
        crashes: list[dict[str, Any]] = []
        running = asyncio.create_task(self.holder.run(lambda: None, crashes.append))
        try:
            async with asyncio.timeout(30):
                await story(self)
        finally:
            self.holder.stop()
            await running
            for server, _ in servers:
                server.close()
        assert not crashes

    async def up(self) -> None:
        while not (self.holder.config and self.holder.footing.is_up):
            await asyncio.sleep(0.01)

    async def changed(self, **changes: Any) -> None:
        """Let it be configured otherwise, and wait until that is in use."""
        self.there = replace(self.there, version=self.there.version + 1, **changes)
        self.holder.heard(Heard(self.there.version, Wish(), is_commanded=False))
        while self.holder.config is not self.there:
            await asyncio.sleep(0.01)

    async def told(self, verb: Verb, **parameters: Any) -> LinkCommand:
        """Ask for something, and wait for its answer."""
        command = await aside(ask, verb, **parameters)
        self.holder.heard(Heard(None, Wish(), is_commanded=True))
        while not commands.is_over(command):
            await asyncio.sleep(0.01)
            await aside(command.refresh_from_db)
        return command


@pytest.fixture
def console(hand: Hand) -> Console:
    return Console(hand)


class TestHealth:
    def test_a_link_that_came_up_is_active_and_says_so_layer_by_layer(self, console: Console) -> None:
        async def story(at: Console) -> None:
            await at.up()
            while not (await aside(LinkStatus.objects.get)).health:
                await asyncio.sleep(0.01)
            seen = await aside(overview, "bank")
            assert seen is not None
            assert {name: found.score for name, found in seen.layers.items()} == {"network": 100, "protocol": 100}
            assert (seen.health.state, seen.health.score) == ("ACTIVE", 100)

        console.hold(story)

        seen = overview("bank")
        assert seen is not None
        assert seen.layers["network"].lowered_by == ("no connection stands",)
        assert seen.health.state in ("CONNECTING", "FAILED")


class TestChangedWhileItStands:
    def test_how_often_it_is_looked_at_is_changed_at_once_and_costs_no_session(self, console: Console) -> None:
        async def story(at: Console) -> None:
            await at.up()
            await at.changed(health_resources_s=0.1)
            while "resources" not in (await aside(LinkStatus.objects.get)).health:
                await asyncio.sleep(0.01)
            assert at.holder.footing.is_up
            assert (await aside(LinkStatus.objects.get)).version == at.there.version

        console.hold(story)
        assert console.bank.heard.count("1:sign_on") == 1

    def test_what_a_session_was_begun_with_is_changed_by_another_session(self, console: Console) -> None:
        async def story(at: Console) -> None:
            await at.up()
            await at.changed(window=2)
            await at.up()

        console.hold(story)
        assert console.bank.heard.count("1:sign_on") == 2

    def test_it_stays_with_the_host_that_carries(self, console: Console) -> None:
        async def story(at: Console) -> None:
            await at.up()
            await at.told(Verb.FAIL_OVER, endpoint=2)
            await at.changed(breaker_failures=7)
            assert (at.holder.footing.turn, at.holder.footing.is_up) == (1, True)

        console.hold(story)
        assert console.bank.heard.count("2:sign_on") == 1


class TestCarryingOut:
    def test_an_echo_shows_what_was_asked_and_answered(self, console: Console) -> None:
        async def story(at: Console) -> None:
            await at.up()
            command = await at.told(Verb.ECHO)
            assert command.state == "done"
            assert "code 00" in command.answer
            assert command.detail["sent"]["fields"]["70"] == "301"
            assert command.detail["received"]["fields"]["39"] == "00"

        console.hold(story)

    def test_another_sign_on_goes_over_the_session_that_stands(self, console: Console) -> None:
        async def story(at: Console) -> None:
            await at.up()
            assert (await at.told(Verb.SIGN_ON)).state == "done"
            assert (await at.told(Verb.SEND, message="sign_on")).state == "done"
            assert at.holder.footing.is_up

        console.hold(story)
        assert console.bank.heard.count("1:sign_on") == 3

    def test_a_link_is_closed_until_it_is_established(self, console: Console) -> None:
        async def story(at: Console) -> None:
            await at.up()
            assert (await at.told(Verb.CLOSE)).state == "done"
            assert at.holder.session is None
            assert (await at.told(Verb.PAUSE)).state == "refused"
            assert (await at.told(Verb.ECHO)).state == "refused"
            command = await at.told(Verb.ESTABLISH)
            assert (command.state, at.holder.footing.is_up) == ("done", True)

        console.hold(story)
        assert console.bank.heard[:3] == ["1:sign_on", "1:echo", "1:sign_off"]

    def test_what_staff_want_outlives_the_worker(self, console: Console) -> None:
        async def close(at: Console) -> None:
            await at.up()
            await at.told(Verb.CLOSE)

        console.hold(close)
        lease = Lease.objects.get()
        assert lease.wanted == "closed"
        heard = list(console.bank.heard)

        async def find_it_closed(at: Console) -> None:
            while at.holder.config is None:
                await asyncio.sleep(0.01)
            assert (await at.told(Verb.HEALTH_CHECK)).state == "failed"

        console.hold(find_it_closed, Wish(lease.wishes, Wanted(lease.wanted), lease.wanted_endpoint))
        assert console.bank.heard == heard

    def test_every_step_of_a_fail_over_is_in_the_history(self, console: Console) -> None:
        async def story(at: Console) -> None:
            await at.up()
            await at.told(Verb.FAIL_OVER, endpoint=2)

        Lease.objects.update(holder="ferry-1:42")
        console.hold(story)

        steps = list(LinkEvent.objects.order_by("id"))
        states = [step.state for step in steps]
        assert states[:7] == ["held", "connecting", "up", "leaving", "closed", "connecting", "up"]
        assert [step.endpoint for step in steps[1:3]] != [step.endpoint for step in steps[5:7]]
        assert steps[4].cause == "signed_off"
        assert all(step.after_ms is not None for step in steps[2:])
        assert {step.holder for step in steps} == {"ferry-1:42"}

    def test_another_host_is_preferred_and_gone_to(self, console: Console) -> None:
        async def story(at: Console) -> None:
            await at.up()
            command = await at.told(Verb.FAIL_OVER, endpoint=2)
            assert command.state == "done", command.answer
            assert (await at.told(Verb.FAIL_OVER, endpoint=2)).state == "refused"

        console.hold(story)
        assert "2:sign_on" in console.bank.heard
        assert Lease.objects.get().wanted_endpoint

    def test_pausing_and_resuming_keep_the_session(self, console: Console) -> None:
        async def story(at: Console) -> None:
            await at.up()
            for verb in (Verb.PAUSE, Verb.RESUME, Verb.DRAIN, Verb.RESUME):
                assert (await at.told(verb)).state == "done"
            assert (await at.told(Verb.RESET_BREAKER)).state == "refused"
            assert (await at.told(Verb.HEALTH_CHECK)).state == "done"

        console.hold(story)
        assert console.bank.heard.count("1:sign_on") == 1

    def test_a_reload_signs_off_and_on_again(self, console: Console) -> None:
        async def story(at: Console) -> None:
            await at.up()
            assert (await at.told(Verb.RELOAD)).state == "done"

        console.hold(story)
        assert console.bank.heard.count("1:sign_on") == 2
        assert "1:sign_off" in console.bank.heard
