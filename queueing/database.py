"""The one way SQL is run: on Django's connection and in its transaction, prepared, without its wrappers.

Django's cursors bind on the client; here parameters go to statements that the server has planned, and values come back
in binary, JSON decoded by what decodes it fastest.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

import msgspec
import structlog
from django.db import OperationalError, connection
from psycopg import Connection, Cursor
from psycopg.errors import DeadlockDetected
from psycopg.rows import namedtuple_row
from psycopg.types.json import set_json_loads

P = ParamSpec("P")
T = TypeVar("T")

#: A second meeting is seldom, a third one is something else.
_TRIES: Final = 3
#: Who begins again at once may take the other's lock from before it, and meets it once more.
_ROOM_S: Final = 0.05

set_json_loads(msgspec.json.decode)
_log = structlog.get_logger(__name__)


def raw_connection() -> "Connection[Any]":
    """Return the psycopg connection that Django holds for this thread."""
    connection.ensure_connection()
    return connection.connection  # type: ignore[no-any-return]


def rows(statement: str, parameters: Mapping[str, Any] | None = None) -> Sequence[Any]:
    """Run a statement and return its rows as named tuples; errors come as Django's."""
    with connection.wrap_database_errors:
        return _run(statement, parameters).fetchall()


def run(statement: str, parameters: Mapping[str, Any] | None = None) -> int:
    """Run a statement and return how many rows it changed."""
    with connection.wrap_database_errors:
        return _run(statement, parameters).rowcount


def _run(statement: str, parameters: Mapping[str, Any] | None) -> "Cursor[Any]":
    cursor: Cursor[Any] = Cursor(raw_connection(), row_factory=namedtuple_row)
    return cursor.execute(statement, parameters, prepare=True, binary=True)


def gave_way(error: OperationalError) -> bool:
    """True when this transaction met another one, each with what the other wanted, and was ended for it."""
    return isinstance(error.__cause__, DeadlockDetected)


def giving_way(work: Callable[P, T]) -> Callable[P, T]:
    """Let what is one transaction begin again where it gave way to another, a few times at most.

    Inside another transaction it is a savepoint: going back to it lets go of what was locked since, and nothing else.
    """

    @wraps(work)
    def begin(*args: P.args, **kwargs: P.kwargs) -> T:
        for _try in range(_TRIES - 1):
            try:
                return work(*args, **kwargs)
            except OperationalError as error:
                if not gave_way(error):
                    raise
                _log.warning("database.begun_again", what=work.__qualname__)
                time.sleep(_ROOM_S)
        return work(*args, **kwargs)

    return begin
