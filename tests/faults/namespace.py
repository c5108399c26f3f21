"""A network to cut: the holder's and the database's machines as network namespaces, joined by a cable of their own.

Needs root, `ip` and `nft`. Nothing of the machine's own network changes but for one cable more, to the host's side.

    database ── cut here ── holder ── never cut ── this machine, where host, standby and everything else are
"""

import os
import random
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

#: variant -> which way packets vanish: to the database, from it
CUTS: Final = {"both directions": (True, True), "answers only": (False, True), "questions only": (True, False)}


class NoNetwork(Exception):
    """Namespaces cannot be made here."""


@dataclass(frozen=True, slots=True)
class Network:
    """Names and addresses of one run."""

    name: str = field(default_factory=lambda: f"ferry{secrets.token_hex(3)}")
    #: of the range that is set aside for measuring networks
    octet: int = field(default_factory=lambda: random.randrange(256))

    @property
    def subnet(self) -> str:
        """Where holder and database are."""
        return f"198.18.{self.octet}.0/30"

    @property
    def database(self) -> str:
        """The database's address."""
        return f"198.18.{self.octet}.1"

    @property
    def holder(self) -> str:
        """The holder's address on the database's cable."""
        return f"198.18.{self.octet}.2"

    @property
    def outside(self) -> str:
        """This machine's address on the other cable; the holder's own one there is one higher."""
        return f"198.18.{self.octet}.5"

    @property
    def at_database(self) -> Sequence[str]:
        """What comes before a command that runs on the database's machine."""
        return _inside(f"{self.name}d")

    @property
    def at_holder(self) -> Sequence[str]:
        """What comes before a command that runs on the holder's machine."""
        return _inside(f"{self.name}h")

    def cut(self, way: str) -> None:
        """Let packets vanish where they arrive, so that no kernel tells its own process."""
        to_database, from_database = CUTS[way]
        if to_database:
            _run(*self.at_database, "nft", _drop_from(self.holder))
        if from_database:
            _run(*self.at_holder, "nft", _drop_from(self.database))

    def heal(self) -> None:
        """Let all packets through."""
        for place in (self.at_database, self.at_holder):
            _run(*place, "nft", "flush ruleset")

    def dropped(self) -> int:
        """How many packets vanished since the cut."""
        rules = [_run(*place, "nft", "list ruleset") for place in (self.at_database, self.at_holder)]
        words = " ".join(rules).split()
        return sum(int(words[at + 1]) for at, word in enumerate(words) if word == "packets")


@contextmanager
def network() -> Iterator[Network]:
    """Make a network for the length of a block; raises NoNetwork with a sentence."""
    if os.geteuid() != 0:
        raise NoNetwork("Network namespaces need root.")
    if missing := [tool for tool in ("ip", "nft", "nsenter") if shutil.which(tool) is None]:
        raise NoNetwork(f"{' and '.join(missing)} must be installed (packages iproute2, nftables, util-linux).")
    made = Network()
    places = (f"{made.name}d", f"{made.name}h")
    try:
        for place in places:
            _run("ip", "netns", "add", place)
            _run("ip", "-n", place, "link", "set", "lo", "up")
        _lay_cables(made, *places)
        yield made
    finally:
        # Cables end with either of their ends.
        for place in places:
            subprocess.run(["ip", "netns", "delete", place], capture_output=True, check=False)


def _lay_cables(made: Network, database: str, holder: str) -> None:
    one, other = f"{made.name}a", f"{made.name}b"
    _run("ip", "-n", holder, "link", "add", one, "type", "veth", "peer", "name", one, "netns", database)
    _run("ip", "-n", holder, "link", "add", other, "type", "veth", "peer", "name", other, "netns", str(os.getpid()))
    _address(("ip", "-n", database), one, made.database)
    _address(("ip", "-n", holder), one, made.holder)
    _address(("ip",), other, made.outside)
    _address(("ip", "-n", holder), other, f"198.18.{made.octet}.6")


def _address(ip: Sequence[str], cable: str, address: str) -> None:
    _run(*ip, "address", "add", f"{address}/30", "dev", cable)
    _run(*ip, "link", "set", cable, "up")


def _drop_from(address: str) -> str:
    return (
        "add table inet partition; "
        "add chain inet partition arriving { type filter hook input priority 0; }; "
        f"add rule inet partition arriving ip saddr {address} counter drop"
    )


def _inside(name: str) -> Sequence[str]:
    return ("nsenter", f"--net=/run/netns/{name}", "--")


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoNetwork(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout
