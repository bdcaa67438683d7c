"""The source that reads notes of triggers: order, long transactions, bounded growth, rights, triggers that are gone."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from forecache.coherence.changes import EVERY
from forecache.coherence.postgresql import notes
from forecache.coherence.postgresql.notes_source import NotesSource
from forecache.errors import ChangeLogError, ConfigurationError, OriginUnavailableError, SourceBusyError
from tests.coherence.following import PATIENCE, Database, Following, changes
from tests.servers import PostgreSQL


@pytest.fixture
def database(postgresql: PostgreSQL) -> Database:
    made = Database(postgresql, NotesSource)
    made.sql("CREATE TABLE product (id int PRIMARY KEY, price int)")
    return made


@pytest.fixture
def following(database: Database) -> Iterator[Following]:
    with database.following("product") as followed:
        yield followed


def test_whoever_begins_first_and_ends_last_is_told(database: Database, following: Following) -> None:
    with database.writer() as slow, database.writer() as quick:
        with slow.transaction():
            slow.execute("INSERT INTO product VALUES (1)")
            quick.execute("INSERT INTO product VALUES (2)")
            assert following.changes() == [changes("product", 2)]  # which a slow writer does not hold up
            assert following.changes() == []
        assert following.changes() == [changes("product", 1)]


def test_notes_that_are_done_with_are_deleted(database: Database, following: Following) -> None:
    database.sql("INSERT INTO product SELECT generate_series(1, 1000)")
    (commit,) = following.settle()
    assert database.sql(f"SELECT count(*) FROM {notes.NOTES}") == [(1000,)]
    following.source.acknowledge(commit.position)
    deadline = time.monotonic() + PATIENCE
    while database.sql(f"SELECT count(*) FROM {notes.NOTES}") != [(0,)]:
        assert time.monotonic() < deadline
        assert following.source.poll(0.1) == []


def test_notes_that_nobody_reads_are_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes, "KEPT", 50)
    monkeypatch.setattr(notes, "TRIM_EVERY", 10)
    with database.following("product") as following:
        before = following.source.open()
        following.source.close()
        database.sql(*(f"INSERT INTO product SELECT generate_series({at}, {at} + 19)" for at in range(0, 400, 20)))
        assert database.sql(f"SELECT count(*) < 100 FROM {notes.NOTES}") == [(True,)]
        after = following.source.open()
        assert after.log != before.log
        database.sql("INSERT INTO product VALUES (-1)")
        assert following.changes()[-1] == changes("product", -1)


def test_notes_that_are_lost_while_they_are_read_are_noticed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "KEPT", 50)
    monkeypatch.setattr(notes, "TRIM_EVERY", 10)
    with database.following("product") as following:
        database.sql(*(f"INSERT INTO product SELECT generate_series({at}, {at} + 19)" for at in range(0, 400, 20)))
        with pytest.raises(ChangeLogError, match="deleted before they were read"):
            following.source.poll(1)


@pytest.mark.parametrize("harm", ["DISABLE TRIGGER ALL", "ENABLE TRIGGER USER", "DROP"])
def test_triggers_that_are_gone_are_noticed_and_made_again(database: Database, harm: str) -> None:
    with database.following("product", recheck="100ms") as following:
        before = following.source.open()
        if harm == "DROP":
            tables = following.source._tables  # type: ignore[attr-defined]
            database.sql(*notes.removal(tables))
        else:
            database.sql(f"ALTER TABLE product {harm}")
        with pytest.raises(ChangeLogError, match="open the source again"):
            following.until(lambda _: False)
        assert following.source.open().log != before.log
        database.sql("INSERT INTO product VALUES (1)", "TRUNCATE product")
        assert following.changes() == [changes("product", 1), changes("product", EVERY)]


def test_it_needs_no_rights_but_to_create(database: Database) -> None:
    database.sql(
        "CREATE ROLE owner_of_shop LOGIN",
        "CREATE ROLE clerk LOGIN",
        "GRANT CREATE ON SCHEMA public TO owner_of_shop",
        "ALTER TABLE product OWNER TO owner_of_shop",
        "GRANT INSERT ON product TO clerk",
    )
    try:
        owner = Database(database.server, NotesSource, database.url.replace("postgres@", "owner_of_shop@"))
        with owner.following("product") as following:
            with psycopg.connect(database.url.replace("postgres@", "clerk@"), autocommit=True) as clerk:
                clerk.execute("SET datestyle = german; SET extra_float_digits = -10")
                clerk.execute("INSERT INTO product VALUES (1)")
            assert following.changes() == [changes("product", 1)]
    finally:
        database.sql(*(f"DROP OWNED BY {role} CASCADE" for role in ("clerk", "owner_of_shop")))
        database.sql("DROP ROLE clerk", "DROP ROLE owner_of_shop")


def test_what_is_not_made_is_asked_for(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="doctor --without-slot"):
        database.source(["product"], create=False).open()


def test_who_does_not_poll_loses_its_turn(database: Database) -> None:
    with database.following("product", silence="300ms") as following:
        successor = database.source(["product"])
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                successor.open()
                break
            except SourceBusyError:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        with pytest.raises(OriginUnavailableError):
            following.source.poll(0)
        successor.close()


def test_a_table_by_a_strange_name(database: Database) -> None:
    database.sql('CREATE SCHEMA "a b"', 'CREATE TABLE "a b"."x\'%s\\{}" ("k %" text PRIMARY KEY)')
    source = NotesSource(database.url, {"a b.x'%s\\{}": ["k %"]}, follower='it\'s "ours"')
    source.open()
    database.sql('INSERT INTO "a b"."x\'%s\\{}" VALUES (\'k\\\')')
    assert Following(source).changes() == [changes("a b.x'%s\\{}", "k\\")]
    source.close()
