"""What a link's configuration must fulfil before it is anybody's: each requirement a sentence."""

import ipaddress
import re
import uuid
from collections.abc import Iterator, Sequence
from typing import Final
from zoneinfo import available_timezones

from processor.codec.dialects import DIALECTS
from processor.errors import ProcessorError
from processor.link.framing import FRAMINGS
from processor.models import Link

_NAME: Final = re.compile(r"[0-9A-Za-z_-]{1,50}\Z")
_HOST: Final = re.compile(r"[0-9A-Za-z_](?:[0-9A-Za-z_.-]{0,251}[0-9A-Za-z])?\Z")
_TEXT: Final = re.compile(r"[!-~](?:[ -~]*[!-~])?\Z")


class LinkRefused(ProcessorError):
    """A link cannot be configured like that."""

    permanent = True

    def __init__(self, misfits: Sequence[tuple[str, str]]) -> None:
        super().__init__(misfits[0][1])
        #: (field, sentence) of everything that is wrong
        self.misfits = tuple(misfits)


def check(link: Link, endpoints: Sequence[tuple[str, int]] | None) -> None:
    """Raise LinkRefused with what is not fulfilled; None for endpoints that stay as they are."""
    if misfits := [(field, sentence) for field, sentence, fits in _requirements(link, endpoints) if not fits]:
        raise LinkRefused(misfits)


def _requirements(link: Link, endpoints: Sequence[tuple[str, int]] | None) -> Iterator[tuple[str, str, bool]]:
    """Each requirement by the field it is about, in a sentence, and whether it is fulfilled."""
    hosts = endpoints or ()
    named = "A link's name is 1 to 50 letters, digits, dashes and underscores."
    yield "name", named, bool(_NAME.match(link.name))
    yield "endpoints", "A link needs at least one endpoint: --endpoint HOST:PORT.", endpoints is None or bool(hosts)
    address = "An endpoint is HOST:PORT with a host name or an address, and a port from 1 to 65535."
    yield "endpoints", address, all(_is_host(host) and 0 < port < 65536 for host, port in hosts)
    yield "endpoints", "An endpoint is named twice.", len(set(hosts)) == len(hosts)
    yield from _speaking(link)
    for field in _TIMERS:
        yield field, "Timeouts and intervals are 0.1 to 3600 seconds.", 0.1 <= getattr(link, field) <= 3600
    for field in _COUNTS:
        sentence = "The breaker counts 1 to 10000 failures, messages and successes."
        yield field, sentence, 1 <= getattr(link, field) <= 10_000
    yield "breaker_rate", "The breaker's rate is 1 to 100 percent.", 1 <= link.breaker_rate <= 100
    in_time = link.echo_timeout_s <= link.echo_interval_s
    yield "echo_timeout_s", "An echo must be answered before the next one is due.", in_time


def _speaking(link: Link) -> Iterator[tuple[str, str, bool]]:
    """What a link's messages are made of."""
    dialect = DIALECTS.get(link.dialect)
    width = dialect.rules[41].pad_to if dialect else 0
    yield "dialect", f"The dialect must be one of {', '.join(DIALECTS)}.", dialect is not None
    yield "framing", f"The framing must be one of {', '.join(FRAMINGS)}.", link.framing in FRAMINGS
    yield "time_zone", "The time zone must be a name such as Asia/Jakarta.", link.time_zone in available_timezones()
    terminal = f"The terminal id takes 1 to {width} characters of ASCII in this dialect."
    yield "terminal_id", terminal, dialect is None or _fits(link.terminal_id, width)
    acceptor = "The card acceptor id takes 1 to 15 characters of ASCII."
    yield "card_acceptor_id", acceptor, _fits(link.card_acceptor_id, 15)
    yield "bank_uuid", "The bank's UUID must be one.", link.bank_uuid is None or _is_uuid(str(link.bank_uuid))
    yield "window", "The window is 1 to 1024 messages.", 1 <= link.window <= 1024


_TIMERS: Final = (
    *("answer_timeout_s", "echo_interval_s", "echo_timeout_s", "sign_on_timeout_s", "failback_s"),
    *("breaker_window_s", "breaker_open_s"),
    *("health_process_s", "health_network_s", "health_protocol_s", "health_resources_s"),
)
_COUNTS: Final = ("breaker_failures", "breaker_volume", "breaker_successes")


def _fits(text: str, width: int) -> bool:
    return len(text) <= width and _TEXT.match(text) is not None


def _is_host(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return _HOST.match(text) is not None
    return True


def _is_uuid(text: str) -> bool:
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True
