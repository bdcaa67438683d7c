"""Tokens of sessions: across processes, and across a database's failover, which may have lost what they stand for."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

import forecache
from forecache import Database
from forecache.coherence.token import Token, differs
from forecache.errors import LevelError, OriginUnavailableError, SessionLostError
from tests.contracts.tiers import until
from tests.proxy import Proxy
from tests.serve.sites import Site, running, version_of
from tests.serve.standby import ROWS, Pair, let_read
from tests.servers import PostgreSQL

LEVELS = ["session", "bounded(1h)", "eventual", "strong"]


def reads(database: Database, token: str, level: str) -> object:
    """What a session gets; None while the database cannot be asked."""
    try:
        return database["item"].get(1, level=level, after=token)["version"]
    except OriginUnavailableError:
        return None


@contextmanager
def opened(pair: Pair, shared: bool) -> Iterator[Database]:
    settings = {"shared": pair.valkey.url} if shared else {}
    with forecache.open(pair.url, ["item"], timeout="5s", **settings) as database:  # type: ignore[arg-type]
        yield database


@pytest.mark.parametrize("followed", [False, True], ids=["alone", "with a sequencer"])
def test_a_token_of_before_a_lossy_failover_is_refused_and_never_satisfied(pair: Pair, followed: bool) -> None:
    with ExitStack() as stack:
        if followed:
            stack.enter_context(running(pair.url, pair.valkey.url))
        database, other = (stack.enter_context(opened(pair, followed)) for _ in range(2))
        pair.lags()
        database["item"].update(1, {"version": 7})
        token = database.token()
        for level in LEVELS:
            assert reads(other, token, level) == 7
        pair.fails_over()
        for level in LEVELS:
            for shop in (database, other):
                with pytest.raises(SessionLostError, match="Read without the token"):
                    until(lambda shop=shop, level=level: reads(shop, token, level) == "never")
        with pytest.raises(SessionLostError):
            other["item"].get_many([1, 2], level="snapshot", after=token)
        assert other["item"].get(1, level="strong")["version"] == 0, "it was lost, and is refused to sessions alone"
        old, token = token, database.token()
        assert Token.parse(token).number > Token.parse(old).number
        for level in LEVELS:
            assert reads(other, token, level) == 0
        if followed:
            assert until(lambda: other._watch.contains(Token.parse(token)))
            assert reads(other, token, "session") == 0
            with pytest.raises(SessionLostError):
                reads(other, old, "session")


def test_what_a_successor_says_is_not_kept_among_copies_of_before(pair: Pair) -> None:
    primary = pair.primary.url
    with running(primary, pair.valkey.url), opened(pair, True) as database, opened(pair, True) as other:
        assert until(lambda: database._watch.proves and other._watch.proves)
        pair.lags()
        database["item"].update(1, {"version": 7})
        token = Token.parse(database.token())
        assert until(lambda: database._watch.contains(token))
        pair.fails_over()  # and the sequencer knows nothing of the standby
        for each in (database, other):
            assert until(lambda each=each: reads_strongly(each))
            for _ in range(2):
                answer = each["item"].get(1, level="session", with_certificate=True)
                assert (answer.row["version"], answer.certificate.tier) == (0, "database")
            assert differs(each._watch.epoch, each["item"]._path.origin.token().past)  # type: ignore[attr-defined]
        with pytest.raises(SessionLostError):
            database["item"].get(1, level="session", after=str(token))


def reads_strongly(database: Database) -> bool:
    try:
        return bool(database["item"].get(2, level="strong"))
    except OriginUnavailableError:
        return False


async def test_tasks_make_tokens_and_read_after_them(site: Site) -> None:
    site.sequencer()
    async with await forecache.aopen(site.url, ["item"], shared=site.shared) as database:
        for version in range(1, 10):
            await database["item"].aupdate(1, {"version": version})
            token = await database.atoken()
            assert (await database["item"].aget(1, level="session", after=token))["version"] == version
            found = await database["item"].aget_many([1, 2], after=token)
            assert [row["version"] for row in found.values()] == [version, 0]


def test_a_copy_answers_once_a_beacon_has_passed_the_token(site: Site) -> None:
    site.sequencer()
    database = site.open()
    site.write(1, 7)
    token = database.token()
    assert until(lambda: database._watch.contains(Token.parse(token)))
    assert version_of(database, 1) == 7
    answer = database["item"].get(1, level="session", after=token, with_certificate=True)
    assert (answer.row["version"], answer.certificate.tier) == (7, "process")


def test_an_outage_is_no_reason_to_forget_a_token(postgresql: PostgreSQL) -> None:
    url = postgresql.database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(ROWS.encode())
    with Proxy(postgresql.port) as proxy:
        near = url.replace(str(postgresql.port), str(proxy.port)) + "?sslmode=disable&gssencmode=disable"
        with forecache.open(near, ["item"], timeout="1s", stale_on_error="1h") as database:
            database["item"].get(1)
            token = database.token()
            proxy.goes_dark()
            assert database["item"].get(1, level="strong") == {"id": 1, "version": 0}, "as stale_on_error says"
            with pytest.raises(OriginUnavailableError):
                database["item"].get(1, after=token)


def test_a_standby_makes_no_tokens(pair: Pair) -> None:
    with forecache.open(pair.primary.url, ["item"]) as database:
        token = database.token()
    with forecache.open(pair.standby.url, ["item"]) as database:
        with pytest.raises(OriginUnavailableError, match="tokens come from the primary"):
            database.token()
        with pytest.raises(LevelError, match="read from the primary"):
            database["item"].get(1, after=token)
        pair.fails_over()
        assert database["item"].get(1, after=database.token()) == {"id": 1, "version": 0}, "on the same connection"


def test_a_role_that_may_not_know_the_past_still_reads(postgresql: PostgreSQL) -> None:
    url = postgresql.database()
    of_role = let_read(url, "modest")
    with forecache.open(url, ["item"]) as database:
        token = database.token()
    with forecache.open(of_role, ["item"]) as database:
        assert database["item"].get(1) == {"id": 1, "version": 0}
        with pytest.raises(LevelError, match="grant it"):
            database["item"].get(1, after=token)


@pytest.mark.parametrize("text", ["", "753", "1-2", "a-b-c", "1-2-3-4-5", "1-2-3-", "1-2-" + 21 * "9", "1-2-\u0663", 7])
def test_what_is_no_token_is_refused(site: Site, text: Any) -> None:
    database = site.open(proven=False)
    with pytest.raises(LevelError, match="expected a token"):
        database["item"].get(1, after=text)


def test_a_file_has_no_tokens_and_needs_none(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, version INT)")
    with forecache.open(path, ["item"]) as database:
        with pytest.raises(LevelError, match="needs none"):
            database.token()
        with pytest.raises(LevelError, match="needs none"):
            database["item"].get(1, after="1-1-1")
