"""A database whose shared tier fails: every read and write succeeds, and no row is older than the last write here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest
import valkey

import forecache
from forecache import Database
from tests.contracts.tiers import until
from tests.proxy import Proxy
from tests.servers import PostgreSQL, Valkey

ROWS = 30


class Shop:
    """A database, its tier, and the network between."""

    def __init__(self, keep: ExitStack, postgresql: PostgreSQL) -> None:
        url = postgresql.database()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE product (id INT PRIMARY KEY, n INT)")
            connection.execute(f"INSERT INTO product SELECT n, 0 FROM generate_series(0, {ROWS - 1}) AS n")  # type: ignore[call-overload]
        self.server = keep.enter_context(Valkey())
        self.proxy = keep.enter_context(Proxy(self.server.port))
        self.database: Database = keep.enter_context(
            forecache.open(url, ["product"], level="eventual", shared=f"{self.proxy.url}?timeout=200ms", timeout="30s")
        )

    def admin(self, *command: object) -> None:
        with valkey.Valkey(port=self.server.port) as client:
            client.execute_command(*command)


def killed(shop: Shop) -> Callable[[], object]:
    shop.server.kill()
    return shop.server.start


def paused(shop: Shop) -> Callable[[], object]:
    shop.server.pause()
    return shop.server.resume


def slow(shop: Shop) -> Callable[[], object]:
    shop.proxy.delay = 1.0
    return lambda: setattr(shop.proxy, "delay", 0.0)


def dark(shop: Shop) -> Callable[[], object]:
    shop.proxy.goes_dark()
    return lambda: shop.proxy.goes_dark(False)


def refused(shop: Shop) -> Callable[[], object]:
    shop.proxy.refuses = True
    shop.proxy.reset()
    return lambda: setattr(shop.proxy, "refuses", False)


def full(shop: Shop) -> Callable[[], object]:
    shop.admin("CONFIG", "SET", "maxmemory", 1)
    return lambda: shop.admin("CONFIG", "SET", "maxmemory", 0)


def flushed(shop: Shop) -> Callable[[], object]:
    shop.admin("FLUSHALL")
    return lambda: None


def set_back(shop: Shop) -> Callable[[], object]:
    shop.admin("SAVE")

    def restart() -> None:
        shop.server.kill()
        shop.server.start()

    return restart


@pytest.fixture
def shop(postgresql: PostgreSQL) -> Iterator[Shop]:
    with ExitStack() as keep:
        yield Shop(keep, postgresql)


@pytest.mark.parametrize("fault", [killed, paused, slow, dark, refused, full, flushed, set_back])
def test_reads_and_writes_go_on(shop: Shop, fault: Callable[[Shop], Callable[[], object]]) -> None:
    rows, versions = shop.database["product"], dict.fromkeys(range(ROWS), 0)

    def check() -> None:
        shop.database.clear()  # so that the tier is asked
        assert {key: row["n"] for key, row in rows.get_many(range(ROWS)).items()} == versions

    check()
    heal = fault(shop)
    for key in range(0, ROWS, 3):
        assert rows.update(key, {"n": 1})
        versions[key] = 1
        shop.database.clear()
        assert rows.get(key)["n"] == 1
    check()
    heal()
    check()

    def answers() -> bool:
        before = shop.database.stats().shared
        check()
        return shop.database.stats().shared >= before + ROWS

    assert until(answers), "the tier is used again by itself"
