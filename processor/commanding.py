"""Carries out what staff ask of the link that this process holds: one command at a time, each once or never.

Owns claiming, waiting and answering in sentences. What a link refuses is `link.console`'s to say; what moves the
link is the holder's.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeAlias

import structlog

from processor.adopting import NotAdopted, adopt
from processor.answering import Answer, done, failed, shown
from processor.connection import Connection
from processor.link.console import CommandState, Footing, Verb, refusal
from processor.link.reconciliation import read_parameters
from processor.link.wishes import Wanted
from processor.links import LinkConfig
from processor.reconciling import reconcile
from processor.session import Session
from processor.store import LinkReport, LinkStore, Ordered, insist

_LOOK_EVERY_S: Final = 0.05
#: connecting, signing on and the first echo, with a host that is slow at each, or a round of two of them
_COME_UP_S: Final = 30.0
_REACH_S: Final = 2.0
#: the session that stands is left within 3 s
_TAKE_OVER_S: Final = 10.0

_log = structlog.get_logger(__name__)


class Helm(Protocol):
    """What the holder of a link lets a command do."""

    @property
    def config(self) -> LinkConfig | None:
        """The configuration in use; None before the first was read."""

    @property
    def footing(self) -> Footing:
        """How the link stands."""

    @property
    def session(self) -> Session | None:
        """The session that stands or is about to, if one does."""

    @property
    def report(self) -> LinkReport:
        """What was last said of the link."""

    async def want(self, wanted: Wanted, endpoint: str | None = None) -> None:
        """Keep what staff want, and do it; what is written no more is given back when this returns."""

    def reload(self) -> None:
        """Begin a new session with the configuration as it is now."""

    def reset_breaker(self) -> None:
        """Close the breaker."""


Act: TypeAlias = Callable[["Commander", dict[str, Any]], Awaitable[Answer]]


class Commander:
    """Takes a link's commands while its lease is ours."""

    def __init__(self, link: str, store: LinkStore, helm: Helm) -> None:
        self._link = link
        self._store = store
        self._helm = helm
        self._wanted = asyncio.Event()
        #: what holders before us left unfinished is marked at once
        self._wanted.set()

    def look(self) -> None:
        """There may be a command."""
        self._wanted.set()

    async def run(self) -> None:
        """Carry out commands for ever, from when the link's configuration was read."""
        await self._until(lambda: self._helm.config is not None, float("inf"))
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            while (command := await insist(self._link, self._store.claim_command)) is not None:
                await self._carry_out(command)

    async def _carry_out(self, command: Ordered) -> None:
        _log.info("link.commanded", link=self._link, verb=command.verb.value, command=command.id)
        wrong = refusal(command.verb, command.parameters, self._helm.footing)
        if wrong:
            answer = Answer(CommandState.REFUSED, wrong)
        else:
            answer = await _ACTS[command.verb](self, command.parameters)
        _log.info("link.answered", link=self._link, command=command.id, state=answer.state.value)
        await insist(
            self._link,
            lambda: self._store.finish_command(command.id, answer.state, answer.sentence, answer.detail),
        )

    # Sessions

    async def _establish(self, _: dict[str, Any]) -> Answer:
        await self._helm.want(Wanted.OPEN)
        return await self._come_up()

    async def _come_up(self, where: str = "") -> Answer:
        if await self._until(lambda: self._is_up(where), _COME_UP_S):
            return done(f"The link is up, to {self._endpoint}.")
        report = self._helm.report
        why = report.cause.replace("_", " ") or report.state.replace("_", " ")
        return failed(f"The link did not come up within {_COME_UP_S:.0f} s: {why}. It goes on trying.")

    async def _close(self, _: dict[str, Any]) -> Answer:
        await self._helm.want(Wanted.CLOSED)
        if not await self._until(lambda: self._helm.session is None, _COME_UP_S):
            return failed("The connection stands yet; no payment goes out on it any more.")
        return done("Signed off and disconnected. No payment goes out until the link is established again.")

    async def _sign_on(self, parameters: dict[str, Any]) -> Answer:
        if self._helm.footing.is_up:
            return await self._converse("sign_on")
        return await self._establish(parameters)

    async def _sign_off(self, parameters: dict[str, Any]) -> Answer:
        await self._drain(parameters)
        return await self._close(parameters)

    async def _reload(self, _: dict[str, Any]) -> Answer:
        before = self._helm.session
        self._helm.reload()
        await self._until(lambda: self._helm.session is not before, _COME_UP_S)
        return await self._come_up()

    async def _fail_over(self, parameters: dict[str, Any]) -> Answer:
        config, wanted = self._config, self._helm.footing.wanted
        host, port = endpoint = config.endpoints[parameters["endpoint"] - 1]
        is_here = parameters["endpoint"] - 1 == self._helm.footing.turn
        if not is_here and not await Connection.reaches(endpoint, _REACH_S):
            sentence = f"{host}:{port} takes no connections, so the link was not touched."
            return Answer(CommandState.REFUSED, sentence)
        await self._helm.want(wanted, "" if endpoint == config.endpoints[0] else f"{host}:{port}")
        return await self._come_up(f"{host}:{port}")

    async def _configure(self, parameters: dict[str, Any]) -> Answer:
        in_use = self._config.endpoints[self._helm.footing.turn] if self._helm.session else None
        try:
            version = await adopt(self._link, parameters, in_use)
        except NotAdopted as error:
            return Answer(CommandState.REFUSED, str(error))
        if await self._until(lambda: self._config.version >= version, _TAKE_OVER_S):
            return done(f"Version {version} is in use.")
        return failed(f"Version {version} stands, and is not in use yet.")

    # Payments

    async def _pause(self, _: dict[str, Any]) -> Answer:
        await self._helm.want(Wanted.PAUSED)
        left = self._in_flight
        return done(f"No payment is taken any more; reversals go on. {left} in flight wait for their answers.")

    async def _drain(self, _: dict[str, Any]) -> Answer:
        await self._helm.want(Wanted.PAUSED)
        patience_s = self._config.answer_timeout_s + 1.0
        if await self._until(lambda: self._in_flight == 0, patience_s):
            return done("Nothing is in flight, and no payment is taken until the link is resumed.")
        return failed(f"{self._in_flight} are in flight yet, reversals perhaps; no payment is taken any more.")

    async def _resume(self, _: dict[str, Any]) -> Answer:
        await self._helm.want(Wanted.OPEN)
        if self._helm.footing.is_up:
            return done("Payments are taken again.")
        return done("Payments are taken again. The link is down yet; they go out once it is up.")

    async def _reset_breaker(self, _: dict[str, Any]) -> Answer:
        self._helm.reset_breaker()
        return done("The breaker is closed: payments go out again.")

    # Talking to the host

    async def _echo(self, _: dict[str, Any]) -> Answer:
        return await self._converse("echo")

    async def _send(self, parameters: dict[str, Any]) -> Answer:
        return await self._converse(parameters["message"])

    async def _reconcile(self, parameters: dict[str, Any]) -> Answer:
        asked = read_parameters(parameters)
        assert asked is not None  # noqa: S101  (what does not fit was refused)
        return await reconcile(self._helm.session, self._config, asked)

    async def _health_check(self, _: dict[str, Any]) -> Answer:
        footing, report = self._helm.footing, self._helm.report
        facts = {"state": report.state, "wanted": footing.wanted.value, "breaker": report.breaker}
        if not footing.is_up:
            why = report.cause.replace("_", " ") or report.state.replace("_", " ")
            return failed(f"The link is down: {why}. Payments wait.", checks=facts)
        told = await self._converse("echo")
        detail = {**told.detail, "checks": {**facts, "endpoint": self._endpoint, "in_flight": self._in_flight}}
        return Answer(told.state, f"The link is up, to {self._endpoint}. {told.sentence}", detail)

    async def _converse(self, purpose: str) -> Answer:
        """Send a network management message, and say what was answered."""
        session, dialect = self._helm.session, self._config.dialect
        talk = session and await session.ask(purpose)
        if not talk:
            return failed("The link went down before anything was sent.")
        sent, reply = talk
        detail: dict[str, Any] = {"sent": shown(sent, dialect)}
        if reply.body is None:
            return failed("The bank did not answer.", **detail)
        detail |= {"received": shown(reply.body, dialect), "ms": round(reply.elapsed_s * 1000, 1)}
        code = dialect.read_code(detail["received"]["fields"].get("39", ""))
        sentence = f"The bank answered with code {code or 'none'} after {reply.elapsed_s * 1000:.0f} ms."
        return Answer(CommandState.DONE if code == "00" else CommandState.FAILED, sentence, detail)

    # How it is

    @property
    def _config(self) -> LinkConfig:
        assert self._helm.config is not None  # noqa: S101  (nothing is carried out before it was read)
        return self._helm.config

    def _is_up(self, where: str) -> bool:
        return self._helm.footing.is_up and where in ("", self._endpoint)

    @property
    def _endpoint(self) -> str:
        footing = self._helm.footing
        return footing.hosts[footing.turn]

    @property
    def _in_flight(self) -> int:
        return len(self._helm.session.entries) if self._helm.session else 0

    @staticmethod
    async def _until(is_so: Callable[[], bool], patience_s: float) -> bool:
        loop = asyncio.get_running_loop()
        until = loop.time() + patience_s
        while not (so := is_so()) and loop.time() < until:
            await asyncio.sleep(_LOOK_EVERY_S)
        return so


_ACTS: Final[dict[Verb, Act]] = {
    Verb.ESTABLISH: Commander._establish,  # noqa: SLF001  (a table of its own methods)
    Verb.CLOSE: Commander._close,  # noqa: SLF001
    Verb.SIGN_ON: Commander._sign_on,  # noqa: SLF001
    Verb.SIGN_OFF: Commander._sign_off,  # noqa: SLF001
    Verb.ECHO: Commander._echo,  # noqa: SLF001
    Verb.HEALTH_CHECK: Commander._health_check,  # noqa: SLF001
    Verb.SEND: Commander._send,  # noqa: SLF001
    Verb.FAIL_OVER: Commander._fail_over,  # noqa: SLF001
    Verb.RESET_BREAKER: Commander._reset_breaker,  # noqa: SLF001
    Verb.DRAIN: Commander._drain,  # noqa: SLF001
    Verb.PAUSE: Commander._pause,  # noqa: SLF001
    Verb.RESUME: Commander._resume,  # noqa: SLF001
    Verb.CONFIGURE: Commander._configure,  # noqa: SLF001
    Verb.RECONCILE: Commander._reconcile,  # noqa: SLF001
    Verb.RELOAD: Commander._reload,  # noqa: SLF001
}
