"""The database as plain rows in memory: transactions that commit, roll back, or lose their acknowledgement.

Owns the rows and the way a statement of ours finds the function that stands for it. A statement that no
model knows is an error: nothing is passed over in silence.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace
from typing import Any, Final


class Row(SimpleNamespace):
    """One row; never changed, only replaced."""

    def changed(self, **changes: Any) -> "Row":
        """Return the row with some columns changed."""
        return Row(**{**self.__dict__, **changes})

    def _asdict(self) -> dict[str, Any]:
        return dict(self.__dict__)


Parameters = Mapping[str, Any]
Model = Callable[["Tables", Any], Sequence[Row]]
_TOO_COMMON: Final = frozenset(
    {
        "_look_at_lease",
        "_renew",
        "_config",
        "_live",
        "_ahead",
        "_unfinished",
        "_draw_stans",
        "_payments",
        "_attempts",
        "_business_date",
        "_claim_command",
    }
)
_KINDS: Final = (
    *("entries", "lanes", "payments", "keys", "events", "attempts", "inbound", "intents", "grants", "one", "commands"),
)


class Tables:
    """All rows, and the statements that are known."""

    def __init__(self, now: Callable[[], datetime], elapsed: Callable[[], float], say: Callable[[str], None]) -> None:
        self.now = now
        #: true seconds, whatever the database's clock says
        self.elapsed = elapsed
        self.say = say
        self.entries: dict[int, Row] = {}
        self.lanes: dict[str, int] = {}
        self.payments: dict[Any, Row] = {}
        #: (merchant, idempotency key) -> payment
        self.keys: dict[Any, Any] = {}
        self.events: dict[Any, Row] = {}
        self.attempts: dict[Any, Row] = {}
        self.inbound: dict[int, Row] = {}
        #: epoch -> when it was granted
        self.grants: dict[int, float] = {}
        #: every take that committed: what may be on the wire
        self.intents: dict[int, Row] = {}
        #: what staff asked of the link's holder
        self.commands: dict[int, Row] = {}
        #: from when until when staff had stopped payments, as they were told
        self.stops: list[tuple[float, float | None]] = []
        #: lease, link and status: one row each
        self.one: dict[str, Row] = {}
        self.statements: dict[str, Model] = {}
        #: for statements that are put together as they are run
        self.otherwise: list[Callable[[str, Parameters], Model | None]] = []
        #: what is worth counting, though nothing injected it
        self.seen: Counter[str] = Counter()
        #: what no statement should have met
        self.problems: list[str] = []
        self._sequences: dict[str, int] = {}
        self._saved: dict[str, dict[Any, Any]] | None = None

    def next(self, sequence: str, highest: int = 2**62) -> int:
        """Draw from a cycling sequence; a rolled back transaction does not give it back."""
        self._sequences[sequence] = self._sequences.get(sequence, 0) % highest + 1
        return self._sequences[sequence]

    def start_sequence(self, sequence: str, last: int) -> None:
        """Go on after a number."""
        self._sequences[sequence] = last

    def run(self, statement: str, parameters: Parameters | None = None) -> Sequence[Row]:
        """Run one statement; it is atomic."""
        if self._saved is not None:
            return self._run(statement, parameters or {})
        self.begin()
        try:
            found = self._run(statement, parameters or {})
        except BaseException:
            self.rollback()
            raise
        self.commit()
        return found

    def _run(self, statement: str, parameters: Parameters) -> Sequence[Row]:
        try:
            model = self.statements.get(statement) or self._find(statement, parameters)
            found = model(self, parameters)
        except Exception as error:
            self.problems.append(f"{type(error).__name__}: {error}")
            raise
        if found and model.__name__ not in _TOO_COMMON:
            self.say(f"{model.__name__.strip('_')}: {', '.join(_named(row) for row in found)}")
        return found

    def begin(self) -> None:
        """Begin a transaction."""
        if self._saved is not None:
            raise RuntimeError("a transaction is open already")
        self._saved = {kind: dict(getattr(self, kind)) for kind in _KINDS}

    def commit(self) -> None:
        """Make it last."""
        self._saved = None

    def rollback(self) -> None:
        """Undo it all."""
        for kind, rows in (self._saved or {}).items():
            setattr(self, kind, rows)
        self._saved = None

    @property
    def in_transaction(self) -> bool:
        """True between begin and its end."""
        return self._saved is not None

    def _find(self, statement: str, parameters: Parameters) -> Model:
        for find in self.otherwise:
            if model := find(statement, parameters):
                return model
        raise LookupError(f"the simulation has no model of: {statement}")


def _named(row: Row) -> str:
    facts = {name: getattr(row, name, None) for name in ("id", "payment_id", "attempt", "kind", "state")}
    return "/".join(str(fact)[:8] for fact in facts.values() if fact is not None)
