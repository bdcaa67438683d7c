"""Tables that are changed, exchanged, taken apart: told in the transaction that does so, or noticed soon after."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from forecache.coherence.changes import EVERY
from forecache.coherence.postgresql.log_source import LogSource
from forecache.coherence.postgresql.schema_trigger import CREATE_SCHEMA_TRIGGER
from forecache.errors import ChangeLogError, TableError
from tests.coherence.following import Database, Following, changes
from tests.servers import PostgreSQL

VISIT = changes("visit", EVERY)


@pytest.fixture
def database(postgresql: PostgreSQL) -> Iterator[Database]:
    made = Database(postgresql, LogSource)
    made.sql(
        "CREATE TABLE product (id int PRIMARY KEY, price int)",
        "CREATE TABLE visit (id int PRIMARY KEY, page int) PARTITION BY RANGE (id)",
        "CREATE TABLE visit_1 PARTITION OF visit FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE visit_2 (id int PRIMARY KEY, page int)",
        "INSERT INTO visit_2 VALUES (11, 1)",
    )
    yield made
    made.drop_slots()


@pytest.fixture
def told(database: Database) -> Iterator[Following]:
    database.sql(*CREATE_SCHEMA_TRIGGER)
    with database.following("product", "visit", recheck="1h") as following:
        yield following


ATTACH = "ALTER TABLE visit ATTACH PARTITION visit_2 FOR VALUES FROM (10) TO (20)"


def test_partitions_that_come_and_go_are_told(database: Database, told: Following) -> None:
    database.sql(ATTACH, "UPDATE visit SET page = 2 WHERE id = 11")
    assert told.changes() == [VISIT, changes("visit", 11)]
    database.sql("ALTER TABLE visit DETACH PARTITION visit_2", "UPDATE visit_2 SET page = 3", "DROP TABLE visit_1")
    assert told.changes() == [VISIT, VISIT]


def test_new_columns_are_told_and_keys_still_found(database: Database, told: Following) -> None:
    database.sql("ALTER TABLE product ADD COLUMN first int DEFAULT 7", "INSERT INTO product VALUES (1)")
    assert told.changes() == [changes("product", EVERY), changes("product", 1)]


def test_a_table_put_in_the_place_of_another_is_told_and_then_followed(database: Database, told: Following) -> None:
    before = told.source.open()
    database.sql("CREATE TABLE heir (id int PRIMARY KEY, price int)", "INSERT INTO heir VALUES (5)")
    with database.writer() as writer, writer.transaction():
        writer.execute("ALTER TABLE product RENAME TO former")
        writer.execute("ALTER TABLE heir RENAME TO product")
    with pytest.raises(ChangeLogError, match="open the source again"):
        told.settle()
    assert told.source.open().log != before.log
    database.sql("INSERT INTO product VALUES (6)")
    first, *_, last = told.changes()
    assert (first, last) == (changes("product", EVERY), changes("product", 6))


def test_a_table_that_is_gone_is_refused(database: Database, told: Following) -> None:
    database.sql("DROP TABLE product")
    with pytest.raises(TableError, match="no table 'product'"):
        told.settle()


def test_a_child_by_inheritance_is_told_before_it_has_rows(database: Database, told: Following) -> None:
    before = told.source.open()
    database.sql("CREATE TABLE special (PRIMARY KEY (id)) INHERITS (product)", "INSERT INTO special VALUES (1)")
    with pytest.raises(ChangeLogError):  # the row is in no publication yet
        told.settle()
    assert told.source.open().log != before.log
    database.sql("UPDATE product SET price = 2 WHERE id = 1")
    assert told.changes()[-1] == changes("product", 1)


def test_other_tables_may_come_and_go(database: Database, told: Following) -> None:
    database.sql("CREATE TABLE a (i int)", "ALTER TABLE a ADD j int", "DROP TABLE a", "CREATE TEMP TABLE b AS SELECT 1")
    assert told.changes() == []


def test_without_the_trigger_it_is_noticed_soon_after(database: Database) -> None:
    with database.following("visit", recheck="100ms") as following:
        before = following.source.open()
        database.sql(ATTACH)
        with pytest.raises(ChangeLogError, match="open the source again"):
            following.until(lambda _: False)
        assert following.source.open().log != before.log
