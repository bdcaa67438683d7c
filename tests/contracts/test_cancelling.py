"""Tasks that are cancelled: their transactions end, their connections come back, and `changes` stays right."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from forecache.serve.origin import Change
from forecache.serve.origins.postgresql import PostgresqlOrigin
from forecache.serve.origins.sqlite import SqliteOrigin
from tests.servers import PostgreSQL

TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER)"
Open = Callable[[], Any]


@pytest.fixture(params=["sqlite", "postgresql"])
def opened(request: pytest.FixtureRequest, tmp_path: Path, postgresql: PostgreSQL) -> Open:
    if request.param == "sqlite":
        path = str(tmp_path / "shop.db")
        with closing(sqlite3.connect(path)) as connection:
            connection.executescript(TABLE)
        return lambda: SqliteOrigin(path, connections=2)
    url = postgresql.database()
    with psycopg.connect(url) as connection:
        connection.execute(TABLE)
    return lambda: PostgresqlOrigin(url, connections=2)


async def cancelled(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancelled_transaction_is_rolled_back(opened: Open) -> None:
    origin = opened()
    table = await origin.atable("t")
    for number in range(5):  # more than there are connections
        transaction, inside = origin.atransaction(), asyncio.Event()

        async def write(transaction: Any, inside: asyncio.Event, number: int) -> None:
            async with transaction:
                await transaction.put(table, {"id": number, "n": 1})
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(write(transaction, inside, number))
        await inside.wait()
        assert transaction.changes == (Change("t", number),)
        await cancelled(task)
        assert transaction.changes == ()
    assert (await origin.aread(table, range(5))).rows == {}
    await origin.aclose()


async def test_cancelled_reads_and_entries_give_their_connections_back(opened: Open) -> None:
    origin = opened()
    table = await origin.atable("t")

    async def enter() -> None:
        async with origin.atransaction():
            pass

    for steps in range(12):  # cancelled at every step on the way
        for work in (origin.aread(table, [1]), enter()):
            task = asyncio.ensure_future(work)
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
    while any(thread.name.startswith("forecache-transaction") for thread in threading.enumerate()):
        await asyncio.sleep(0.01)  # they undo what was begun, and would wait for the next writer
    async with origin.atransaction() as one:
        await one.put(table, {"id": 1, "n": 1})
        assert (await origin.aread(table, [1])).rows == {}  # a second connection
    await origin.aclose()


async def test_a_cancelled_commit_keeps_its_changes_unless_it_was_undone(opened: Open) -> None:
    """Whoever invalidates `changes` afterwards misses nothing that was committed."""
    origin = opened()
    table = await origin.atable("t")
    committed = 0
    for steps in range(15):
        transaction, leaving = origin.atransaction(), asyncio.Event()

        async def write(transaction: Any, leaving: asyncio.Event, number: int) -> None:
            async with transaction:
                await transaction.put(table, {"id": number, "n": 1})
                leaving.set()

        task = asyncio.create_task(write(transaction, leaving, steps))
        await leaving.wait()
        for _ in range(steps):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        is_there = bool((await origin.aread(table, [steps])).rows)
        committed += is_there
        assert not is_there or transaction.changes == (Change("t", steps),)
    assert committed
    await origin.aclose()


async def test_tasks_that_wait_for_each_other_do_not_run_out_of_threads(opened: Open) -> None:
    """Many transactions at once, each with a read inside, on fewer connections."""
    origin = opened()
    table = await origin.atable("t")

    async def write(number: int) -> None:
        async with origin.atransaction() as transaction:
            await transaction.put(table, {"id": number, "n": 1})
            assert await transaction.get(table, number) == {"id": number, "n": 1}

    await asyncio.gather(*(write(number) for number in range(30)))
    assert len((await origin.aread(table, range(30))).rows) == 30
    await origin.aclose()
