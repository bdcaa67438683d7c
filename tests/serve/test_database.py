"""A database with copies of its rows: what reads and writes give, by threads and by tasks, over a real SQLite file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

import forecache
from forecache import Certificate, Database
from forecache.errors import (
    ConfigurationError,
    ConstraintError,
    KeyTypeError,
    LevelError,
    TableError,
)
from tests.coherence.writers import Writer
from tests.serve.shops import ONE, path, shop, writer

__all__ = ["path", "shop", "writer"]

LEVELS = ["eventual", "bounded(1s)", "session", "strong"]


def queries(shop: Database) -> int:
    return shop.stats().queries


@pytest.mark.parametrize("level", LEVELS)
def test_a_row_is_read_once(shop: Database, level: str) -> None:
    assert [shop["product"].get(1, level=level) for _ in range(3)] == [ONE] * 3
    assert queries(shop) == 1


def test_an_absent_row_is_remembered_until_it_is_there(shop: Database) -> None:
    assert [shop["product"].get(9), shop["product"].get(9, "none")] == [None, "none"]
    assert queries(shop) == 1
    shop["product"].put({"id": 9, "name": "nine", "price": 1})
    assert shop["product"].get(9) == {"id": 9, "name": "nine", "price": 1}


def test_many_rows_are_one_query(shop: Database) -> None:
    shop["product"].get(1)
    assert set(shop["product"].get_many([1, 2, 3, 9])) == {1, 2, 3}
    assert queries(shop) == 2
    assert shop["product"].get_many([1, 2, 3, 9]).keys() == {1, 2, 3}
    assert queries(shop) == 2


def test_a_row_belongs_to_whoever_got_it(shop: Database) -> None:
    for _ in range(2):
        row = shop["product"].get(1)
        row["price"] = -1
        shop["product"].get_many([1])[1]["price"] = -2
    assert shop["product"].get(1) == ONE


def test_keys_of_several_columns_and_tables_do_not_meet(shop: Database) -> None:
    assert shop["stock"].get(("x", 1)) == {"shop": "x", "product": 1, "pieces": 5}
    shop["stock"].update(("x", 1), {"pieces": 6})
    assert shop["stock"].get(("x", 1))["pieces"] == 6
    assert shop["product"].get(1) == ONE


@pytest.mark.parametrize("key", ["1", 1.0, True])
def test_a_key_that_resembles_one_is_refused(shop: Database, key: Any) -> None:
    with pytest.raises(KeyTypeError):
        shop["product"].get(key)


@pytest.mark.parametrize("key", [[1], {}, {1}])
def test_a_key_that_cannot_be_hashed_is_refused_by_its_own_name(shop: Database, key: Any) -> None:
    with pytest.raises(KeyTypeError, match=type(key).__name__):
        shop["product"].get(key)


def test_a_bad_key_among_many_harms_no_other(shop: Database) -> None:
    with pytest.raises(KeyTypeError):
        shop["product"].get_many([1, "2"])
    assert shop["product"].get_many([1, 2]).keys() == {1, 2}


@pytest.mark.parametrize("level", ["bounded(1us)", "strong"])
def test_a_commit_of_another_process_is_seen_at_once(shop: Database, writer: Writer, level: str) -> None:
    for price in range(20):
        writer.write(f"UPDATE product SET price = {price} WHERE id = 1")
        assert shop["product"].get(1, level=level)["price"] == price
        assert shop["product"].get(2, level=level)["price"] == 20
    assert queries(shop) == 21


def test_a_bounded_read_may_be_as_old_as_it_says_and_says_it(path: Path, writer: Writer) -> None:
    with forecache.open(path, ["product"], level="bounded(1h)") as shop:
        before = shop["product"].get(1, with_certificate=True)
        writer.write("UPDATE product SET price = 0 WHERE id = 1")
        old = shop["product"].get(1, with_certificate=True)
        fresh = shop["product"].get(1, level="strong", with_certificate=True)
    assert before.row == old.row == ONE
    assert 0 < old.certificate.max_age < 60
    assert fresh.row["price"] == 0
    assert fresh.certificate.max_age == 0
    assert fresh.certificate.beacon > old.certificate.beacon
    assert fresh.certificate.epoch == old.certificate.epoch


@pytest.mark.parametrize("level", ["session", "strong"])
def test_what_was_written_here_is_read_here(shop: Database, level: str) -> None:
    rows = shop["product"]
    for price in range(20):
        rows.get(1, level=level)
        rows.update(1, {"price": price})
        assert rows.get(1, level=level)["price"] == price
    assert rows.delete(1)
    assert rows.get(1, level=level) is None
    assert not rows.delete(1)
    assert not rows.update(1, {"price": 1})


def test_a_transaction_is_all_or_nothing(shop: Database) -> None:
    rows = shop["product"]
    rows.get_many([1, 2])
    with pytest.raises(ConstraintError), shop.transaction() as transaction:
        transaction.update("product", 2, {"price": 21})
        transaction.update("product", 1, {"price": -1})
    assert rows.get_many([1, 2])[2]["price"] == 20
    with shop.transaction() as transaction:
        for key in (1, 2):
            transaction.update("product", key, {"price": transaction.get("product", key)["price"] + 1})
        assert rows.get(1)["price"] == 10  # nobody sees it before the commit
        transaction.execute("UPDATE product SET name = 'all'", tables=["product"])
    assert [row["price"] for row in rows.get_many([1, 2]).values()] == [11, 21]
    assert rows.get(3)["name"] == "all"


def test_certificates_of_many_answer_for_every_key(shop: Database) -> None:
    answers = shop["product"].get_many([1, 9], with_certificate=True)
    assert answers[9].row is None
    assert all(isinstance(answer.certificate, Certificate) for answer in answers.values())
    assert {answer.certificate.tier for answer in answers.values()} == {"database"}
    assert shop["product"].get(1, with_certificate=True).certificate.tier == "process"


async def test_tasks_do_what_threads_do(shop: Database, writer: Writer) -> None:
    rows = shop["product"]
    assert await rows.aget(1) == ONE
    assert await rows.aget_many([1, 2, 9]) == {1: ONE, 2: {"id": 2, "name": "two", "price": 20}}
    writer.write("UPDATE product SET price = 7 WHERE id = 1")
    assert (await rows.aget(1, level="strong", with_certificate=True)).row["price"] == 7
    assert await rows.aput({"id": 4, "name": "four", "price": 40}) == 4
    assert await rows.aupdate(4, {"price": 41})
    async with shop.atransaction() as transaction:
        await transaction.update("product", 4, {"price": (await transaction.get("product", 4))["price"] + 1})
    assert (await rows.aget(4))["price"] == 42
    assert await rows.adelete(4)
    assert await rows.aget(4, "gone") == "gone"
    with pytest.raises(KeyTypeError):
        await rows.aget("1")


async def test_many_tasks_and_threads_that_want_one_row_read_it_once(shop: Database) -> None:
    rows = shop["product"]
    found = await asyncio.gather(
        *(rows.aget(1) for _ in range(100)), *(asyncio.to_thread(rows.get, 2) for _ in range(8))
    )
    assert [row["id"] for row in found] == [1] * 100 + [2] * 8
    assert queries(shop) == 2


async def test_who_is_cancelled_leaves_the_others_their_answer(shop: Database) -> None:
    rows = shop["product"]
    tasks = [asyncio.create_task(rows.aget(1)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert await asyncio.gather(*tasks[1:]) == [ONE, ONE]
    with pytest.raises(asyncio.CancelledError):
        await tasks[0]


def test_a_commit_during_a_load_is_not_overwritten_by_it(
    path: Path, shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The load has read the old row when the new one is committed, and comes back only then."""
    origin, has_read, may_return = shop._origin, threading.Event(), threading.Event()
    read = origin.read

    def slow(*arguments: Any) -> Any:
        batch = read(*arguments)
        has_read.set()
        assert may_return.wait(30)
        return batch

    monkeypatch.setattr(origin, "read", slow)
    found: list[Any] = []
    reader = threading.Thread(target=lambda: found.append(shop["product"].get(1)))
    reader.start()
    assert has_read.wait(30)
    with Writer(path) as writer:
        writer.write("UPDATE product SET price = 11 WHERE id = 1")
    monkeypatch.setattr(origin, "read", read)
    assert shop["product"].get(1, level="strong")["price"] == 11  # does not wait for what was overtaken
    may_return.set()
    reader.join(30)
    assert found == [ONE]  # it began before the commit
    assert shop["product"].get(1, level="strong")["price"] == 11


