"""The host's memory: accounts, and every transaction it has seen. Survives a restart, as a file of its changes."""

import json
from collections.abc import Iterable, Iterator
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
    #: of which message it is the capture, refund or void, and of how much
    original: str = ""
    kind: str = ""
    amount: int = 0
    #: what it counts for when totals are compared: positive a debit, negative a credit
    weight: int = 0
    currency: str = ""
    business_date: str = ""


class Books:
    """Accounts and seen messages; a change is in the file before it is answered."""

    def __init__(self, file: IO[str] | None) -> None:
        self.business_date: date | None = None
        self._file = file
        self._balances: dict[str, int] = {}
        self._seen: dict[str, Seen] = {}
        #: message -> its captures, refunds and voids
        self._followed: dict[str, list[str]] = {}

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

    def followed(self, key: str, kind: str) -> int:
        """Return how much of a message was captured or refunded, and stands."""
        children = (self._seen[child] for child in self._followed.get(key, ()))
        return sum(child.amount for child in children if child.kind == kind and not child.undone)

    def find(self, beginning: str, end: str) -> str:
        """Return the latest key of this form; what was never seen stands for itself."""
        fitting = (key for key in reversed(self._seen) if key.startswith(beginning) and key.endswith(end))
        return next(fitting, beginning + end)

    def all_seen(self) -> Iterable[Seen]:
        """Return what was made of every message, in the order of their coming."""
        return self._seen.values()

    def record(self, seen: Seen) -> None:
        """Keep what was made of a message, and move its money: today."""
        if self.business_date:
            seen = replace(seen, business_date=self.business_date.isoformat())
        self._apply(seen)
        self._write({"seen": asdict(seen)})

    def undo(self, key: str) -> None:
        """Give back what a message moved; what a void undid stands again."""
        self._undo(key)
        self._write({"undone": key})

    def open_day(self, business_date: date) -> None:
        """Begin a business day."""
        self.business_date = business_date
        self._write({"business_date": business_date.isoformat()})

    def _undo(self, key: str) -> None:
        seen = self._seen[key]
        self._apply(replace(seen, undone=True))
        if seen.kind == "void":
            original = self._seen[seen.original]
            self._apply(replace(original, undone=False))

    def _apply(self, seen: Seen) -> None:
        if seen.original and seen.key not in self._seen:
            self._followed.setdefault(seen.original, []).append(seen.key)
        self._seen[seen.key] = seen
        if seen.moved:
            moved = -seen.moved if seen.undone else seen.moved
            self._balances[seen.account] = self.balance(seen.account) + moved

    def _replay(self, line: dict[str, object]) -> None:
        if "seen" in line:
            self._apply(Seen(**line["seen"]))  # type: ignore[arg-type]
        elif "undone" in line:
            self._undo(str(line["undone"]))
        else:
            self.business_date = date.fromisoformat(str(line["business_date"]))

    def _write(self, line: dict[str, object]) -> None:
        if self._file:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()
