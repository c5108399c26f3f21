"""What this machine can do at best, in this very run: durable rows without any of our code around them."""

import threading
import time
from collections.abc import Callable

import psycopg

from tests.bench.figures import Figure
from tests.bench.processes import Groups

_SECONDS = 2.0
_TABLES = """
DROP SCHEMA IF EXISTS floor CASCADE;
CREATE SCHEMA floor;
CREATE TABLE floor.payment (id bigserial PRIMARY KEY, body text);
CREATE TABLE floor.event (id bigserial PRIMARY KEY, payment bigint, body jsonb);
CREATE TABLE floor.entry (id bigserial PRIMARY KEY, state text, body text);
"""
_THREE_ROWS = """
WITH p AS (INSERT INTO floor.payment (body) VALUES (%(text)s) RETURNING id),
e AS (INSERT INTO floor.event (payment, body) SELECT id, %(json)s::jsonb FROM p)
INSERT INTO floor.entry (state, body) VALUES ('ready', %(text)s)"""
_SINGLY = (
    "INSERT INTO floor.payment (body) VALUES (%(text)s)",
    "INSERT INTO floor.event (payment, body) VALUES (1, %(json)s::jsonb)",
    "INSERT INTO floor.entry (state, body) VALUES ('ready', %(text)s)",
)
_CLAIM = """
WITH c AS MATERIALIZED (SELECT id FROM floor.entry ORDER BY id LIMIT 100 FOR UPDATE SKIP LOCKED)
DELETE FROM floor.entry e USING c WHERE e.id = c.id RETURNING e.id"""
_VALUES = {"text": "x" * 400, "json": '{"amount": 1250000, "text": "' + "x" * 300 + '"}'}

_Work = Callable[[psycopg.Connection], int]


def floors(database_url: str, groups: Groups) -> list[Figure]:
    """Measure them, each for two seconds; CPU is the database's and the client's together."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(_TABLES)
    measured = [
        ("3 rows, one statement and commit, 1 client", _three_rows, 1),
        ("3 rows, one statement and commit, 4 clients", _three_rows, 4),
        ("BEGIN, 3 INSERTs, COMMIT, 1 client", _three_statements, 1),
        ("3 rows each, 100 a commit, 1 client", _hundred, 1),
        ("claim 100, delete 100, 1 client", _claim, 1),
    ]
    figures = [
        figure for what, work, clients in measured for figure in _floor(database_url, groups, what, work, clients)
    ]
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA floor CASCADE")
    return figures


def _three_rows(connection: psycopg.Connection) -> int:
    connection.execute(_THREE_ROWS, _VALUES, prepare=True)
    return 1


def _three_statements(connection: psycopg.Connection) -> int:
    with connection.transaction():
        for statement in _SINGLY:
            connection.execute(statement, _VALUES, prepare=True)
    return 1


def _hundred(connection: psycopg.Connection) -> int:
    with connection.transaction(), connection.pipeline():
        for _ in range(100):
            connection.execute(_THREE_ROWS, _VALUES, prepare=True)
    return 100


def _claim(connection: psycopg.Connection) -> int:
    return connection.execute(_CLAIM, prepare=True).rowcount


def _floor(database_url: str, groups: Groups, what: str, work: _Work, clients: int) -> list[Figure]:
    done = [0] * clients
    until = time.monotonic() + _SECONDS

    def run(number: int) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            while time.monotonic() < until and (jobs := work(connection)):
                done[number] += jobs

    before, own, began = groups.cpu(), time.process_time(), time.monotonic()
    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.monotonic() - began
    cpu = groups.spent(before)["postgres"] + time.process_time() - own
    return [
        Figure(what, sum(done) / took, "jobs/s", more_is_better=True),
        Figure("  CPU a job", 1000 * cpu / sum(done), "ms"),
    ]
