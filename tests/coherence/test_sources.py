"""What every source of changes of PostgreSQL does, on a real server, with writers that know nothing of it."""

from __future__ import annotations

import threading

import pytest

from forecache.coherence.changes import EVERY, Commit, Message, Snapshot
from forecache.errors import SourceBusyError, TableError
from tests.coherence.following import Database, Following, changes


def test_each_commit_is_told_with_the_keys_it_wrote(database: Database, following: Following) -> None:
    database.sql(
        "INSERT INTO product VALUES (1, 10), (2, 20)",
        "UPDATE product SET price = 11 WHERE id = 1",
        "DELETE FROM product WHERE id = 2",
    )
    assert following.changes() == [changes("product", 1, 2), changes("product", 1), changes("product", 2)]


def test_a_transaction_is_one_commit_and_what_was_rolled_back_is_none(database: Database, following: Following) -> None:
    with database.writer() as writer:
        with writer.transaction():
            writer.execute("INSERT INTO product VALUES (1, 10)")
            writer.execute("INSERT INTO stock VALUES ('a', 1, 5)")
            with writer.transaction(force_rollback=True):
                writer.execute("INSERT INTO product VALUES (7, 70)")
            writer.execute("UPDATE product SET price = 12")
        with writer.transaction(force_rollback=True):
            writer.execute("INSERT INTO product VALUES (8, 80)")
    assert following.changes() == [changes("product", 1) | changes("stock", ("a", 1))]


def test_of_a_changed_key_both_are_told(database: Database, following: Following) -> None:
    database.sql("INSERT INTO product VALUES (1)", "UPDATE product SET id = 5", "INSERT INTO stock VALUES ('a', 1)")
    database.sql("UPDATE stock SET place = 'b'")
    assert following.changes() == [
        changes("product", 1),
        changes("product", 1, 5),
        changes("stock", ("a", 1)),
        changes("stock", ("a", 1), ("b", 1)),
    ]


def test_writers_of_any_kind_are_seen(database: Database, following: Following) -> None:
    database.psql(
        "COPY product (id, price) FROM stdin;\n1\t10\n2\t20\n\\.\nUPDATE product SET price = 11 WHERE id = 1;"
    )
    with database.writer() as writer:
        writer.execute("SET session_replication_role = replica")
        writer.execute("UPDATE product SET price = 12 WHERE id = 2")
    database.sql(
        "INSERT INTO product VALUES (1, 1), (3, 3) ON CONFLICT (id) DO UPDATE SET price = excluded.price",
        "WITH gone AS (DELETE FROM product WHERE id = 3 RETURNING id) INSERT INTO product SELECT id + 1 FROM gone",
        "MERGE INTO product p USING (VALUES (2)) AS v (id) ON p.id = v.id WHEN MATCHED THEN DELETE",
        "DO $$ BEGIN FOR i IN 20..22 LOOP INSERT INTO product VALUES (i); END LOOP; END $$",
    )
    assert following.changes() == [
        changes("product", 1, 2),
        changes("product", 1),
        changes("product", 2),
        changes("product", 1, 3),
        changes("product", 3, 4),
        changes("product", 2),
        changes("product", 20, 21, 22),
    ]


def test_truncation_is_any_row(database: Database, following: Following) -> None:
    database.sql("INSERT INTO product VALUES (1)", "TRUNCATE product, stock")
    assert following.changes() == [changes("product", 1), changes("product", EVERY) | changes("stock", EVERY)]


def test_rows_of_partitions_are_rows_of_the_table(database: Database, following: Following) -> None:
    database.sql(
        "INSERT INTO visit VALUES (1, 1), (11, 2)",
        "UPDATE visit SET day = 12 WHERE day = 1",
        "DELETE FROM visit_2a WHERE id = 2",
        "TRUNCATE visit_2a",
        "TRUNCATE visit",
    )
    assert following.changes() == [
        changes("visit", (1, 1), (11, 2)),
        changes("visit", (1, 1), (12, 1)),
        changes("visit", (11, 2)),
        changes("visit", EVERY),
        changes("visit", EVERY),
    ]


