"""The host's memory: accounts, and every transaction it has seen. Survives a restart, as a file of its changes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from typing import IO, Final

_OPENING_BALANCE: Final = 10_000_000_000


@dataclass(frozen=True, slots=True)
class Seen:
    """A message the host has worked on."""

    key: str
    code: str
    account: str = ""
    #: what it did to the account, in minor units
    moved: int = 0
    undone: bool = False


class Books:
    """Accounts and seen messages; a change is in the file before it is answered."""

    def __init__(self, file: IO[str] | None) -> None:
        self.business_date: date | None = None
        self._file = file
        self._balances: dict[str, int] = {}
        self._seen: dict[str, Seen] = {}

    @classmethod
    @contextmanager
    def kept_in(cls, path: Path) -> Iterator["Books"]:
        """Open the books of a file, with everything that is in it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        with path.open("r+", encoding="utf-8") as file:
            books = cls(file)
            for line in file:
                books._replay(json.loads(line))
            yield books

    def balance(self, account: str) -> int:
        """Return an account's balance; one never heard of opens with plenty."""
        return self._balances.get(account, _OPENING_BALANCE)

    def balances(self) -> dict[str, int]:
        """Return the accounts that something happened to."""
        return dict(self._balances)

    def seen(self, key: str) -> Seen | None:
        """Return what was made of a message."""
        return self._seen.get(key)

    def find(self, beginning: str, end: str) -> str:
        """Return the latest key of this form; what was never seen stands for itself."""
        fitting = (key for key in reversed(self._seen) if key.startswith(beginning) and key.endswith(end))
        return next(fitting, beginning + end)

    def record(self, seen: Seen) -> None:
        """Keep what was made of a message, and move its money."""
        self._apply(seen)
        self._write({"seen": asdict(seen)})

    def undo(self, key: str) -> None:
        """Give back what a message moved."""
        undone = self._undone(key)
        self._apply(undone)
        self._write({"undone": key})

    def open_day(self, business_date: date) -> None:
        """Begin a business day."""
        self.business_date = business_date
        self._write({"business_date": business_date.isoformat()})

    def _undone(self, key: str) -> Seen:
        return replace(self._seen[key], undone=True)

    def _apply(self, seen: Seen) -> None:
        self._seen[seen.key] = seen
        if seen.moved:
            moved = -seen.moved if seen.undone else seen.moved
            self._balances[seen.account] = self.balance(seen.account) + moved

    def _replay(self, line: dict[str, object]) -> None:
        if "seen" in line:
            self._apply(Seen(**line["seen"]))  # type: ignore[arg-type]
        elif "undone" in line:
            self._apply(self._undone(str(line["undone"])))
        else:
            self.business_date = date.fromisoformat(str(line["business_date"]))

    def _write(self, line: dict[str, object]) -> None:
        if self._file:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
