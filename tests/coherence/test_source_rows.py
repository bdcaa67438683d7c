"""What sources tell is enough: keys are those of rows, and a copy that drops what is told equals the table."""

from __future__ import annotations

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecache.coherence.changes import EVERY
from forecache.serve.origins.postgresql import PostgresqlOrigin
from tests.coherence.following import Database, Following

TYPES = {
    "smallint": "7",
    "bigint": "9000000000",
    "text": "'a ''b'' \\ ü\t'",
    "char(5)": "'ab'",
    "uuid": "'6f1ed002-ab5d-4a1c-8bd1-6c5a4a7a0c11'",
    "date": "'2024-02-29'",
    "timestamp": "'2024-02-29 12:00:00.000001'",
    "timestamptz": "'2024-02-29 12:00:00.5+05:30'",
    "time": "'23:59:59.999999'",
    "bytea": "'\\x00ff5c'",
    "numeric": "12.50",
    "boolean": "true",
    "double precision": "0.1",
    "inet": "'10.0.0.1/8'",
    "mood": "'very sad'",
    "number": "12",
}


def test_keys_of_all_types_are_those_of_rows(database: Database) -> None:
    database.sql("CREATE TYPE mood AS ENUM ('very sad', 'fine')", "CREATE DOMAIN number AS bigint CHECK (value > 0)")
    names = {kind: f"keys_{at}" for at, kind in enumerate(TYPES)}
    database.sql(*(f"CREATE TABLE {name} (id {kind} PRIMARY KEY, v int)" for kind, name in names.items()))
    origin = PostgresqlOrigin(database.url)
    with database.following(*names.values()) as following:
        for kind, name in names.items():
            database.sql(
                f"INSERT INTO {name} VALUES ({TYPES[kind]}, 1)", f"UPDATE {name} SET v = 2", f"DELETE FROM {name}"
            )
            database.sql(f"INSERT INTO {name} VALUES ({TYPES[kind]}, 1)")
            told = {change.key for commit in following.settle() for change in commit.changes}
            assert len(told) == 1, (kind, told)
            key = told.pop()
            assert list(origin.read(origin.table(name), [key]).rows) == [key], kind
            (there,) = origin.read(origin.table(name), [key]).rows.values()
            assert (type(key), key) == (type(there["id"]), there["id"])
    origin.close()


KEYS = st.integers(0, 5)
WRITES = st.one_of(
    st.builds("INSERT INTO product VALUES ({}, {}) ON CONFLICT DO NOTHING".format, KEYS, KEYS),
    st.builds("UPDATE product SET price = {} WHERE id = {}".format, KEYS, KEYS),
    st.builds("UPDATE product SET id = {} WHERE id = {}".format, KEYS, KEYS),
    st.builds("DELETE FROM product WHERE id = {}".format, KEYS),
    st.builds("INSERT INTO visit VALUES ({0} * 3, {1}) ON CONFLICT DO NOTHING".format, KEYS, KEYS),
    st.builds("UPDATE visit SET day = {0} * 3 WHERE id = {1}".format, KEYS, KEYS),
    st.just("TRUNCATE product"),
    st.just("TRUNCATE visit_1"),
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.lists(WRITES, min_size=1, max_size=4), max_size=6))
def test_a_copy_that_drops_what_is_told_equals_the_table(
    database: Database, following: Following, transactions: list[list[str]]
) -> None:
    queries = {"product": "SELECT id, price FROM product", "visit": "SELECT (day, id) FROM visit"}
    with database.writer() as writer:
        keys = {"product": lambda row: row[0], "visit": lambda row: tuple(map(int, row[0]))}
        copy = {
            (table, keys[table](row)): row
            for table, query in queries.items()
            for row in writer.execute(query).fetchall()
        }
        for statements in transactions:
            try:
                with writer.transaction():
                    for statement in statements:
                        writer.execute(statement)  # type: ignore[call-overload]
            except psycopg.errors.UniqueViolation:
                pass
        for commit in following.settle():
            for table, key in commit.changes:
                copy = {at: row for at, row in copy.items() if at[0] != table or key not in {EVERY, at[1]}}
        now = {
            (table, keys[table](row)): row
            for table, query in queries.items()
            for row in writer.execute(query).fetchall()
        }
    assert {at: now.get(at) for at in copy} == copy
