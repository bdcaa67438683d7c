"""Databases that are followed, by every kind of source."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from forecache.coherence.postgresql.log_source import LogSource
from forecache.coherence.postgresql.notes_source import NotesSource
from tests.coherence.following import Database, Following
from tests.servers import PostgreSQL

SOURCES = {"log": LogSource, "notes": NotesSource}


@pytest.fixture(scope="module", params=SOURCES)
def database(request: pytest.FixtureRequest, postgresql: PostgreSQL) -> Iterator[Database]:
    made = Database(postgresql, SOURCES[request.param])
    made.sql(
        "CREATE TABLE product (id int PRIMARY KEY, price int, name text)",
        "CREATE TABLE stock (place text, product int, pieces int, PRIMARY KEY (place, product))",
        "CREATE TABLE visit (day int, id int, PRIMARY KEY (day, id)) PARTITION BY RANGE (day)",
        "CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE visit_2 PARTITION OF visit FOR VALUES FROM (10) TO (20) PARTITION BY RANGE (id)",
        "CREATE TABLE visit_2a PARTITION OF visit_2 FOR VALUES FROM (0) TO (1000)",
        "CREATE TABLE other (id int PRIMARY KEY)",
    )
    yield made
    made.drop_slots()


@pytest.fixture
def following(database: Database) -> Iterator[Following]:
    database.sql("TRUNCATE product, stock, visit, other")
    with database.following("product", "stock", "visit") as following:
        yield following
