"""One event altered by hand, past the trigger that guards it: `manage.py verify` must name it. It is put back."""

from typing import Any, Final

import psycopg
from psycopg.types.json import Jsonb

from tests.acceptance.conftest import Ferry

_ONE: Final = """
SELECT payment_id, version, type, data FROM transactions_event
WHERE type = 'Approved' ORDER BY payment_id DESC, version LIMIT 1"""
_REWRITE: Final = "UPDATE transactions_event SET data = %s WHERE payment_id = %s AND version = %s"
_FORGED: Final = {"authorisation_code": "FORGED"}


def forge_and_restore(ferry: Ferry) -> tuple[str, list[str]]:
    """Alter one event and put it back; returns what `verify` said of it, and what does not hold."""
    event = ferry.sql(_ONE)[0]
    _rewrite(ferry, event, {**event.data, **_FORGED})
    try:
        said = _complaint(ferry)
    finally:
        _rewrite(ferry, event, event.data)
    found = []
    named = f"payment {event.payment_id}: event {event.version} ({event.type}) was altered"
    if named not in said:
        found.append(f"E1: verify does not name event {event.version} of {event.payment_id}: {said!r}")
    if after := _complaint(ferry):
        found.append(f"E1: the event was put back, and verify says {after!r}")
    return next((line for line in said.splitlines() if named in line), "nothing"), found


def _rewrite(ferry: Ferry, event: Any, data: Any) -> None:
    with psycopg.connect(ferry.database_url) as connection:
        connection.execute("SET session_replication_role = replica")  # this session's triggers are off
        done = connection.execute(_REWRITE, (Jsonb(data), event.payment_id, event.version))
        assert done.rowcount == 1


def _complaint(ferry: Ferry) -> str:
    try:
        ferry.manage("verify")
    except AssertionError as error:
        return str(error)
    return ""
