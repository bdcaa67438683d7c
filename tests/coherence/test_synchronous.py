"""Synchronous mode: a commit waits until the source has acknowledged it, and nobody sees it before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from forecache.coherence.changes import Commit
from forecache.coherence.postgresql.examination import examine
from forecache.coherence.postgresql.finding import Finding
from forecache.coherence.postgresql.log_source import LogSource
from forecache.coherence.postgresql.patient import Patient
from forecache.coherence.postgresql.synchronous import calls, switch_off, switch_on
from forecache.errors import ConfigurationError
from tests.coherence.following import PATIENCE, Database
from tests.servers import PostgreSQL


@pytest.fixture(scope="module")
def database() -> Iterator[Database]:
    with PostgreSQL() as server:
        made = Database(server, LogSource)
        made.sql("CREATE TABLE product (id int PRIMARY KEY, price int)", "CREATE TABLE other (id int PRIMARY KEY)")
        made.sql("INSERT INTO product VALUES (1, 10)")
        yield made


@contextmanager
def waiting_for_us(database: Database) -> Iterator[None]:
    database.sql(*switch_on(database.sql("SHOW synchronous_standby_names")[0][0], 1))
    until = time.monotonic() + PATIENCE
    while not calls(database.sql("SHOW synchronous_standby_names")[0][0]) and time.monotonic() < until:
        time.sleep(0.01)
    database.sql("CHECKPOINT")  # the checkpointer lets commits wait, once it has read the setting
    try:
        yield
    finally:
        database.sql(*switch_off("forecache"))


@contextmanager
def at_once(work: Callable[[], object]) -> Iterator[threading.Thread]:
    thread = threading.Thread(target=work)
    thread.start()
    yield thread
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_commit_waits_until_it_is_acknowledged(database: Database) -> None:
    with database.following("product", standby="forecache") as following, waiting_for_us(database):
        with at_once(lambda: database.psql("UPDATE product SET price = 11")) as writer:
            *_, commit = following.until(lambda event: isinstance(event, Commit))
            assert isinstance(commit, Commit)
            for _ in range(5):
                following.source.poll(0.05)
                assert database.sql("SELECT price FROM product") == [(10,)]
            assert writer.is_alive()
            following.source.acknowledge(commit.position)
        assert database.sql("SELECT price FROM product") == [(11,)]
        assert following.source.snapshot().sees(commit.xid)


def test_commits_that_are_not_followed_do_not_wait(database: Database) -> None:
    with database.following("product", standby="forecache") as following, waiting_for_us(database):
        with at_once(lambda: database.sql("INSERT INTO other VALUES (1)")) as writer:
            while writer.is_alive():
                assert following.source.poll(0.05) == []
        assert database.sql("SELECT count(*) FROM other") == [(1,)]


def test_a_successor_is_told_what_waits(database: Database) -> None:
    with database.following("product", standby="forecache") as first, waiting_for_us(database):
        with at_once(lambda: database.sql("UPDATE product SET price = 20")) as writer:
            *_, commit = first.until(lambda event: isinstance(event, Commit))
            first.source.close()
            second = database.source(["product"], standby="forecache")
            second.open()
            again: list[object] = []
            while not again:
                again = list(second.poll(0.2))
            assert again == [commit]
            assert writer.is_alive()
            assert isinstance(commit, Commit)
            second.acknowledge(commit.position)
        second.close()
    assert database.sql("SELECT price FROM product") == [(20,)]


def test_whoever_waits_for_commits_is_not_waited_for(database: Database) -> None:
    with database.following("product", recheck="100ms") as following:
        database.sql("ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
        try:
            with pytest.raises(ConfigurationError, match="name the real standbys"):
                following.until(lambda _: False)
            with pytest.raises(ConfigurationError, match="name the real standbys"):
                following.source.open()
            (finding,) = synchronous_findings(database)
            assert (finding.state, finding.found) == ("error", "*")
        finally:
            database.sql("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")


@pytest.mark.parametrize(
    ("names", "advice"),
    [
        ("ANY 1 (replica, forecache)", "FIRST 2 (replica, forecache)"),
        ("FIRST 1 (forecache, replica)", "FIRST 2 (forecache, replica)"),
        ("forecache, replica", "FIRST 2 (forecache, replica)"),
        ("FIRST 2 (replica, forecache)", ""),
        ("forecache", ""),
    ],
)
def test_a_list_of_which_some_suffice_is_told(database: Database, names: str, advice: str) -> None:
    database.sql(f"ALTER SYSTEM SET synchronous_standby_names = '{names}'", "SELECT pg_reload_conf()")
    try:
        until = time.monotonic() + PATIENCE
        while database.sql("SHOW synchronous_standby_names") != [(names,)] and time.monotonic() < until:
            time.sleep(0.01)
        (finding,) = [each for each in synchronous_findings(database) if each.what == "synchronous_standby_names"]
        assert (finding.found, finding.state) == (names, "warning" if advice else "ok")
        assert advice in finding.advice
    finally:
        database.sql("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")


def synchronous_findings(database: Database) -> list[Finding]:
    return [finding for finding in examine(Patient(database.url)) if finding.what.startswith("synchronous")]


@pytest.mark.parametrize("names", ["forecache", "*", '"Forecache"', "FIRST 2 (a, forecache)", "ANY 1 (a,forecache)"])
def test_we_are_called(names: str) -> None:
    assert calls(names)
    assert switch_on(names, 0) == ()


@pytest.mark.parametrize("names", ["", "a", "FIRST 1 (a, b)", "forecaches"])
def test_we_are_not_called(names: str) -> None:
    assert not calls(names)
    assert switch_off(names) == ()


def test_nobody_waits_for_nobody() -> None:
    with pytest.raises(ConfigurationError, match="every commit would wait"):
        switch_on("", 0)


def test_real_standbys_are_left_to_the_operator() -> None:
    with pytest.raises(ConfigurationError, match=r"FIRST 2 \(replica, forecache\)"):
        switch_on("replica", 1)
    with pytest.raises(ConfigurationError, match="take forecache out"):
        switch_off("FIRST 2 (replica, forecache)")
