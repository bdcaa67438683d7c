"""Tokens of sessions over engines of SQLAlchemy: as those of a URL, of the database that the engine connects to."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import psycopg2
import pytest
from sqlalchemy import Engine, NullPool, create_engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import forecache
from forecache import Database
from forecache.coherence.token import Token
from forecache.errors import LevelError, OriginUnavailableError, SessionLostError
from forecache.serve.origins.alchemy import AlchemyOrigin
from forecache.serve.origins.drivers import parameters_of_driver
from tests.contracts.tiers import until
from tests.serve.sites import Site, is_proven, running, version_of
from tests.serve.standby import Pair, let_read
from tests.servers import PostgreSQL

LEVELS = ["session", "bounded(1h)", "eventual", "strong"]


def form(url: str) -> str:
    return url.replace("postgresql://", "postgresql+psycopg://")


@contextmanager
def opened(engine: Engine, **settings: Any) -> Iterator[Database]:
    """A cache over an engine, which is disposed of afterwards."""
    try:
        with forecache.open(engine, **({"tables": ["item"]} | settings)) as database:
            yield database
    finally:
        engine.dispose()


def either(pair: Pair) -> Engine:
    """An engine whose connections go to whoever of the pair writes."""
    return create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(pair.url), pool_pre_ping=True)


def version_after(database: Database, token: str, level: str = "session") -> int | None:
    """What a session gets; None while the database cannot be asked."""
    try:
        version: int = database["item"].get(1, level=level, after=token)["version"]
    except OriginUnavailableError:
        return None
    return version


def test_a_session_goes_on_behind_an_engine_and_back(site: Site) -> None:
    site.sequencer()
    by_url = site.open()
    with opened(create_engine(form(site.url)), shared=site.shared) as by_engine:
        assert until(lambda: is_proven(by_engine))
        for version, (writer, reader) in enumerate(2 * [(by_url, by_engine), (by_engine, by_url)], 1):
            writer["item"].update(1, {"version": version})
            token = writer.token()
            for level in LEVELS:
                assert version_after(reader, token, level) == version
            assert until(lambda reader=reader, token=token: reader._watch.contains(Token.parse(token)))
            assert version_of(reader, 1) == version
            answer = reader["item"].get(1, level="session", after=token, with_certificate=True)
            assert (answer.row["version"], answer.certificate.tier) == (version, "process")
        assert until(lambda: (by_engine["item"].get(1), by_engine.stats().audits > 0)[1]), (
            "they ask the database in the driver's words"
        )
        assert by_engine.stats().violations == 0


async def test_tasks_do_as_well(site: Site) -> None:
    site.sequencer()
    for engine in (
        create_engine(form(site.url), poolclass=NullPool),
        create_async_engine(form(site.url), poolclass=NullPool),
    ):
        async with await forecache.aopen(engine, ["item"], shared=site.shared) as database:
            for version in range(1, 6):
                await database["item"].aupdate(1, {"version": version})
                token = await database.atoken()
                assert (await database["item"].aget(1, level="session", after=token))["version"] == version
                assert (await database["item"].aget_many([1, 2], after=token))[1]["version"] == version


@pytest.mark.parametrize("followed", [False, True], ids=["alone", "with a sequencer"])
def test_after_a_failover_what_was_lost_is_refused(pair: Pair, followed: bool) -> None:
    settings = {"shared": pair.valkey.url} if followed else {}
    with ExitStack() as stack:
        if followed:
            stack.enter_context(running(pair.url, pair.valkey.url))
        database = stack.enter_context(opened(either(pair), **settings))
        held = database.token()
        pair.lags()
        database["item"].update(1, {"version": 7})
        lost = database.token()
        assert version_after(database, lost) == 7
        pair.fails_over()
        for level in LEVELS:
            with pytest.raises(SessionLostError, match="Read without the token"):
                until(lambda level=level: version_after(database, lost, level) == "never")
        assert until(lambda: version_after(database, database.token()) == 0)
        assert version_after(database, held) == 0, (
            "a sequencer, or the database, tells what the new past has of the old"
        )


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2", "asyncpg"])
async def test_the_database_tells_its_history_where_the_driver_tells_how_it_connects(pair: Pair, driver: str) -> None:
    pair.fails_over()
    url = pair.standby.url.replace("postgresql://", f"postgresql+{driver}://")
    engines: list[Any] = [create_engine(url)] if driver != "asyncpg" else []
    engines += [create_async_engine(url)] if driver != "psycopg2" else []
    for engine in engines:
        origin = AlchemyOrigin(engine)
        past = (await origin.atoken()).past
        asking = asyncio.to_thread(origin.history, past)
        if driver == "asyncpg":
            with pytest.raises(OriginUnavailableError, match="does not tell how it connects"):
                await asking
        else:
            assert (await asking).startswith("1\t0/")
            with pytest.raises(OriginUnavailableError, match=f"has past {past} now"):
                await asyncio.to_thread(origin.history, "1-1")
        await (engine.dispose() if isinstance(engine, AsyncEngine) else asyncio.to_thread(engine.dispose))
        origin.close()


@pytest.mark.parametrize("driver", [psycopg, psycopg2])
def test_a_connection_tells_all_that_it_was_made_with(postgresql: PostgreSQL, driver: Any) -> None:
    given = {"password": "two words", "sslmode": "allow", "application_name": "shop", "options": "-c search_path=a"}
    with closing(driver.connect(postgresql.url, **given)) as connection:
        assert (parameters_of_driver(connection) or {}).items() >= (given | {"user": "postgres"}).items()
    assert parameters_of_driver(object()) is None


def test_a_standby_makes_no_tokens(pair: Pair) -> None:
    with opened(create_engine(form(pair.primary.url))) as database:
        token = database.token()
    with opened(create_engine(form(pair.standby.url))) as database:
        with pytest.raises(OriginUnavailableError, match="tokens come from the primary"):
            database.token()
        with pytest.raises(LevelError, match="read from the primary"):
            database["item"].get(1, after=token)
        pair.fails_over()
        assert version_after(database, database.token()) == 0, "on the same connection"


def test_a_role_that_may_not_know_the_past_still_reads(postgresql: PostgreSQL) -> None:
    url = postgresql.database()
    of_role = let_read(url, "humble")
    with opened(create_engine(form(url))) as database:
        token = database.token()
    with opened(create_engine(form(of_role))) as database:
        for key in (1, 2):
            assert database["item"].get(key) == {"id": key, "version": 0}
        with pytest.raises(LevelError, match="grant it"):
            database["item"].get(1, after=token)


@pytest.mark.parametrize(
    ("kind", "name", "is_followed"),
    [
        ("int", "public.thing", True),
        ("varchar(9)", "thing", True),
        ("inet", "thing", False),
        ("numeric", "thing", False),
    ],
)
def test_copies_are_proven_where_a_sequencer_calls_rows_the_same(
    site: Site, kind: str, name: str, is_followed: bool
) -> None:
    """Other tables are cached as without a sequencer: drivers may differ in what such a key is."""
    site.writer.execute(f"CREATE TABLE thing (id {kind} PRIMARY KEY)")
    with opened(create_engine(form(site.url)), tables=[name], shared=site.shared) as database:
        assert [table.name for table in database[name]._path.tables.values()] == ["thing"]
        assert (database._watch.proof is not None) is is_followed


def test_a_file_behind_an_engine_has_none_and_needs_none(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE item (id INTEGER PRIMARY KEY, version INT)")
    with opened(engine) as database:
        with pytest.raises(LevelError, match="'strong' needs none"):
            database.token()
        with pytest.raises(LevelError, match="'strong' needs none"):
            database["item"].get(1, after="1-1-1")
