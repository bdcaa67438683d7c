"""Origins when their databases fail: errors of our tree in bounded time, nothing half done, and healing by itself."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import create_engine

from forecache.coherence.sqlite.watch import connect
from forecache.errors import OriginUnavailableError, OutcomeUnknownError
from forecache.serve.origin import Change
from forecache.serve.origins.alchemy import AlchemyOrigin
from forecache.serve.origins.postgresql import PostgresqlOrigin
from forecache.serve.origins.sqlite import SqliteOrigin
from tests.contracts.subjects import Blocking
from tests.contracts.tiers import until
from tests.proxy import Proxy
from tests.servers import PostgreSQL

Open = Callable[..., Any]


def in_threads(url: str, **settings: Any) -> Any:
    return PostgresqlOrigin(url, **settings)


def in_tasks(url: str, **settings: Any) -> Any:
    return Blocking(PostgresqlOrigin(url, **settings))


@pytest.fixture(params=[in_threads, in_tasks])
def opened(request: pytest.FixtureRequest) -> Open:
    return request.param


@pytest.fixture
def url(postgresql: PostgreSQL) -> str:
    made = postgresql.database()
    with psycopg.connect(made, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (id BIGINT PRIMARY KEY, n BIGINT)")
        connection.execute("INSERT INTO t VALUES (1, 1)")
    return made


@pytest.fixture
def proxy(postgresql: PostgreSQL) -> Iterator[Proxy]:
    with closing(Proxy(postgresql.port)) as made:
        yield made


def behind(proxy: Proxy, url: str) -> str:
    return f"postgresql://postgres@127.0.0.1:{proxy.port}/{url.rpartition('/')[2]}?sslmode=disable&gssencmode=disable"


def end_connections(url: str) -> None:
    """Ends all of forecache's, as an administrator does."""
    with psycopg.connect(url, autocommit=True) as connection:
        others = "FROM pg_stat_activity WHERE application_name = 'forecache' AND datname = current_database()"
        connection.execute(f"SELECT pg_terminate_backend(pid, 10000) {others}")


def test_connections_that_were_lost_unused_are_replaced_without_an_error(opened: Open, url: str) -> None:
    origin = opened(url)
    table = origin.table("t")
    for _ in range(3):
        end_connections(url)
        assert origin.read(table, [1]).rows == {1: {"id": 1, "n": 1}}
        end_connections(url)
        with origin.transaction() as transaction:
            transaction.update(table, 1, {"n": 1})
    origin.close()


def test_a_server_that_is_down_is_an_error_and_its_return_is_noticed(opened: Open) -> None:
    with PostgreSQL() as server:
        origin = opened(server.url, timeout="20s")
        with origin.transaction() as transaction:
            transaction.execute("CREATE TABLE t (id BIGINT PRIMARY KEY)", tables=())
        table = origin.table("t")
        server.kill()
        with pytest.raises(OriginUnavailableError, match=str(server.port)) as caught:
            origin.read(table, [1])
        assert caught.value.__cause__ is not None
        with pytest.raises(OriginUnavailableError), origin.transaction():
            raise AssertionError("must not begin")
        server.start()
        assert origin.read(table, [1]).rows == {}
        origin.close()


def test_a_server_that_does_not_answer_is_given_up_in_time(opened: Open, url: str, proxy: Proxy) -> None:
    origin = opened(behind(proxy, url), timeout=0.3)
    table = origin.table("t")
    proxy.goes_dark()
    with pytest.raises(OriginUnavailableError, match="did not answer within 0.3 seconds"):
        origin.read(table, [1])
    proxy.goes_dark(False)
    assert origin.read(table, [1]).rows == {1: {"id": 1, "n": 1}}
    origin.close()


def test_a_read_pays_its_timeout_once_however_it_waits(url: str) -> None:
    origin = PostgresqlOrigin(url, timeout="3s", connections=1)
    table = origin.table("t")
    began = time.monotonic()
    with psycopg.connect(url) as other, ThreadPoolExecutor(2) as pool:
        other.execute("LOCK TABLE t")  # until the end
        first = pool.submit(origin.read, table, [1])
        time.sleep(1.5)
        second = pool.submit(origin.read, table, [2])  # waits for the connection of the first, and then for the lock
        for read in (first, second):
            with pytest.raises(OriginUnavailableError):
                read.result(30)
    assert time.monotonic() - began < 5.5  # 1.5 + 3, and not 3 + 3
    origin.close()


def test_a_statement_that_takes_longer_than_the_timeout_ends_and_its_locks_with_it(opened: Open, url: str) -> None:
    origin = opened(url, timeout=0.3)
    transaction = origin.transaction()
    with pytest.raises(OriginUnavailableError), transaction:
        transaction.update(origin.table("t"), 1, {"n": 5})
        transaction.execute("SELECT pg_sleep(600)", tables=["t"])
    assert transaction.changes == ()
    assert origin.read(origin.table("t"), [1]).rows[1]["n"] == 1
    with psycopg.connect(url, autocommit=True, options="-c statement_timeout=60s") as other:
        other.execute("UPDATE t SET n = 7")  # waits for the lock
    origin.close()


def test_a_transaction_whose_connection_is_lost_changes_nothing(opened: Open, url: str) -> None:
    origin = opened(url)
    table = origin.table("t")
    transaction = origin.transaction()
    with pytest.raises(OriginUnavailableError) as caught, transaction:
        transaction.update(table, 1, {"n": 2})
        end_connections(url)
        transaction.update(table, 1, {"n": 3})
    assert not isinstance(caught.value, OutcomeUnknownError)
    assert transaction.changes == ()
    assert origin.read(table, [1]).rows[1]["n"] == 1
    origin.close()