def test_a_new_partition_is_followed(database: Database, following: Following) -> None:
    database.sql(
        "CREATE TABLE visit_3 PARTITION OF visit FOR VALUES FROM (20) TO (30)", "INSERT INTO visit VALUES (25, 1)"
    )
    assert changes("visit", (25, 1)) in following.changes()
    database.sql("DROP TABLE visit_3")


def test_tables_that_are_not_followed_are_not_told(database: Database, following: Following) -> None:
    database.sql("INSERT INTO other VALUES (1)", "INSERT INTO product VALUES (1)", "CREATE TABLE later (id int)")
    database.sql("DROP TABLE later")
    assert following.changes() == [changes("product", 1)]


def test_a_large_transaction_is_told_as_a_whole(database: Database, following: Following) -> None:
    with database.writer() as writer, writer.transaction():
        writer.execute("INSERT INTO stock VALUES ('a', 1)")
        writer.execute("INSERT INTO product SELECT g FROM generate_series(1, 100001) AS g")
    (told,) = following.changes()
    assert changes("product", EVERY) <= told
    assert changes("stock", ("a", 1), EVERY) & told


def test_whatever_a_sample_saw_is_told_before_its_message(database: Database, following: Following) -> None:
    stop = threading.Event()

    def write(first: int) -> None:
        with database.writer() as writer:
            for number in range(5000):
                if stop.is_set():
                    return
                writer.execute("INSERT INTO product VALUES (%s)", [first + number])

    threads = [threading.Thread(target=write, args=(first,)) for first in (0, 10_000, 20_000)]
    for thread in threads:
        thread.start()
    snapshots: dict[bytes, Snapshot] = {}
    told: set[int] = set()
    try:
        for number in range(60):
            content = b"%d" % number
            snapshots[content] = following.source.sample(content)
            events = following.until(lambda event: isinstance(event, Message))
            for event in events:
                if isinstance(event, Commit):
                    told.add(event.xid)
                else:
                    snapshot = snapshots.pop(event.content)
                    seen = {
                        int(row[0])
                        for row in database.sql("SELECT DISTINCT xmin::text FROM product")
                        if snapshot.sees(int(row[0]))
                    }
                    assert seen <= told
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert len(told) > 60


def test_what_was_not_acknowledged_is_told_again(database: Database) -> None:
    database.sql("TRUNCATE product")
    with database.following("product") as following:
        following.source.acknowledge(2**62)
    with database.following("product") as following:
        database.sql("INSERT INTO product VALUES (1)", "INSERT INTO product VALUES (2)")
        first, second = following.settle()
        following.source.acknowledge(first.position)
        following.source.close()
        identity = following.source.open()
        (again,) = following.settle()
        assert (again.xid, again.changes) == (second.xid, second.changes)
        following.source.acknowledge(again.position)
        following.source.close()
        assert following.source.open() == identity
        assert following.settle() == []


def test_one_at_a_time(database: Database, following: Following) -> None:
    second = database.source(["product"])
    with pytest.raises(SourceBusyError, match="stand by"):
        second.open()
    following.source.close()
    second.open()
    with pytest.raises(SourceBusyError):
        following.source.open()
    second.close()


def test_a_takeover_is_another_log(database: Database) -> None:
    with database.following("product") as following:
        following.source.close()
        mine = following.source.open()
        following.source.close()
        with database.following("product") as other:
            database.sql("INSERT INTO product VALUES (99)")
            other.source.acknowledge(other.settle()[-1].position)
        again = following.source.open()
        assert (mine.system, mine.timeline, mine.started) == (again.system, again.timeline, again.started)
        assert mine.log != again.log
    database.sql("DELETE FROM product WHERE id = 99")


@pytest.mark.parametrize(
    ("create", "why"),
    [
        ("CREATE UNLOGGED TABLE bad (id int PRIMARY KEY)", "unlogged"),
        ("CREATE TABLE bad (id int)", "no primary key"),
        ("CREATE VIEW bad AS SELECT 1 AS id", "a view"),
        ("SELECT 1", "no table 'bad'"),
    ],
)
def test_tables_that_cannot_be_followed_are_refused(database: Database, create: str, why: str) -> None:
    database.sql(create)
    source = database.make(database.url, {"bad": ["id"]})
    with pytest.raises(TableError, match=why):
        source.open()
    database.sql("DROP TABLE IF EXISTS bad" if "VIEW" not in create else "DROP VIEW bad")
