"""The faults of a chaos run, by name: what is done, and for how long. Each returns once it is healed."""

import random
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from processor.lease import TTL_S
from tests.faults.brokers import Broker
from tests.faults.listener import Listener
from tests.faults.services import Services
from tests.faults.stack import ProxiedFerry
from tests.receiver import Manner, answering, cut_off, hanging


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything a fault may touch."""

    ferry: ProxiedFerry
    services: Services
    broker: Broker
    listener: Listener
    dice: random.Random


Fault = Callable[[Scene], None]


def kill(*names: str) -> Fault:
    """kill -9 of one of these; who keeps the processes starts it again."""
    return lambda scene: scene.ferry.processes[scene.dice.choice(names)].popen.kill()


def pause(name: str, least_s: float, most_s: float) -> Fault:
    """SIGSTOP for a while."""

    def act(scene: Scene) -> None:
        ferry = scene.ferry
        process = ferry.holder() if name == "holder" else ferry.processes[name]
        ferry.pause(process, scene.dice.uniform(least_s, most_s))

    return act


def wire(least_s: float, most_s: float, settings: Mapping[str, Any]) -> Fault:
    """The wire is so for a while."""

    def act(scene: Scene) -> None:
        scene.ferry.wire(**settings)
        try:
            time.sleep(scene.dice.uniform(least_s, most_s))
        finally:
            scene.ferry.wire(**{name: _HEALTHY[name] for name in settings})

    return act


def frames(action: str, times: int = 1, **picks: Any) -> Fault:
    """The next frames of a kind are so."""
    return lambda scene: scene.ferry.rule(action, times=times, **picks)


def host(least_s: float, most_s: float, settings: Mapping[str, Any], *, drop: bool = False) -> Fault:
    """The host is so for a while."""

    def act(scene: Scene) -> None:
        scene.ferry.control("PUT", "/settings", settings)
        if drop:
            scene.ferry.control("POST", "/drop")
        try:
            time.sleep(scene.dice.uniform(least_s, most_s))
        finally:
            scene.ferry.control_when_up("PUT", "/settings", {name: _HOST[name] for name in settings})

    return act


def receiver(least_s: float, most_s: float, manner: Manner) -> Fault:
    """Whoever is told of payments is so for a while."""

    def act(scene: Scene) -> None:
        scene.listener.manner = manner
        time.sleep(scene.dice.uniform(least_s, most_s))
        scene.listener.behave()

    return act


def _kill_holder(scene: Scene) -> None:
    scene.ferry.holder().popen.kill()


def _restart_host(scene: Scene) -> None:
    """Orderly: its books and its journal are two files."""
    scene.ferry.processes["simulator"].stop()
    scene.ferry.control_when_up("PUT", "/settings", _HOST)


def _freeze_broker(scene: Scene) -> None:
    with scene.broker.frozen():
        time.sleep(scene.dice.uniform(1, 5))


def _cut_database_connections(scene: Scene) -> None:
    scene.ferry.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid() AND random() < 0.5"
    )


def freeze(name: str, least_s: float, most_s: float) -> Fault:
    """A service hangs for a while."""

    def act(scene: Scene) -> None:
        with scene.services.frozen(name):
            time.sleep(scene.dice.uniform(least_s, most_s))

    return act


def restart(name: str, sent: signal.Signals) -> Fault:
    """A service ends and comes back."""
    return lambda scene: scene.services.restart(name, sent)


_HEALTHY: Final[Mapping[str, Any]] = {
    "latency_s": 0.0,
    "jitter_s": 0.0,
    "slice_bytes": 0,
    "bytes_per_s": 0,
    "reads": True,
    "swallow": "",
    "refuse": False,
}
_HOST: Final[Mapping[str, Any]] = {
    "latency_s": 0.02,
    "jitter_s": 0.03,
    "client_waits_s": 2.0,
    "reversals": "",
    "refuse_sign_on": False,
    "mute": False,
}

#: name -> (how often, what)
FAULTS: Final[Mapping[str, tuple[int, Fault]]] = {
    "kill web": (8, kill("web")),
    "kill worker": (10, kill("worker-1", "worker-2")),
    "kill holder of the link": (10, _kill_holder),
    "kill a link worker": (4, kill("link-1", "link-2")),
    "kill beat": (3, kill("beat")),
    "pause holder beyond its lease": (3, pause("holder", TTL_S + 1, TTL_S + 3)),
    "pause holder": (4, pause("holder", 0.5, 4)),
    "pause worker": (3, pause("worker-1", 0.5, 4)),
    "reset": (6, lambda scene: scene.ferry.proxy("POST", "/reset")),
    "host drops connections": (3, lambda scene: scene.ferry.control("POST", "/drop")),
    "connections refused": (2, wire(1, 3, {"refuse": True})),
    "half-open": (3, wire(2, 6, {"swallow": "both"})),
    "answers vanish": (2, wire(1, 3, {"swallow": "in"})),
    "requests vanish": (2, wire(1, 3, {"swallow": "out"})),
    "latency": (3, wire(1, 4, {"latency_s": 0.5, "jitter_s": 1.8})),
    "slow line": (2, wire(1, 4, {"bytes_per_s": 2000})),
    "one-byte slices": (3, wire(1, 3, {"slice_bytes": 1})),
    "host stops reading": (3, wire(1, 6, {"reads": False})),
    "duplicate answers": (4, frames("duplicate", 5, direction="in", mti="02")),
    "reordered answers": (4, frames("delay", 5, direction="in", mti="02", seconds=0.3)),
    "late answers": (4, frames("delay", 5, direction="in", mti="0210", seconds=2.6)),
    "late reversal answers": (3, frames("delay", 2, direction="in", mti="0430", seconds=2.6)),
    "sign-on or echo lost": (1, frames("drop", direction="out", mti="08")),
    "reversal lost": (2, frames("drop", 2, direction="out", mti="04")),
    "reversal cut": (2, frames("cut", direction="out", mti="04")),
    "answer lost": (3, frames("drop", 3, direction="in", mti="02")),
    "request lost": (3, frames("drop", 3, direction="out", mti="02")),
    "garbage": (3, frames("garbage", direction="in", mti="02")),
    "changed amount": (3, frames("mutate", 2, direction="in", mti="0210", fields={"4": "000000000001"})),
    "changed STAN": (2, frames("mutate", direction="in", mti="02", fields={"11": "999999"})),
    "frame cut on its way out": (3, frames("cut", direction="out", mti="02")),
    "frame cut on its way in": (3, frames("cut", direction="in", mti="02")),
    "reset behind a request": (3, frames("pass_and_reset", direction="out", mti="02")),
    "host mute": (2, host(1, 4, {"mute": True})),
    "host refuses sign-on": (2, host(1, 4, {"refuse_sign_on": True}, drop=True)),
    "host refuses reversals": (2, host(1, 4, {"reversals": "91"})),
    "host silent to reversals": (2, host(1, 4, {"reversals": "silent"})),
    "host slow": (2, host(1, 4, {"latency_s": 1.5, "jitter_s": 1.0})),
    "host signs us off": (2, lambda scene: scene.ferry.control("POST", "/send", {"message": "sign-off"})),
    "host restarts": (2, _restart_host),
    "PostgreSQL restarts": (3, restart("postgres", signal.SIGINT)),
    "PostgreSQL crashes": (3, restart("postgres", signal.SIGQUIT)),
    "PostgreSQL hangs": (2, freeze("postgres", 1, TTL_S + 2)),
    "database connections cut": (4, _cut_database_connections),
    "broker killed": (3, lambda scene: scene.broker.kill()),
    "broker wiped": (3, lambda scene: scene.broker.wipe(scene.dice)),
    "broker hangs": (2, _freeze_broker),
    "receiver fails": (2, receiver(1, 6, answering(503))),
    "receiver hangs": (2, receiver(1, 6, hanging)),
    "receiver goes while it answers": (2, receiver(1, 6, cut_off)),
}
