"""The source that reads PostgreSQL's log, on servers that fail: crashes, silence, stalled standbys, wrong settings."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from urllib.parse import urlsplit

import psycopg
import pytest

from forecache.coherence.changes import Commit, Message
from forecache.coherence.postgresql.log_source import LogSource
from forecache.errors import (
    ChangeLogError,
    ConfigurationError,
    OriginUnavailableError,
    SourceBusyError,
    TableError,
)
from tests.coherence.following import PATIENCE, Database, Following, changes
from tests.proxy import Proxy
from tests.serve.standby import Standby
from tests.servers import PostgreSQL


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A server of our own, to be harmed."""
    with PostgreSQL() as started:
        yield started


@pytest.fixture
def database(server: PostgreSQL) -> Iterator[Database]:
    made = Database(server, LogSource)
    made.sql("CREATE TABLE product (id int PRIMARY KEY, price int)")
    yield made
    made.drop_slots()


def eventually(what: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def lost(following: Following) -> None:
    """Polls until the connection is known to be lost."""
    with pytest.raises(OriginUnavailableError):
        following.until(lambda _: False)


def test_after_a_crash_of_the_server_nothing_is_missing(server: PostgreSQL, database: Database) -> None:
    with database.following("product") as following:
        before = following.source.open()
        database.sql("INSERT INTO product VALUES (1)")
        server.kill()
        server.start()
        lost(following)
        after = following.source.open()
        assert (before.system, before.timeline, before.log) == (after.system, after.timeline, after.log)
        assert before.started != after.started
        assert following.changes() == [changes("product", 1)]


def test_a_crash_of_one_process_is_noticed(database: Database) -> None:
    with database.following("product") as following, database.writer() as victim:
        before = following.source.open()
        os.kill(victim.info.backend_pid, signal.SIGKILL)  # the server ends all sessions, and recovers
        lost(following)
        eventually(lambda: can_open(following))
        after = following.source.open()
        assert before.started != after.started
        with suppress(psycopg.OperationalError):
            victim.execute("SELECT 1")


def can_open(following: Following) -> bool:
    with suppress(OriginUnavailableError):
        following.source.open()
        return True
    return False


def test_a_commit_is_told_before_others_see_it_and_is_then_not_in_a_snapshot(
    server: PostgreSQL, database: Database
) -> None:
    with database.following("product") as following:
        database.sql("ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()")
        try:
            writer = threading.Thread(target=database.sql, args=("INSERT INTO product VALUES (1)",))
            eventually(lambda: database.sql("SHOW synchronous_standby_names") == [("nobody",)])
            writer.start()
            *_, commit = following.until(lambda event: isinstance(event, Commit))
            assert isinstance(commit, Commit)
            assert database.sql("SELECT * FROM product") == []
            assert not following.source.snapshot().sees(commit.xid)
            following.source.sample(b"stalled")  # which nothing holds up
            following.until(lambda event: isinstance(event, Message) and event.content == b"stalled")
        finally:
            database.sql("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
        writer.join(PATIENCE)
        assert database.sql("SELECT id FROM product") == [(1,)]
        assert following.source.snapshot().sees(commit.xid)


def test_a_promoted_standby_is_another_timeline(server: PostgreSQL, database: Database) -> None:
    with database.following("product") as following, Standby(server) as standby:
        before = following.source.open()
        standby.promote()
        promoted = Database(standby, LogSource, standby.url_of(urlsplit(database.url).path[1:]))
        with promoted.following("product") as follower:
            after = follower.source.open()
            assert (before.system, before.timeline + 1) == (after.system, after.timeline)
            promoted.sql("INSERT INTO product VALUES (1)")
            assert follower.changes() == [changes("product", 1)]


def test_a_silent_server_is_given_up_and_gives_us_up(database: Database) -> None:
    parts = urlsplit(database.url)
    proxy = Proxy(database.server.port)
    near = Database(database.server, LogSource, f"postgresql://postgres@127.0.0.1:{proxy.port}{parts.path}")
    try:
        with near.following("product", silence="1s", timeout="2s") as following:
            proxy.goes_dark()
            lost(following)
            successor = database.source(["product"])
            eventually(lambda: opens(successor))
            successor.close()
    finally:
        proxy.close()


def opens(source: LogSource) -> bool:
    with suppress(SourceBusyError):
        source.open()
        return True
    return False


def test_who_does_not_poll_loses_the_slot(database: Database) -> None:
    with database.following("product", silence="500ms") as following:
        successor = database.source(["product"])
        eventually(lambda: opens(successor))
        lost(following)
        with pytest.raises(SourceBusyError):
            following.source.open()
        successor.close()


def test_a_slot_that_was_lost_is_made_anew_as_another_log(database: Database) -> None:
    with database.following("product") as following:
        before = following.source.open()
        following.source.close()
        database.drop_slots()
        database.sql("INSERT INTO product VALUES (1)")
        assert following.source.open().log != before.log
        assert following.settle() == []


def test_a_slot_that_fell_too_far_behind_is_made_anew(database: Database) -> None:
    with database.following("product") as following:
        before = following.source.open()
        following.source.close()
        database.sql("ALTER SYSTEM SET max_slot_wal_keep_size = '16MB'", "SELECT pg_reload_conf()")
        for number in range(4):
            database.sql(f"INSERT INTO product VALUES ({number})", "SELECT pg_switch_wal()")
        database.sql("CHECKPOINT", "ALTER SYSTEM RESET max_slot_wal_keep_size", "SELECT pg_reload_conf()")
        slots = "FROM pg_replication_slots WHERE database = current_database()"
        assert database.sql(f"SELECT wal_status {slots}") == [("lost",)]
        with pytest.raises(ConfigurationError, match="doctor"):
            database.source(["product"], create=False).open()
        assert following.source.open().log != before.log
        database.sql("INSERT INTO product VALUES (9)")
        assert following.changes() == [changes("product", 9)]


def test_what_is_not_made_is_asked_for(database: Database) -> None:
    with pytest.raises(TableError, match="doctor"):
        database.source(["product"], create=False).open()
    database.sql("CREATE PUBLICATION forecache FOR TABLE product")
    with pytest.raises(ConfigurationError, match="doctor"):
        database.source(["product"], create=False).open()


@pytest.mark.parametrize(
    ("publication", "why"),
    [
        ("FOR TABLE product WITH (publish = 'insert, update')", "every kind of change"),
        ("FOR TABLE product WITH (publish_via_partition_root)", "as their root"),
        ("FOR TABLE product WHERE (id > 5)", "leaves out rows"),
        ("FOR TABLE product (id)", None),
        ("FOR ALL TABLES", None),
        ("FOR TABLES IN SCHEMA public", None),
    ],
)
def test_a_publication_must_have_everything(database: Database, publication: str, why: str | None) -> None:
    database.sql(f"CREATE PUBLICATION forecache {publication}")
    source = database.source(["product"])
    if why is None:
        with database.following("product") as following:
            database.sql("INSERT INTO product VALUES (1)")
            assert following.changes() == [changes("product", 1)]
    else:
        with pytest.raises(ConfigurationError, match=why):
            source.open()


def test_a_table_that_leaves_the_publication_is_noticed(database: Database) -> None:
    with database.following("product", recheck="200ms") as following:
        before = following.source.open()
        database.sql("ALTER PUBLICATION forecache DROP TABLE product")
        with pytest.raises(ChangeLogError, match="open the source again"):
            following.until(lambda _: False)
        after = following.source.open()
        assert after.log != before.log
        database.sql("INSERT INTO product VALUES (1)")
        assert following.changes() == [changes("product", 1)]


def test_a_table_is_added_when_nobody_writes_to_it(database: Database) -> None:
    database.sql("CREATE TABLE later (id int PRIMARY KEY, n int)", "INSERT INTO later VALUES (1, 1)")
    with database.following("product"):
        pass
    with database.writer() as writer, writer.transaction():
        writer.execute("UPDATE later SET n = 2")  # before it is published: this would not be told
        source = database.source(["product", "later"])
        opening = threading.Thread(target=source.open)
        opening.start()
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'later'::regclass"
        eventually(lambda: database.sql(waiting) == [(1,)])
    opening.join(PATIENCE)
    assert database.sql("SELECT n FROM later") == [(2,)]  # as whoever copies it from now on has it
    database.sql("UPDATE later SET n = 3")
    assert Following(source).changes() == [changes("later", 1)]
    source.close()


@pytest.mark.parametrize(
    ("identity", "works"),
    [("FULL", True), ("USING INDEX other", False), ("NOTHING", False), ("USING INDEX same", True)],
)
def test_the_replica_identity_must_have_the_key(database: Database, identity: str, works: bool) -> None:
    database.sql(
        "ALTER TABLE product ALTER price SET NOT NULL",
        "CREATE UNIQUE INDEX other ON product (price)",
        "CREATE UNIQUE INDEX same ON product (price, id)",
        f"ALTER TABLE product REPLICA IDENTITY {identity}",
    )
    if not works:
        with pytest.raises(TableError, match="REPLICA IDENTITY DEFAULT"):
            database.source(["product"]).open()
        return
    with database.following("product") as following:
        database.sql("INSERT INTO product VALUES (1, 1)", "UPDATE product SET id = 2, price = 5", "DELETE FROM product")
        assert following.changes() == [changes("product", 1), changes("product", 1, 2), changes("product", 2)]


def test_rows_of_tables_that_inherit_are_rows_of_the_table(database: Database) -> None:
    database.sql("CREATE TABLE special (PRIMARY KEY (id)) INHERITS (product)")
    with database.following("product") as following:
        database.sql("INSERT INTO special VALUES (1)", "UPDATE product SET id = 2", "TRUNCATE product")
        *first, last = following.changes()
        assert first == [changes("product", 1), changes("product", 1, 2)]
        assert {change.table for change in last} == {"product"}


def test_another_schema_and_strange_names(database: Database) -> None:
    database.sql('CREATE SCHEMA "a b"', 'CREATE TABLE "a b"."x""%s\'" ("k %" text PRIMARY KEY)')
    source = LogSource(database.url, {"a b.x\"%s'": ["k %"]}, publication='it\'s "ours"', slot="of_us")
    source.open()
    database.sql('INSERT INTO "a b"."x""%s\'" VALUES (\'k\')')
    assert Following(source).changes() == [changes("a b.x\"%s'", "k")]
    source.close()


def test_a_server_without_logical_log_is_refused() -> None:
    with PostgreSQL(wal_level="replica") as server:
        database = Database(server, LogSource)
        database.sql("CREATE TABLE product (id int PRIMARY KEY)")
        with pytest.raises(ConfigurationError, match="wal_level=logical"):
            database.source(["product"]).open()


def test_a_closed_source_says_so(database: Database) -> None:
    source = database.source(["product"])
    for use in (source.snapshot, lambda: source.poll(0), lambda: source.sample(b""), lambda: source.acknowledge(1)):
        with pytest.raises(OriginUnavailableError, match="open the source first"):
            use()
    source.close()
