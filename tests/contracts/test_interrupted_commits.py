"""Interrupted while a commit runs: it is brought to its end, what was copied ends in any case, and nothing leaks.

The driver would cancel the statement. A commit that waits for a standby would then be seen at once, by everybody,
without that standby: lost by its promotion, and before copies were dropped where commits wait for that.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
import pytest

import forecache
from forecache.errors import OutcomeUnknownError, StatementError
from forecache.serve.origin import Change
from tests.servers import PostgreSQL

PATIENCE = 30.0  # seconds
SLOW = """
CREATE TABLE item (id int PRIMARY KEY, n int);
INSERT INTO item VALUES (1, 0);
CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_sleep(0.3);
    IF NEW.n < 0 THEN RAISE EXCEPTION 'too small'; END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON item DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION slow();
"""
BUSY = (
    "SELECT pid FROM pg_stat_activity WHERE wait_event = %s AND query LIKE '%%COMMIT' AND datname = current_database()"
)


class Shop:
    """A database whose commits take a while, and somebody who looks at it and waits for nobody."""

    def __init__(self, server: PostgreSQL) -> None:
        self.url = server.database()
        self.admin = psycopg.connect(self.url, autocommit=True, options="-c synchronous_commit=local")
        self.admin.execute(SLOW.encode())

    def n(self) -> int:
        found: int = self.admin.execute("SELECT n FROM item").fetchall()[0][0]
        return found

    def committing(self, waits_for: str) -> int | None:
        """The process of the server that is about a commit, and waits for something."""
        found = self.admin.execute(BUSY, [waits_for]).fetchall()
        return found[0][0] if found else None

    def sees(self, n: int) -> bool:
        """Waits until everybody sees it."""
        until = time.monotonic() + PATIENCE
        while self.n() != n and time.monotonic() < until:
            time.sleep(0.01)
        return self.n() == n

    @contextmanager
    def waiting_for_a_standby(self) -> Iterator[None]:
        """There is none, so commits wait for ever."""
        self.admin.execute("ALTER TABLE item DISABLE TRIGGER slow")
        self.admin.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        self.admin.execute("SELECT pg_reload_conf()")
        self.admin.execute("CHECKPOINT")  # the checkpointer lets commits wait, once it has read the setting
        try:
            yield
        finally:
            self.admin.execute("ALTER SYSTEM RESET synchronous_standby_names")
            self.admin.execute("SELECT pg_reload_conf()")


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    with PostgreSQL() as started:
        yield started


@pytest.fixture
def shop(server: PostgreSQL) -> Iterator[Shop]:
    made = Shop(server)
    yield made
    made.admin.close()


@asynccontextmanager
async def opened(shop: Shop, limit: str = "20s") -> AsyncIterator[forecache.Database]:
    """With one connection and a copy of what was there before."""
    database = await forecache.aopen(shop.url, ["item"], connections=1, timeout=limit, level="bounded(1h)")
    async with database:
        await database["item"].aget(1)
        yield database


async def begun(shop: Shop, database: forecache.Database, n: int, waits_for: str) -> tuple[asyncio.Task[None], Any]:
    """A task whose transaction is being committed, and that transaction."""
    transaction = database.atransaction()

    async def write() -> None:
        async with transaction:
            await transaction.update("item", 1, {"n": n})

    task, until = asyncio.create_task(write()), time.monotonic() + PATIENCE
    while shop.committing(waits_for) is None:
        assert time.monotonic() < until
        assert not task.done()
        await asyncio.sleep(0.01)
    return task, transaction


async def ended(task: asyncio.Task[None]) -> BaseException | None:
    """Waits for a task that was cancelled; returns what caused that it says no more."""
    with pytest.raises(asyncio.CancelledError) as caught:
        await task
    return caught.value.__cause__


@pytest.mark.parametrize("times", [1, 3])
async def test_a_task_is_cancelled_after_its_commit(shop: Shop, times: int) -> None:
    async with opened(shop) as database:
        pids = set()
        for n in range(1, 4):
            task, transaction = await begun(shop, database, n, "PgSleep")
            pids.add(shop.committing("PgSleep"))
            for _ in range(times):
                task.cancel()
                await asyncio.sleep(0.01)
                assert not task.done()
            assert await ended(task) is None
            assert shop.n() == n
            assert transaction.changes == (Change("item", 1),)
            assert await database["item"].aget(1) == {"id": 1, "n": n}
        assert len(pids) == 1, "the connection came back"


async def test_a_timeout_comes_after_the_commit(shop: Shop) -> None:
    async with opened(shop) as database:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await database["item"].aupdate(1, {"n": 5})
        assert (await database["item"].aget(1), shop.n()) == ({"id": 1, "n": 5}, 5)


async def test_a_commit_that_fails_meanwhile_is_the_cause(shop: Shop) -> None:
    async with opened(shop) as database:
        task, transaction = await begun(shop, database, -1, "PgSleep")
        task.cancel()
        cause = await ended(task)
        assert isinstance(cause, StatementError)
        assert "too small" in str(cause)
        assert transaction.changes == ()
        assert (await database["item"].aget(1), shop.n()) == ({"id": 1, "n": 0}, 0)


@pytest.mark.parametrize("which", ["the task", "all tasks, as at the end of a loop"])
async def test_nobody_sees_a_commit_that_waits_for_a_standby_because_a_task_was_cancelled(
    shop: Shop, which: str
) -> None:
    async with opened(shop, "1s") as database:
        with shop.waiting_for_a_standby():
            task, transaction = await begun(shop, database, 7, "SyncRep")
            everybody = asyncio.all_tasks() - {asyncio.current_task()}
            for each in [task] if which == "the task" else everybody:
                each.cancel()
            cause = await ended(task)
            assert isinstance(cause, OutcomeUnknownError) or which != "the task"
            assert shop.committing("SyncRep"), "it goes on"
            assert shop.n() == 0
            assert transaction.changes == (Change("item", 1),)
            assert await database["item"].aget(1) == {"id": 1, "n": 0}
        assert shop.sees(7)
        assert await database["item"].aget(1, level="strong") == {"id": 1, "n": 7}


@pytest.mark.usefixtures("interruptible")
def test_nobody_sees_it_because_a_program_was_interrupted(shop: Shop) -> None:
    def interrupt() -> None:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            if shop.committing("SyncRep"):
                os.kill(os.getpid(), signal.SIGINT)
                return

    with forecache.open(shop.url, ["item"], connections=1, timeout="1s", level="bounded(1h)") as database:
        database["item"].get(1)
        with shop.waiting_for_a_standby():
            thread, transaction = threading.Thread(target=interrupt), database.transaction()
            thread.start()
            with pytest.raises(KeyboardInterrupt), transaction:
                transaction.update("item", 1, {"n": 7})
            thread.join()
            assert shop.committing("SyncRep"), "it goes on"
            assert shop.n() == 0
            assert transaction.changes == (Change("item", 1),)
        assert shop.sees(7)
        assert database["item"].get(1, level="strong") == {"id": 1, "n": 7}
