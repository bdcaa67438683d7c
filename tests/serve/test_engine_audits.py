"""Audits behind engines of tasks: as behind any other database, in the loop that uses the engine, not in its way."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

import forecache
from forecache import Database
from forecache._core import Copy, now
from forecache.coherence.token import Token
from forecache.errors import ConfigurationError, OriginUnavailableError
from forecache.serve.origins import loops
from forecache.serve.origins.alchemy import AlchemyOrigin
from forecache.serve.origins.postgresql import PostgresqlOrigin
from tests.serve.sites import Site

PATIENCE_SECONDS = 20.0
DRIVERS = ["asyncpg", "psycopg"]


@asynccontextmanager
async def opened(site: Site, driver: str = "asyncpg", **settings: Any) -> AsyncIterator[Database]:
    """A cache over an engine of this loop, whose copies are proven."""
    engine = engine_of(site, driver)
    try:
        async with await forecache.aopen(engine, ["item"], shared=site.shared, **settings) as database:
            assert await holds(lambda: is_read_and_proven(database))
            yield database
    finally:
        await engine.dispose()


def engine_of(site: Site, driver: str) -> AsyncEngine:
    return create_async_engine(site.url.replace("postgresql://", f"postgresql+{driver}://"))


async def is_read_and_proven(database: Database) -> bool:
    certificate = (await database["item"].aget(1, with_certificate=True)).certificate
    return certificate.tier == "process" and bool(certificate.beacon) and now() - database._watch.proven_at() < 0.5


async def holds(condition: Any) -> bool:
    """Whether it is true in the end, while the loop goes on."""
    for _ in range(round(PATIENCE_SECONDS / 0.01)):
        if await condition():
            return True
        await asyncio.sleep(0.01)
    return False


@pytest.mark.parametrize("driver", DRIVERS)
async def test_audits_run_by_themselves_and_find_nothing_wrong(site: Site, driver: str) -> None:
    site.sequencer()
    async with opened(site, driver, audit=3) as database:

        async def is_audited() -> bool:
            await database["item"].aget_many(range(1, 20))
            await database["item"].aupdate(7, {"version": database.stats().commits})
            await database["item"].aget(7)
            return database.stats().audits > 3

        assert await holds(is_audited)
        assert database.stats().violations == 0
        assert database.consistency().share == 1


@pytest.mark.parametrize("driver", DRIVERS)
async def test_a_copy_that_contradicts_its_proof_is_told_and_ends_the_epoch(
    site: Site, driver: str, caplog: pytest.LogCaptureFixture
) -> None:
    site.sequencer()
    async with opened(site, driver, audit=1) as database:
        epoch = database._watch.epoch
        site.write(1, 5)
        token = Token.parse(await database.atoken())

        async def is_contained() -> bool:
            return database._watch.contains(token)

        async def is_found() -> bool:
            database._copies.cache[("item", 1)] = Copy({"id": 1, "version": 4}, 0.0, None)  # as if its end was missed
            await database["item"].aget(1)
            return database.stats().violations > 0

        async def is_renewed() -> bool:
            return await is_read_and_proven(database) and database._watch.epoch != epoch

        assert await holds(is_contained)
        with caplog.at_level(logging.ERROR, "forecache"):
            assert await holds(is_found)
        assert "older than was proven" in caplog.text
        assert await holds(is_renewed)
        assert (await database["item"].aget(1))["version"] == 5
        assert database.consistency().share < 1


async def test_nobody_waits_for_an_audit_when_all_is_closed(site: Site) -> None:
    site.sequencer()
    async with opened(site, audit=1) as database:
        site.writer.execute("BEGIN")
        site.writer.execute("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")  # whoever asks now waits
        audit = database._audit
        assert audit is not None
        asking = asyncio.create_task(asyncio.to_thread(audit.check, "item", 1))
        await asyncio.sleep(0.1)
        await asyncio.wait_for(database.aclose(), PATIENCE_SECONDS)
        site.writer.execute("ROLLBACK")
        assert await asking in {True, None}
        assert audit._thread is not None
        assert not audit._thread.is_alive()


def test_a_loop_that_ended_is_not_asked(site: Site) -> None:
    site.sequencer()
    engine = engine_of(site, "asyncpg")

    async def reading() -> Database:
        database = await forecache.aopen(engine, ["item"], shared=site.shared, audit=1)
        await database["item"].aget(1)
        assert database._tier is not None
        await database._tier.aclose()  # and nothing else: as a program that leaves its loop to an audit
        await engine.dispose()
        return database

    database = asyncio.run(reading())
    with pytest.raises(OriginUnavailableError, match="none of their loops runs"):
        database._origin.with_writer(database["item"]._path.tables["item"], 1)  # type: ignore[attr-defined]
    database.close()


async def test_a_loop_does_not_wait_for_itself(site: Site) -> None:
    engine = engine_of(site, "asyncpg")
    origin = AlchemyOrigin(engine)
    table = await origin.atable("item")
    with pytest.raises(ConfigurationError, match="await the methods"):
        origin.with_writer(table, 1)
    assert await asyncio.to_thread(origin.with_writer, table, 1) == ({"id": 1, "version": 0}, await writer_of(site, 1))
    assert await asyncio.to_thread(origin.with_writer, table, 1000) is None
    await engine.dispose()


async def test_what_a_busy_loop_does_not_come_to_is_given_up() -> None:
    busy = threading.Event()
    loop = asyncio.get_running_loop()

    async def work() -> int:
        await asyncio.sleep(3600)
        return 1

    def asks() -> str:
        try:
            loops.asked_in(loop, work, "it", 0.05)
        except OriginUnavailableError as error:
            return str(error)
        finally:
            busy.set()
        return "answered"

    asking = asyncio.create_task(asyncio.to_thread(asks))
    await asyncio.sleep(0)
    assert busy.wait(PATIENCE_SECONDS), "as a loop does that computes"
    assert "within 0.05 s" in await asking
    await asyncio.sleep(0.05)
    assert len(asyncio.all_tasks(loop)) == 1, "what was begun is cancelled"


async def test_a_child_does_not_ask_in_the_loop_of_its_parent(site: Site) -> None:
    engine = engine_of(site, "psycopg")
    origin = AlchemyOrigin(engine)
    table = await origin.atable("item")
    assert origin._loop is asyncio.get_running_loop()
    await engine.dispose()  # as a child would leave these connections to its parent
    origin.after_fork()
    with pytest.raises(OriginUnavailableError, match="none of their loops"):
        await asyncio.to_thread(origin.with_writer, table, 1)


async def writer_of(site: Site, key: int) -> int:
    [(writer,)] = site.writer.execute("SELECT xmin::text FROM item WHERE id = %s", [key]).fetchall()
    return int(writer)


def test_a_row_comes_with_its_writer_whatever_its_table_is_called(site: Site) -> None:
    site.writer.execute('CREATE TABLE "50% ""of""" ("a%" int, "b" text, "%s" int, PRIMARY KEY ("a%", b))')
    site.writer.execute('INSERT INTO "50% ""of""" VALUES (1, \'x\', 5)')
    [(writer,)] = site.writer.execute('SELECT xmin::text FROM "50% ""of"""').fetchall()
    origin = PostgresqlOrigin(site.url)
    table = origin.table('50% "of"')
    assert origin.with_writer(table, (1, "x")) == ({"a%": 1, "b": "x", "%s": 5}, int(writer))
    site.writer.execute('ALTER TABLE "50% ""of""" ADD c int')
    assert origin.with_writer(table, (1, "x")) is None, "its shape is another"
    origin.close()