def test_a_new_column_is_seen(shop: Database, writer: Writer) -> None:
    assert shop["product"].get(1) == ONE
    writer.write("ALTER TABLE product ADD COLUMN colour DEFAULT 'red'")
    assert shop["product"].get(1, level="strong") == ONE | {"colour": "red"}
    assert shop["product"].get(1, with_certificate=True).certificate.tier == "database"  # rows of two shapes do not mix
    assert shop["product"].get(1, with_certificate=True).certificate.tier == "process"


def test_rows_may_be_structs(path: Path) -> None:
    msgspec = pytest.importorskip("msgspec")
    product = msgspec.defstruct("Product", [("id", int), ("price", int)], frozen=True)
    with forecache.open(path, {"product": product}) as shop:
        assert [shop["product"].get(1) for _ in range(2)] == [product(1, 10)] * 2
        shop["product"].update(1, {"price": 11})
        assert shop["product"].get(1) == product(1, 11)


def test_a_child_process_begins_with_nothing_and_sees_everything(path: Path, shop: Database) -> None:
    shop["product"].get_many([1, 2, 3])
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            is_empty = len(shop._copies.cache) == 0
            shop["product"].update(1, {"price": 11})
            os.write(tell, b"y" if is_empty and shop["product"].get(1)["price"] == 11 else b"n")
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(told, 1) == b"y"
    assert shop["product"].get(1, level="strong")["price"] == 11
    shop.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT price FROM product WHERE id = 1").fetchone() == (11,)
    connection.close()
    os.close(told)
    os.close(tell)


