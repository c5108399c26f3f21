"""`manage.py link`: create, change and look at links."""

import getpass
import re
from argparse import ArgumentParser, BooleanOptionalAction
from pathlib import Path
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from processor import commands, links
from processor.checking import LinkRefused
from processor.codec.dialects import DIALECTS
from processor.keys.errors import KeyProblem
from processor.keys.store import install
from processor.link.breaker import BreakerState
from processor.link.console import WORDS, CommandState, Verb
from processor.link.framing import FRAMINGS
from processor.link.wishes import Wanted
from processor.models import Key
from processor.versions import FIELDS, Author
from staff.audit import Actor

_ENDPOINT: Final = re.compile(r"(?:\[(?P<address>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:\[\]]+)):(?P<port>[0-9]{1,5})\Z")
_DEFAULTS: Final = {
    "dialect": "bank-ascii87",
    "framing": "ascii4",
    "terminal_id": "ATM-001",
    "card_acceptor_id": "TRM-ISS001",
}


class Command(BaseCommand):
    help = (
        "Create a link or change it while everything runs; its worker takes a change over within seconds. "
        "Or tell that worker what to do, and wait for its answer."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the link's name, as in the queue link.NAME")
        words = [verb.value.replace("_", "-") for verb in WORDS]
        parser.add_argument("command", nargs="?", choices=words, help="for the worker that holds the link")
        parser.add_argument("--to", type=int, metavar="N", help="of fail-over: the number of the host, from 1")
        parser.add_argument("--message", help="of send: echo, sign_on or cut_over")
        parser.add_argument("--reason", default="", help="why, for whoever reads it later")
        parser.add_argument("--endpoint", action="append", metavar="HOST:PORT", help="a host, the first preferred")
        parser.add_argument("--dialect", choices=sorted(DIALECTS))
        parser.add_argument("--framing", choices=sorted(FRAMINGS))
        parser.add_argument("--window", type=int, help="messages that may wait for their answer at once (64)")
        parser.add_argument("--answer-timeout", type=float, dest="answer_timeout_s", help="seconds (30)")
        parser.add_argument("--echo-interval", type=float, dest="echo_interval_s", help="seconds (30)")
        parser.add_argument("--echo-timeout", type=float, dest="echo_timeout_s", help="seconds (10)")
        parser.add_argument("--sign-on-timeout", type=float, dest="sign_on_timeout_s", help="seconds (10)")
        parser.add_argument("--failback", type=float, dest="failback_s", help="seconds until the first is tried (60)")
        parser.add_argument(
            "--store-and-forward", action=BooleanOptionalAction, help="queue what cannot be sent now, or refuse it (on)"
        )
        parser.add_argument("--breaker-failures", type=int, help="failures in a row that open the breaker (5)")
        parser.add_argument("--breaker-rate", type=int, help="or failures in percent (50)")
        parser.add_argument("--breaker-volume", type=int, help="of at least so many messages (20)")
        parser.add_argument("--breaker-window", type=float, dest="breaker_window_s", help="within seconds (60)")
        parser.add_argument("--breaker-open", type=float, dest="breaker_open_s", help="seconds until it tries (60)")
        parser.add_argument("--breaker-successes", type=int, help="answered messages that close it (3)")
        for layer, usual in (("process", 10), ("network", 5), ("protocol", 30), ("resources", 15)):
            about = f"seconds between two looks at its health's layer ({usual})"
            parser.add_argument(f"--health-{layer}", type=float, dest=f"health_{layer}_s", help=about)
        parser.add_argument("--terminal-id", help="field 41 of messages that name none")
        parser.add_argument("--card-acceptor-id", help="field 42 of messages that name none")
        parser.add_argument("--time-zone", help="of fields 12 and 13, such as Asia/Jakarta")
        parser.add_argument("--bank-uuid", help="names the context in which this bank's keys are derived")
        parser.add_argument("--tpk", metavar="FILE", help="file with the PIN key in hexadecimal: install it")
        parser.add_argument("--tsk", metavar="FILE", help="file with the MAC key in hexadecimal: install it")

    def handle(self, name: str, **options: Any) -> None:
        changes = {field: options[field] for field in FIELDS if options[field] is not None}
        keys = {kind: options[kind.value.lower()] for kind in Key.Type if options[kind.value.lower()]}
        if changes or keys or options["endpoint"]:
            self._change(name, changes, options["endpoint"], keys, options["reason"])
        if options["command"]:
            self._tell(name, Verb(options["command"].replace("-", "_")), options)
        else:
            self._show(name)

    def _tell(self, name: str, verb: Verb, options: dict[str, Any]) -> None:
        """Ask the worker, and wait for its sentence."""
        given = {"endpoint": options["to"], "message": options["message"]}
        parameters = {field: value for field, value in given.items() if value is not None}
        try:
            command_id = commands.order(name, verb, parameters, Actor(_whoever()), options["reason"])
        except (commands.CommandRefused, commands.UnknownLink) as error:
            raise CommandError(str(error)) from None
        command = commands.wait(name, command_id)
        if command.state != CommandState.DONE:
            raise CommandError(f"{command.state}: {command.answer or 'it is not answered yet; look at it later.'}")
        self.stdout.write(command.answer)

    def _change(
        self, name: str, changes: dict[str, Any], endpoints: list[str] | None, keys: dict[Any, str], why: str
    ) -> None:
        if links.read(name) is None:
            changes = _DEFAULTS | changes
        try:
            hosts = None if endpoints is None else [_endpoint(text) for text in endpoints]
            terminal_keys = {kind: _read_key(path) for kind, path in keys.items()}
            link = links.configure(name, changes, hosts, Author(_whoever(), why))
            for kind, terminal_key in terminal_keys.items():
                install(link, kind, terminal_key)
        except (LinkRefused, KeyProblem) as error:
            raise CommandError(str(error)) from None

    def _show(self, name: str) -> None:
        config, live = links.read(name), links.live(name)
        if config is None or live is None:
            raise CommandError(f"There is no link {name}; create it with --endpoint HOST:PORT.")
        hosts = ", ".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in config.endpoints)
        state = "up" if live.up else f"down ({live.cause or live.state})"
        if live.wanted != Wanted.OPEN.value:
            state += f", {live.wanted} by staff"
        spared = "" if live.breaker == BreakerState.CLOSED.value else f", breaker {live.breaker.replace('_', ' ')}"
        taken_over = "" if live.version == config.version else f", its worker still at version {live.version}"
        if not live.version:
            taken_over = f"; no worker has held it yet: start one for the queue link.{name}"
        self.stdout.write(
            f"{config.name}: {state}{spared}{taken_over}\n"
            f"  to {hosts}, {config.dialect_name} in {config.framing}, version {config.version}\n"
            f"  window {config.window}, answer within {config.answer_timeout_s:g} s, "
            f"echo every {config.echo_interval_s:g} s with {config.echo_timeout_s:g} s to answer, "
            f"sign-on within {config.sign_on_timeout_s:g} s"
        )


def _whoever() -> str:
    return f"shell:{getpass.getuser()}"


def _endpoint(text: str) -> tuple[str, int]:
    found = _ENDPOINT.match(text)
    if not found:
        raise CommandError("An endpoint is HOST:PORT, or [ADDRESS]:PORT for an IPv6 address.")
    return found["address"] or found["host"], int(found["port"])


def _read_key(path: str) -> bytes:
    try:
        return bytes.fromhex(Path(path).read_text(encoding="ascii").strip())
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise CommandError(f"{path} does not hold a key in hexadecimal.") from None
