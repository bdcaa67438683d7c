"""Whatever is written, rows that the watch does not tell of are as they were."""

from __future__ import annotations

import sqlite3
from collections.abc import Hashable
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.coherence.watching import EVERYTHING, SCHEMA, Watched

names = st.sampled_from(["one", "TWO", "two", "x", "Y"])
ids = st.integers(1, 5)
statements = st.one_of(
    st.builds("INSERT OR REPLACE INTO product VALUES ({}, '{}', {})".format, ids, names, ids),
    st.builds("INSERT OR IGNORE INTO product VALUES ({}, '{}', {})".format, ids, names, ids),
    st.builds("UPDATE OR REPLACE product SET id = {}, name = '{}' WHERE id = {}".format, ids, names, ids),
    st.builds("UPDATE OR IGNORE product SET id = {} WHERE price < {}".format, ids, ids),
    st.builds("DELETE FROM product WHERE name = '{}'".format, names),
    st.builds("REPLACE INTO stock VALUES ('{}', {}, {})".format, names, ids, ids),
    st.sampled_from(["BEGIN IMMEDIATE", "COMMIT", "ROLLBACK"]),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(statements, max_size=6), max_size=5))
def test_rows_that_are_not_told_of_are_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, bursts: list[list[str]]
) -> None:
    path = tmp_path_factory.mktemp("random") / "shop.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(SCHEMA)
    watched, reader = Watched(path), sqlite3.connect(path)

    def rows() -> dict[tuple[str, Hashable], object]:
        found: dict[tuple[str, Hashable], object] = {}
        found |= {("product", row[0]): row for row in reader.execute("SELECT * FROM product")}
        return found | {("stock", row[:2]): row for row in reader.execute("SELECT * FROM stock")}

    before = rows()
    for burst in bursts:
        for statement in burst:
            with suppress(sqlite3.OperationalError):  # a transaction within another, or none to end
                connection.execute(statement)
        news, after = watched.news(), rows()
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        assert EVERYTHING in news or changed <= news
        before = after
    for open_one in (connection, reader, watched.watch):
        open_one.close()  # type: ignore[attr-defined]
