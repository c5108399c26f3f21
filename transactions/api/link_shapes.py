"""The shapes of links, their configuration and the commands to their workers."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Struct

from processor.link.console import Verb
from processor.models import LinkCommand
from processor.overview import Overview
from transactions.api.checking import parse

Seconds = Annotated[float, Meta(ge=0.1, le=3600, description="Seconds.")]
Count = Annotated[int, Meta(ge=1, le=10_000)]
Reason = Annotated[str, Meta(min_length=1, max_length=200, description="Why, for whoever reads it later.")]


class HostIn(Struct, forbid_unknown_fields=True, frozen=True):
    """A host of a link."""

    host: Annotated[str, Meta(min_length=1, max_length=253, examples=["switch.bank.example"])]
    port: Annotated[int, Meta(ge=1, le=65535)]


class ConfigurationIn(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A link's whole configuration: what is left out is wrong, not as it was."""

    endpoints: Annotated[list[HostIn], Meta(min_length=1, max_length=16, description="The first is preferred.")]
    dialect: str
    framing: str
    window: Annotated[int, Meta(ge=1, le=1024, description="Messages that may wait for their answer at once.")]
    answer_timeout_s: Seconds
    echo_interval_s: Seconds
    echo_timeout_s: Seconds
    sign_on_timeout_s: Seconds
    failback_s: Seconds
    store_and_forward: bool
    breaker_failures: Count
    breaker_rate: Annotated[int, Meta(ge=1, le=100)]
    breaker_volume: Count
    breaker_window_s: Seconds
    breaker_open_s: Seconds
    breaker_successes: Count
    health_process_s: Seconds
    health_network_s: Seconds
    health_protocol_s: Seconds
    health_resources_s: Seconds
    terminal_id: str
    card_acceptor_id: str
    time_zone: str
    bank_uuid: str | None
    reason: Reason


class CommandIn(Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """Something for the worker that holds a link."""

    command: Literal[
        "establish", "close", "sign_on", "sign_off", "echo", "health_check", "send", "fail_over", "reset_breaker",
        "drain", "pause", "resume", "reload"
    ]  # fmt: skip
    reason: Reason
    endpoint: Annotated[int, Meta(ge=1, le=16, description="Of fail_over: the number of a host, from 1.")] | None = None
    message: Annotated[str, Meta(description="Of send: echo, sign_on or cut_over.")] | None = None

    @property
    def parameters(self) -> dict[str, Any]:
        """What comes with the command."""
        given = {"endpoint": self.endpoint, "message": self.message}
        return {name: value for name, value in given.items() if value is not None}


class CommandOut(Struct, frozen=True, kw_only=True):
    """A command and its answer."""

    id: int
    link: str
    command: str
    parameters: dict[str, Any]
    state: Annotated[str, Meta(description="open, running; final: done, refused, failed, expired.")]
    asked_by: str
    reason: str
    asked_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    epoch: int | None
    answer: Annotated[str, Meta(description="A sentence; empty until there is one.")]
    detail: Annotated[dict[str, Any], Meta(description="What there is to show: messages field by field, masked.")]


class RefusedOut(Struct, frozen=True):
    """A configuration that was not taken over."""

    at: datetime | None
    reason: str


class ConfigurationOut(Struct, frozen=True, kw_only=True):
    """A link's configuration, and whether its worker uses it."""

    version: int
    in_use: Annotated[int, Meta(description="The version that the worker has taken over.")]
    values: dict[str, Any]
    refused: Annotated[RefusedOut | None, Meta(description="The last one that was refused, if none stands since.")]


class LayerOut(Struct, frozen=True):
    """One layer of a link's health: process, network, protocol or resources."""

    score: Annotated[int, Meta(ge=0, le=100)]
    lowered_by: list[str]


class HealthOut(Struct, frozen=True):
    """How well a link is, in all and by layer."""

    state: Annotated[str, Meta(description="CONNECTING, ACTIVE, DEGRADED or FAILED.")]
    score: Annotated[int, Meta(ge=0, le=100)]
    lowered_by: list[str]
    layers: dict[str, LayerOut]


class LinkOut(Struct, frozen=True, kw_only=True):
    """A link as it is now."""

    name: str
    up: Annotated[bool, Meta(description="Signed on, the last echo answered, and held by a worker.")]
    carries: Annotated[bool, Meta(description="Payments go out now.")]
    wanted: Annotated[str, Meta(description="What staff want of it: open, paused or closed.")]
    state: str
    cause: str
    since: datetime | None
    endpoint: str
    preferred_endpoint: str
    next_endpoint: Annotated[str, Meta(description="Tried when the one in use is lost; empty where there is no other.")]
    breaker: str
    last_echo_at: datetime | None
    echo_ms: float | None
    business_date: date
    holder: str
    epoch: int
    health: HealthOut
    configuration: ConfigurationOut


class LinksOut(Struct, frozen=True):
    """Every link."""

    items: list[LinkOut]


LINK_SHAPES: Final = (CommandIn, CommandOut, ConfigurationIn, LinkOut, LinksOut)


def parse_configuration(body: Any) -> tuple[dict[str, Any], str]:
    """Return a configuration as a document, and why it is wanted; raises Unacceptable."""
    given: dict[str, Any] = msgspec.to_builtins(parse(body, ConfigurationIn))
    return given, given.pop("reason")


def parse_command(body: Any) -> CommandIn:
    """Return what a body asks for; raises Unacceptable."""
    return parse(body, CommandIn)


def command_out(command: LinkCommand) -> CommandOut:
    """Return a command as a client sees it; a configuration is not repeated."""
    parameters = {} if command.verb == Verb.CONFIGURE.value else command.parameters
    return CommandOut(
        id=command.id,
        link=command.link,
        command=command.verb,
        parameters=parameters,
        state=command.state,
        asked_by=command.asked_by,
        reason=command.reason,
        asked_at=command.asked_at,
        started_at=command.started_at,
        ended_at=command.ended_at,
        epoch=command.epoch,
        answer=command.answer,
        detail=command.detail,
    )


def link_out(link: Overview) -> LinkOut:
    """Return a link as a client sees it."""
    refused = RefusedOut(link.refused.at, link.refused.reason) if link.refused else None
    return LinkOut(
        name=link.name,
        up=link.live.up,
        carries=link.live.carries,
        wanted=link.live.wanted,
        state=link.status.state,
        cause=link.status.cause,
        since=link.status.since,
        endpoint=link.status.endpoint,
        preferred_endpoint=link.preferred,
        next_endpoint=link.next_endpoint,
        breaker=link.status.breaker,
        last_echo_at=link.status.last_echo_at,
        echo_ms=link.status.echo_ms,
        business_date=link.live.business_date,
        holder="" if link.lease.released else link.lease.holder,
        epoch=link.lease.epoch,
        health=HealthOut(
            link.health.state.value,
            link.health.score,
            list(link.health.lowered_by),
            {name: LayerOut(found.score, list(found.lowered_by)) for name, found in link.layers.items()},
        ),
        configuration=ConfigurationOut(
            version=link.version, in_use=link.live.version, values=link.configuration, refused=refused
        ),
    )
