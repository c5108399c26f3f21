"""Asks for pages as a browser does, in this process: the time of each, of what it asked the database, and how often."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from django.contrib.auth import get_user_model
from django.test import Client
from psycopg import Cursor

from transactions import desk

USER: Final = "bench"
_PAGE_MS: Final = 300.0
_DESK_MS: Final = 100.0
#: of a day of 55,000 payments
_REPORT_MS: Final = 1000.0
#: of the 500,000 payments that an analytic report reads at most
_ANALYTIC_MS: Final = 5000.0


@dataclass(frozen=True, slots=True)
class Sight:
    """A page to look at, by its address and query, and what it may take."""

    name: str
    address: str
    query: dict[str, Any]
    bound_ms: float = _PAGE_MS
    status: int = 200


def desk_sight(name: str, address: str) -> Sight:
    """The first page, and what it asks for while it is looked at."""
    return Sight(name, address, {}, _DESK_MS)


def report_sight(name: str, address: str, query: dict[str, Any]) -> Sight:
    """Sums of a whole day."""
    return Sight(name, address, query, _REPORT_MS)


def analytic_sight(name: str, address: str, query: dict[str, Any]) -> Sight:
    """Sums of many days."""
    return Sight(name, address, query, _ANALYTIC_MS)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a page took, time after time, in milliseconds: of the wall's clock, of CPU, and in the database."""

    sight: Sight
    wall_ms: Sequence[float]
    cpu_ms: Sequence[float]
    sql_ms: Sequence[float]
    queries: int

    @property
    def median_ms(self) -> float:
        """What counts: others use this machine too."""
        return statistics.median(self.wall_ms)

    @property
    def is_late(self) -> bool:
        """True where the bound is exceeded."""
        return self.median_ms > self.sight.bound_ms


class Asking:
    """A signed-in member of staff who looks at everything, several times."""

    def __init__(self, times: int) -> None:
        self._times = times
        self._client = Client(SERVER_NAME="127.0.0.1")
        user = get_user_model().objects.create_superuser(USER)
        self._client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")

    def ask(self, sight: Sight) -> Seen:
        """Look at a page: once to warm up, then as often as is measured."""
        self._once(sight)
        wall, cpu, sql, queries = zip(*(self._once(sight) for _ in range(self._times)), strict=True)
        return Seen(sight, wall, cpu, sql, max(queries))

    def _once(self, sight: Sight) -> tuple[float, float, float, int]:
        for known in (desk.figures, desk.last_hour, desk.last_day):
            known.forget()
        with _listening() as asked:
            began, cpu_began = time.perf_counter(), time.thread_time()
            response = self._client.get(sight.address, sight.query)
            wall, cpu = time.perf_counter() - began, time.thread_time() - cpu_began
        assert response.status_code == sight.status, f"{sight.name}: {response.status_code}"
        return 1000 * wall, 1000 * cpu, 1000 * sum(asked), len(asked)


@contextmanager
def _listening() -> Iterator[list[float]]:
    """Yield what every statement took, in seconds; Django's and ours."""
    took: list[float] = []
    execute: Callable[..., Any] = Cursor.execute

    def timed(cursor: Any, *args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return execute(cursor, *args, **kwargs)
        finally:
            took.append(time.perf_counter() - began)

    Cursor.execute = timed  # type: ignore[method-assign,assignment]
    try:
        yield took
    finally:
        Cursor.execute = execute  # type: ignore[method-assign]


def told(seen: Sequence[Seen]) -> str:
    """Return a table."""
    width = max(len(one.sight.name) for one in seen)
    head = f"{'page':{width}}  fastest  median  worst    CPU  SQL ms  queries"
    lines = [head, "-" * len(head)]
    for one in seen:
        cpu, sql = statistics.median(one.cpu_ms), statistics.median(one.sql_ms)
        mark = "  TOO SLOW" if one.is_late else ""
        lines.append(
            f"{one.sight.name:{width}}  {min(one.wall_ms):7.0f}  {one.median_ms:6.0f} {max(one.wall_ms):6.0f}"
            f" {cpu:6.0f}  {sql:6.0f}  {one.queries:7}{mark}"
        )
    return "\n".join(lines)