def test_what_is_closed_opens_again(shop: Database) -> None:
    shop["product"].get(1)
    shop.close()
    shop.close()
    assert shop["product"].get(1) == ONE


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        ({"tables": "product"}, ConfigurationError),
        ({"tables": []}, ConfigurationError),
        ({"tables": ["nowhere"]}, TableError),
        ({"tables": ["other"]}, TableError),
        ({"level": "often"}, LevelError),
        ({"unlogged": "maybe"}, ConfigurationError),
        ({"shared": "valkey://127.0.0.1:1"}, ConfigurationError),
        ({"capacity": 0}, ConfigurationError),
        ({"capacity": 1, "max_bytes": "1MiB"}, ConfigurationError),
        ({"ttl": 0}, ConfigurationError),
    ],
)
def test_what_cannot_be_is_refused(path: Path, settings: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match="expected|declared|no primary key|no table|leave"):
        forecache.open(path, **{"tables": ["product"]} | settings)


def test_a_table_that_was_not_declared_is_named(shop: Database) -> None:
    with pytest.raises(TableError, match="product, stock"):
        shop["other"]
    assert list(shop) == ["product", "stock"]


def test_memory_is_bounded_by_rows_or_bytes(path: Path, writer: Writer) -> None:
    fill = "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)"
    writer.write(f"{fill} INSERT INTO product SELECT i, printf('%.*c', 100, 'x'), i FROM n")
    for bound in ({"capacity": 100}, {"max_bytes": "100KiB"}):
        with forecache.open(path, ["product"], policy="lru", **bound) as shop:  # type: ignore[arg-type]
            assert len(shop["product"].get_many(range(10, 2000))) == 1990
            cache = shop._copies.cache
            assert 50 <= len(cache) <= 300
            assert cache.weight <= cache.capacity
