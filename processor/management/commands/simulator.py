"""`manage.py simulator`: a bank host to talk to."""

import asyncio
import signal
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from processor.codec.dialects import DIALECTS
from processor.keys.software import derive, mac_context, pin_context
from processor.link.framing import FRAMINGS
from processor.simulator import control
from processor.simulator.accounts import Books
from processor.simulator.journal import Journal
from processor.simulator.scenarios import BEHAVIOURS, DECLINES
from processor.simulator.server import Server
from processor.simulator.switch import HostKeys, Settings, Switch

# The published test keys of `bank-ascii87`: a simulator guards no money.
TEST_BANK = "48a9e84c-ff57-4483-bf83-b255f34a6466"
TEST_TPK = "246A31D729B280DD7FCDA3BB7F187ABFA1BB0811D7EF3D68FDCA63579F3748B0"
TEST_TSK = "3AC638783EF600FE5E25E8A2EE5B0D222EB810DDF64C3681DD11AFEFAF41614B"

_ENDINGS = "\n".join(f"  {ending}  {behaviour.value}" for ending, behaviour in BEHAVIOURS.items())
_EPILOG = f"""What it does with a request is chosen by the last two digits of its amount:
  {", ".join(sorted(DECLINES))}  declines with that code
{_ENDINGS}
Anything else is approved while the account has the money. Reversals and advices succeed.

{control.HELP}"""


class Command(BaseCommand):
    help = "Run a bank host that speaks ISO 8583: accounts, duplicates, reversals, and misbehaviour on demand."

    def create_parser(self, *args: Any, **kwargs: Any) -> Any:
        return super().create_parser(*args, epilog=_EPILOG, formatter_class=RawDescriptionHelpFormatter, **kwargs)

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
        parser.add_argument("--port", type=int, default=22222, help="port for ISO 8583 (%(default)s)")
        parser.add_argument("--control-port", type=int, default=22223, help="port of the control API (%(default)s)")
        parser.add_argument("--dialect", choices=sorted(DIALECTS), default="bank-ascii87", help="(%(default)s)")
        parser.add_argument("--framing", choices=sorted(FRAMINGS), default="ascii4", help="(%(default)s)")
        parser.add_argument("--state", type=Path, help="folder for accounts and journal (var/simulator)")
        parser.add_argument("--latency", type=float, default=0.0, help="seconds before every answer")
        parser.add_argument("--jitter", type=float, default=0.0, help="up to as many seconds more, at random")
        parser.add_argument("--client-waits", type=float, default=30.0, help="seconds a client waits (for ending 69)")
        parser.add_argument("--reversals", default="", help="answer reversals and advices with this code, or: silent")

    def handle(self, **options: Any) -> None:
        state = options["state"] or settings.STATE_DIR / "simulator"
        try:
            with Books.kept_in(state / "books.jsonl") as books:
                asyncio.run(_serve(books, state, options))
        except OSError as error:
            raise CommandError(f"The simulator cannot listen: {error.strerror or error}.") from None
        except KeyboardInterrupt:
            return


async def _serve(books: Books, state: Path, options: dict[str, Any]) -> None:
    keys = HostKeys(
        derive(bytes.fromhex(TEST_TPK), pin_context(TEST_BANK)), derive(bytes.fromhex(TEST_TSK), mac_context(TEST_BANK))
    )
    behaviour = Settings(options["latency"], options["jitter"], options["client_waits"], reversals=options["reversals"])
    switch = Switch(DIALECTS[options["dialect"]], books, keys, behaviour)
    server = Server(switch, options["framing"], Journal(state / "journal.jsonl"))
    loop = asyncio.get_running_loop()
    serving = asyncio.current_task()
    assert serving is not None  # noqa: S101
    loop.add_signal_handler(signal.SIGTERM, serving.cancel)
    control.Control(server, loop, options["host"], options["control_port"]).start()
    where = f"{options['host']}:{options['port']}"
    try:
        await server.serve(options["host"], options["port"], lambda: print(f"simulator ready on {where}", flush=True))  # noqa: T201
    except asyncio.CancelledError:
        return
