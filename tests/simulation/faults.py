"""What goes wrong in a seed: a random few of all faults, in periods with calm between them, then everything heals."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from tests.simulation.bugs import Bugs
from tests.simulation.network import Weather
from tests.simulation.world import Process

if TYPE_CHECKING:
    from tests.simulation.seed import Seed

_Fault = Callable[["Seed"], None]
_CALM_ENDINGS: Final = ("00", "50", "25")
_ENDINGS: Final = ("68", "69", "70", "71", "72", "73", "74", "05", "51", "91", "96", "91")


class Faults:
    """The faults of one seed."""

    def __init__(self, seed: "Seed") -> None:
        self._seed = seed
        self._dice = seed.world.random
        few = self._dice.choice([0, 1, 2, 3, 4, 6])
        self._lasting = self._dice.sample(sorted(_LASTING), few)
        self._sudden = self._dice.sample(sorted(_SUDDEN), self._dice.choice([0, 1, 2, 3]))
        for name in seed.forced:
            wanted = self._lasting if name in _LASTING else self._sudden
            wanted += [name] if name not in wanted else []
        self._bad_amounts = self._dice.choice([0.0, 0.0, 0.3])

    def ending(self) -> str:
        """Return the end of an amount: what the host is to do with it."""
        return self._dice.choice(_ENDINGS if self._seed.world.chance(self._bad_amounts) else _CALM_ENDINGS)

    def plan(self, until: float) -> None:
        """Lay periods of faults and of calm."""
        world = self._seed.world
        begins = world.between(0.0, 5.0)
        while begins < until:
            ends = min(until, begins + world.between(3.0, 15.0))
            world.at(begins, None, self._begin)
            for name in self._sudden:
                world.at(world.between(begins, ends), None, lambda name=name: self._strike(name))  # type: ignore[misc]
            world.at(ends, None, self._calm)
            begins = ends + world.between(1.0, 8.0)

    def heal(self) -> None:
        """Everything works again, every clock is right."""
        self._calm()
        seed = self._seed
        seed.stage.away_until = 0.0
        seed.stage.cut_off.clear()
        seed.world.database_off_s = 0.0
        for process in _processes(seed):
            process.wall_off_s = 0.0
        seed.world.log("healed")

    def _begin(self) -> None:
        for name in self._lasting:
            self._seed.world.fault(name)
            _LASTING[name](self._seed)

    def _strike(self, name: str) -> None:
        self._seed.world.fault(name)
        _SUDDEN[name](self._seed)

    def _calm(self) -> None:
        seed = self._seed
        seed.host.bugs = Bugs()
        seed.network.weather = Weather()
        seed.network.down.clear()
        stage, bells = seed.stage, seed.bells
        stage.slowest_s, stage.loses, stage.loses_acknowledgement, stage.arrives_late = 0.01, 0.0, 0.0, 0.0
        bells.loses, bells.doubles, bells.slowest_s = 0.0, 0.0, 0.02
        seed.staff.acts = seed.staff.commands = 0.0
        for client in seed.clients:
            client.other_bodies = client.lost_answers = client.cancels = client.retries = 0.0
        seed.world.log("calm")


def _host(**bugs: float) -> _Fault:
    def begin(seed: "Seed") -> None:
        for name, value in bugs.items():
            setattr(seed.host.bugs, name, value)

    return begin


def _weather(**changes: float) -> _Fault:
    def begin(seed: "Seed") -> None:
        for name, value in changes.items():
            setattr(seed.network.weather, name, value)

    return begin


def _stage(**changes: float) -> _Fault:
    def begin(seed: "Seed") -> None:
        for name, value in changes.items():
            setattr(seed.stage, name, value)

    return begin


def _bells(**changes: float) -> _Fault:
    def begin(seed: "Seed") -> None:
        for name, value in changes.items():
            setattr(seed.bells, name, value)

    return begin


def _staff(**changes: float) -> _Fault:
    def begin(seed: "Seed") -> None:
        for name, value in changes.items():
            setattr(seed.staff, name, value)

    return begin


def _clients(**changes: float) -> _Fault:
    def begin(seed: "Seed") -> None:
        for client in seed.clients:
            for name, value in changes.items():
                setattr(client, name, value)

    return begin


_LASTING: Final[dict[str, _Fault]] = {
    "host: slow": _host(slowest_s=4.0),
    "host: out of order": _host(slowest_s=1.0),
    "host: unknown codes": _host(unknown_code=0.4),
    "host: silent": _host(silent=0.3),
    "host: late": _host(late=0.3, slowest_s=1.0),
    "host: answers twice": _host(twice=0.4),
    "host: garbage": _host(garbage=0.2),
    "host: another amount": _host(other_amount=0.3),
    "host: breaks the framing": _host(breaks_framing=0.1),
    "host: hangs up": _host(closes=0.1),
    "host: bad MAC": _host(bad_mac=0.5),
    "host: declines reversals": _host(reversal_declined=0.5),
    "host: refuses reversals": _host(reversal_refused=0.3),
    "host: refuses sign-on": _host(refuses_sign_on=0.5),
    "host: silent to echoes": _host(silent_echo=0.4),
    "host: answers on another session": _host(answers_elsewhere=0.7, late=0.3),
    "host: works late": _host(works_late=0.3),
    "host: answers again later": _host(answers_again=0.4),
    "host: forgets what it approved": _host(forgets=0.7, late=0.3, other_amount=0.3),
    "network: slow": _weather(slowest_s=1.5),
    "network: slices": _weather(slices=0.5),
    "network: resets": _weather(resets=0.1),
    "network: half-open": _weather(half_opens=0.05),
    "network: corrupts lengths": _weather(corrupts_length=0.1),
    "network: refuses connections": _weather(refuses=0.5),
    "kernel: jams": _weather(jams=0.3),
    "kernel: stops before send": _weather(pauses_in_send=0.05),
    "database: slow": _stage(slowest_s=0.8),
    "database: statements arrive late": _stage(arrives_late=0.1),
    "database: loses transactions": _stage(loses=0.1),
    "database: loses acknowledgements": _stage(loses_acknowledgement=0.1),
    "broker: loses rings": _bells(loses=0.7),
    "broker: wiped": _bells(loses=1.0),
    "broker: doubles rings": _bells(doubles=0.5),
    "broker: slow": _bells(slowest_s=5.0),
    "clients: other bodies": _clients(other_bodies=0.3),
    "clients: hear nothing": _clients(lost_answers=0.4),
    "clients: cancel": _clients(cancels=0.5),
    "staff: retry": _clients(retries=0.5),
    "staff: work the desk": _staff(acts=0.5),
    "staff: work the console": _staff(commands=0.6),
}


def _processes(seed: "Seed") -> list[Process]:
    rung = [worker.process for worker in (*seed.forwarders, *seed.settlers, seed.recoverer, seed.web)]
    return rung + [worker.process for worker in seed.link_workers]


def _kill_worker(seed: "Seed") -> None:
    seed.world.random.choice([*seed.forwarders, *seed.settlers, seed.recoverer]).kill()


def _kill_web(seed: "Seed") -> None:
    seed.web.kill()


def _kill_holder(seed: "Seed") -> None:
    seed.world.random.choice(seed.link_workers).kill(reset=True)


def _power_cut(seed: "Seed") -> None:
    seed.world.random.choice(seed.link_workers).kill(reset=False)


def _stop_holder(seed: "Seed") -> None:
    for worker in seed.link_workers:
        worker.stop()


def _pause_holder(seed: "Seed") -> None:
    worker = seed.world.random.choice(seed.link_workers)
    worker.process.paused_until = seed.world.now + seed.world.between(0.2, 20.0)


def _pause_worker(seed: "Seed") -> None:
    worker = seed.world.random.choice([*seed.forwarders, *seed.settlers, seed.web])
    worker.process.paused_until = seed.world.now + seed.world.between(0.2, 20.0)


def _database_away(seed: "Seed") -> None:
    seed.stage.away_until = seed.world.now + seed.world.between(0.5, 12.0)


def _cut_holder_off(seed: "Seed") -> None:
    worker = seed.world.random.choice(seed.link_workers)
    seed.stage.cut_off[worker.process] = seed.world.now + seed.world.between(1.0, 15.0)


def _jump(seed: "Seed") -> None:
    seed.world.random.choice(_processes(seed)).wall_off_s = _by_much(seed)


def _database_jump(seed: "Seed") -> None:
    seed.world.database_off_s = _by_much(seed)


def _by_much(seed: "Seed") -> float:
    return float(seed.world.random.choice([-259_200, -3600, 3600, 259_200]))


def _reconfigure(seed: "Seed") -> None:
    link, dice = seed.tables.one["link"], seed.world.random
    window, (first, *others) = dice.choice([1, 2, 4, 8]), link.endpoints
    seed.tables.one["link"] = link.changed(version=link.version + 1, window=window, endpoints=[*others, first])


def _between_two_sessions(change: _Fault) -> _Fault:
    """Something happens while the link has no session."""

    def strike(seed: "Seed") -> None:
        _drop(seed)
        seed.world.after(seed.world.between(0.0, 1.0), None, lambda: change(seed))

    return strike


def _lose_first_host(seed: "Seed") -> None:
    host, port = seed.tables.one["link"].endpoints[0].split()
    seed.network.down.add((host, int(port)))
    if seed.host.session and seed.host.session.wire.endpoint in seed.network.down:
        _drop(seed)


def _lose_entry(seed: "Seed") -> None:
    """A hand in the database: an entry of the queue is gone, and nobody says so."""
    able = ("ready", "dispatched", "taken")
    entries = [entry for entry in seed.tables.entries.values() if entry.lane is None and entry.state in able]
    if entries:
        del seed.tables.entries[seed.world.random.choice(entries).id]


def _says(purpose: str) -> _Fault:
    return lambda seed: seed.host.start_message(purpose)


def _cut_over_unheard(seed: "Seed") -> None:
    _drop(seed)
    seed.host.start_message("cut_over")


def _drop(seed: "Seed") -> None:
    if seed.host.session:
        seed.host.end(seed.host.session)


_SUDDEN: Final[dict[str, _Fault]] = {
    "kill a worker": _kill_worker,
    "kill a web process": _kill_web,
    "kill a link worker": _kill_holder,
    "cut a link worker's power": _power_cut,
    "stop the link worker": _stop_holder,
    "pause a link worker": _pause_holder,
    "pause a worker": _pause_worker,
    "database away": _database_away,
    "cut a link worker off the database": _cut_holder_off,
    "a wall clock jumps": _jump,
    "the database's wall clock jumps": _database_jump,
    "the link is configured anew": _reconfigure,
    "the link is configured anew between two sessions": _between_two_sessions(_reconfigure),
    "stop the link worker between two sessions": _between_two_sessions(_stop_holder),
    "host: the first endpoint is down": _lose_first_host,
    "an entry is lost": _lose_entry,
    "host: echo": _says("echo"),
    "host: cut-over": _says("cut_over"),
    "host: cut-over nobody hears of": _cut_over_unheard,
    "host: sign-off": _says("sign_off"),
    "host: drops the connection": _drop,
}
