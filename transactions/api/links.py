"""The links' addresses: parse, call a service, render."""

from collections.abc import Mapping
from typing import Any, Final

from django.http import Http404
from django.urls import reverse
from rest_framework.exceptions import APIException
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from processor import commands, configuring, links
from processor.checking import LinkRefused
from processor.commands import CommandRefused, UnknownLink
from processor.link.console import Verb
from processor.overview import Overview, overview
from processor.versions import Outdated
from staff.audit import Actor
from transactions.api import link_openapi as openapi
from transactions.api.checking import FieldError, Unacceptable
from transactions.api.link_shapes import LinksOut, command_out, link_out, parse_command, parse_configuration
from transactions.api.problems import ParameterWrong

_SCOPES: Final[Mapping[str, str]] = {"GET": "operate", "POST": "operate", "PUT": "operate"}


class ConfigurationOutdated(APIException):
    """The link has another version by now. Read it again and decide anew; nothing was changed."""

    status_code = 412
    default_detail = __doc__
    default_code = "outdated"


class LinksView(APIView):
    """`/links`"""

    scopes = _SCOPES

    @openapi.listing()
    def get(self, request: Request) -> Response:
        """List the links."""
        found = [overview(name) for name in links.names()]
        return Response(LinksOut([link_out(one) for one in found if one]))


class LinkView(APIView):
    """`/links/{name}`"""

    scopes = _SCOPES

    @openapi.showing()
    def get(self, request: Request, name: str) -> Response:
        """Return one link."""
        found = _found(name)
        return Response(link_out(found), headers={"ETag": f'"{found.version}"'})


class ConfigurationView(APIView):
    """`/links/{name}/config`"""

    scopes = _SCOPES

    @openapi.configuring()
    def put(self, request: Request, name: str) -> Response:
        """Let a link have another configuration."""
        expected = _expected(request)
        configuration, reason = parse_configuration(request.data)
        try:
            proposal = configuring.propose(name, configuration, expected, _actor(request), reason)
        except UnknownLink:
            raise Http404 from None
        except LinkRefused as refused:
            raise Unacceptable([FieldError(f"/{field}", "invalid", text) for field, text in refused.misfits]) from None
        except Outdated:
            raise ConfigurationOutdated from None
        if proposal.command_id is None:
            return Response(link_out(_found(name)), headers={"ETag": f'"{proposal.version}"'})
        return _asked(name, proposal.command_id)


class CommandsView(APIView):
    """`/links/{name}/commands`"""

    scopes = _SCOPES

    @openapi.commanding()
    def post(self, request: Request, name: str) -> Response:
        """Ask a link's worker for something."""
        asked = parse_command(request.data)
        verb = Verb(asked.command)
        try:
            command_id = commands.order(name, verb, asked.parameters, _actor(request), asked.reason)
        except UnknownLink:
            raise Http404 from None
        except CommandRefused as refused:
            pointer = {Verb.FAIL_OVER: "/endpoint", Verb.SEND: "/message"}.get(verb, "/command")
            raise Unacceptable([FieldError(pointer, "invalid", str(refused))]) from None
        return _asked(name, command_id)


class CommandView(APIView):
    """`/links/{name}/commands/{id}`"""

    scopes = _SCOPES

    @openapi.answering()
    def get(self, request: Request, name: str, command_id: int) -> Response:
        """Return a command, with its answer once there is one."""
        command = commands.find(name, command_id)
        if command is None:
            raise Http404
        return Response(command_out(command))


def _found(name: str) -> Overview:
    found = overview(name)
    if found is None:
        raise Http404
    return found


def _asked(name: str, command_id: int) -> Response:
    command = commands.find(name, command_id)
    assert command is not None  # noqa: S101  (commands are not deleted)
    headers = {"Location": reverse("link-command", args=[name, command_id])}
    return Response(command_out(command), status=202, headers=headers)


def _actor(request: Request) -> Actor:
    client: Any = request.user
    return Actor(client.actor, request.META.get("REMOTE_ADDR", ""), request.headers.get("User-Agent", ""))


def _expected(request: Request) -> int:
    tag = request.headers.get("If-Match", "").strip('"')
    if not (tag.isascii() and tag.isdigit() and len(tag) <= 9):
        raise ParameterWrong("Send If-Match with the link's version, as its ETag has it.")
    return int(tag)
