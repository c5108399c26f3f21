"""What the API's document says of links."""

from typing import Final

from drf_spectacular.utils import OpenApiExample, OpenApiParameter, extend_schema

from transactions.api.link_shapes import CommandIn, CommandOut, ConfigurationIn, LinkOut, LinksOut
from transactions.api.openapi import Documented, answers, described, shape

_HOW: Final = (
    "The worker that holds the link takes a command within a second, carries it out once or never, and answers in a "
    "sentence. `paused` stays signed on and sends reversals only: payments that can wait do, others are refused. "
    "`closed` has no connection until it is established. What is wanted outlives the worker. A command that no worker "
    "takes expires after a minute."
)
_COMMANDS: Final = {
    "a sign of life": {"command": "echo", "reason": "the bank asked for it"},
    "stop payments": {"command": "pause", "reason": "the bank's maintenance window"},
    "go on": {"command": "resume", "reason": "the maintenance is over"},
    "to the second host": {"command": "fail_over", "endpoint": 2, "reason": "the first is slow"},
    "another sign-on": {"command": "send", "message": "sign_on", "reason": "after their key change"},
}
_CONFIGURATION: Final = {
    "endpoints": [{"host": "127.0.0.1", "port": 22222}],
    "dialect": "bank-ascii87",
    "framing": "ascii4",
    "window": 64,
    "answer_timeout_s": 30,
    "echo_interval_s": 30,
    "echo_timeout_s": 10,
    "sign_on_timeout_s": 10,
    "failback_s": 60,
    "store_and_forward": True,
    "breaker_failures": 5,
    "breaker_rate": 50,
    "breaker_volume": 20,
    "breaker_window_s": 60,
    "breaker_open_s": 60,
    "breaker_successes": 3,
    "health_process_s": 10,
    "health_network_s": 5,
    "health_protocol_s": 30,
    "health_resources_s": 15,
    "terminal_id": "ATM-001",
    "card_acceptor_id": "TRM-ISS001",
    "time_zone": "Asia/Jakarta",
    "bank_uuid": None,
    "reason": "a longer window",
}
_IF_MATCH: Final = OpenApiParameter(
    "If-Match",
    {"type": "string", "pattern": '^"?[0-9]{1,9}"?$'},
    OpenApiParameter.HEADER,
    required=True,
    description="The version that you read, as the link's ETag has it; 412 when it is another one by now.",
    examples=[OpenApiExample("the first version", value='"1"')],
)


def listing() -> Documented:
    """Describe listing links."""
    return described("listLinks", "List links", {200: "Every link, as it is now."}, LinksOut)


def showing() -> Documented:
    """Describe reading a link."""
    return described("getLink", "Read a link", {200: "The link as it is now."}, LinkOut, (404,))


def configuring() -> Documented:
    """Describe changing a link's configuration."""
    return extend_schema(
        operation_id="putLinkConfiguration",
        summary="Let a link have another configuration",
        description="It is judged as a whole. The worker that holds the link looks whether the hosts are there, takes "
        "it over within seconds, or refuses it with the reason while the old one stays: 202 is the command "
        "that says so. Where no worker holds the link it stands at once.",
        parameters=[_IF_MATCH],
        request={"application/json": shape(ConfigurationIn)},
        examples=[OpenApiExample("the simulator's", value=_CONFIGURATION, request_only=True)],
        responses={
            **answers({200: "It stands."}, LinkOut, 400, 404, 412, 413, 415, 422, 429, 503),
            **answers({202: "The worker decides."}, CommandOut),
        },
    )


def commanding() -> Documented:
    """Describe asking a link's worker for something."""
    return described(
        "createLinkCommand",
        "Ask a link's worker for something",
        {202: "It is asked; its address has the answer."},
        CommandOut,
        (400, 404, 413, 415, 422),
        description=_HOW,
        request={"application/json": shape(CommandIn)},
        examples=[OpenApiExample(name, value=value, request_only=True) for name, value in _COMMANDS.items()],
    )


def answering() -> Documented:
    """Describe reading a command."""
    return described("getLinkCommand", "Read a command and its answer", {200: "The command."}, CommandOut, (404,))
