"""The one way SQL is run: on Django's connection and in its transaction, prepared, without its wrappers.

Django's cursors bind on the client; here parameters go to statements that the server has planned, and values come back
in binary, JSON decoded by what decodes it fastest.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from django.db import connection
from psycopg import Connection, Cursor
from psycopg.rows import namedtuple_row
from psycopg.types.json import set_json_loads

set_json_loads(msgspec.json.decode)


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