@pytest.mark.parametrize("lost", ["loses_requests", "loses_answers", "both"])
def test_an_unknown_outcome_is_an_error_of_its_own_and_keeps_the_changes(
    opened: Open, url: str, proxy: Proxy, lost: str
) -> None:
    """The commit did not arrive, or its answer did not: nobody can tell, so what was written must be invalidated."""
    origin = opened(behind(proxy, url), timeout=0.3)
    table = origin.table("t")
    transaction = origin.transaction()
    with pytest.raises(OutcomeUnknownError) as caught, transaction:
        transaction.update(table, 1, {"n": 2})
        if lost == "both":
            end_connections(url)
        else:
            setattr(proxy, lost, True)
    assert not isinstance(caught.value, OriginUnavailableError)
    assert transaction.changes == (Change("t", 1),)
    proxy.goes_dark(False)
    assert origin.read(table, [1]).rows[1]["n"] == (2 if lost == "loses_answers" else 1)
    origin.close()


def test_connections_are_no_more_than_allowed(opened: Open, url: str) -> None:
    origin = opened(url, connections=1, timeout=0.2)
    table = origin.table("t")
    for _ in range(3):
        with origin.transaction(), pytest.raises(OriginUnavailableError, match="all 1 connections .* in use"):
            origin.read(table, [1])
        assert origin.read(table, [1]).rows
    origin.close()


def test_closed_origins_connect_anew(opened: Open, url: str) -> None:
    origin = opened(url)
    table = origin.table("t")
    with origin.transaction() as transaction:
        if not isinstance(origin, Blocking):
            origin.close()  # the transaction goes on
        transaction.update(table, 1, {"n": 4})
    assert origin.read(table, [1]).rows[1]["n"] == 4
    origin.close()
    with psycopg.connect(url, autocommit=True) as connection:  # a transaction would be shown the first answer again
        ours = "application_name = 'forecache' AND datname = current_database()"
        left = f"SELECT count(*) FROM pg_stat_activity WHERE {ours}"
        assert until(lambda: connection.execute(left).fetchone() == (0,)), "a connection was left open"


def test_a_writer_that_keeps_sqlite_locked_is_an_error_in_time(tmp_path: Path) -> None:
    path = str(tmp_path / "shop.db")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n)")
        origin = SqliteOrigin(path, timeout=0.1)
        table = origin.table("t")
        other.execute("BEGIN IMMEDIATE")
        other.execute("INSERT INTO t VALUES (1, 1)")
        transaction = origin.transaction()
        with pytest.raises(OriginUnavailableError, match="locked"), transaction:
            raise AssertionError("must not begin")
        assert transaction.changes == ()
        assert origin.read(table, [1]).rows == {}  # readers do not wait for writers
        other.execute("COMMIT")
        with origin.transaction() as transaction:
            transaction.update(table, 1, {"n": 2})
        origin.close()


def test_a_file_may_be_opened_by_many_at_once_for_the_first_time(tmp_path: Path) -> None:
    """It is not in WAL mode yet, and SQLite fails at once, whatever its timeout, when two switch it."""
    ways: list[Callable[[str], Any]] = [lambda path: SqliteOrigin(path).table("t"), lambda path: connect(path).close()]
    together = threading.Barrier(4)

    def at_once(way: Callable[[str], Any], path: str) -> None:
        together.wait(9)
        way(path)

    with ThreadPoolExecutor(4) as threads:
        for number in range(100):
            path = str(tmp_path / f"{number}.db")
            with closing(sqlite3.connect(path)) as other:
                other.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, n)")
            opening = [threads.submit(at_once, way, path) for way in ways * 2]
            for each in opening:
                each.result()


def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(OriginUnavailableError, match=r"shop\.db.*not a database"):
        SqliteOrigin(path).table("t")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "alchemy"])
def test_a_child_process_has_connections_of_its_own(kind: str, url: str, tmp_path: Path) -> None:
    path = str(tmp_path / "shop.db")
    with closing(sqlite3.connect(path)) as other:
        other.executescript("CREATE TABLE t (id INTEGER PRIMARY KEY, n); INSERT INTO t VALUES (1, 1)")
    engine = create_engine(url.replace("://", "+psycopg://"), pool_size=1)
    kinds: dict[str, Callable[[], Any]] = {
        "sqlite": lambda: SqliteOrigin(path, connections=1, timeout=1),
        "postgresql": lambda: PostgresqlOrigin(url, connections=1, timeout=1),
        "alchemy": lambda: AlchemyOrigin(engine),
    }
    origin = kinds[kind]()
    table = origin.table("t")
    transaction = origin.transaction()
    with transaction:  # the only connection is in use while the child is born
        transaction.update(table, 1, {"n": 2})
        child = os.fork()
        if child == 0:
            os._exit(0 if in_child(origin, table) else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        transaction.update(table, 1, {"n": 3})
    assert origin.read(table, [1]).rows == {1: {"id": 1, "n": 3}}
    origin.close()
    engine.dispose()


def in_child(origin: Any, table: Any) -> bool:
    try:
        return bool(origin.read(table, [1]).rows == {1: {"id": 1, "n": 1}})  # as it was committed
    except BaseException:
        return False
