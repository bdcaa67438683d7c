"""Opening in a task: every kind of database, one that serves tasks only too, and errors that are those of `open`."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

import forecache
from forecache.errors import ConfigurationError, OriginUnavailableError, TableError
from tests.serve.shops import ONE, path
from tests.servers import PostgreSQL

__all__ = ["path"]


async def test_a_file_is_opened_with_its_watch(path: Path) -> None:
    async with await forecache.aopen(path, ["product"], level="strong") as shop:
        assert await shop["product"].aget(1) == ONE
        await shop["product"].aupdate(1, {"price": 11})
        assert shop["product"].get(1, with_certificate=True).certificate.max_age == 0
        assert repr(shop).startswith("<Database sqlite:///")


async def test_an_engine_for_tasks_is_read_and_written(postgresql: PostgreSQL) -> None:
    url = postgresql.database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE product (id INT PRIMARY KEY, name TEXT, price INT)")
        connection.execute("INSERT INTO product VALUES (1, 'one', 10)")
    engine = create_async_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    async with await forecache.aopen(engine, ["product"]) as shop:
        rows = shop["product"]
        assert await rows.aget(1) == ONE
        await rows.aput({"id": 2, "name": "two", "price": 20})
        async with shop.atransaction() as transaction:
            await transaction.update("product", 1, {"price": 12})
        assert (await rows.aget(1, level="strong"))["price"] == 12
        assert (await rows.aget_many([1, 2])).keys() == {1, 2}
        with pytest.raises(ConfigurationError, match="tasks only"):
            rows.get(3)
    await engine.dispose()


async def test_errors_are_those_of_open(path: Path) -> None:
    with pytest.raises(TableError):
        await forecache.aopen(path, ["nothing"])
    with pytest.raises(ConfigurationError, match="tables is the str"):
        await forecache.aopen(path, "product")
    with pytest.raises(OriginUnavailableError):
        await forecache.aopen("postgresql://nobody@127.0.0.1:1/x", ["product"])
    with pytest.raises(TypeError, match="capacitty"):
        await forecache.aopen(path, ["product"], capacitty=3)
