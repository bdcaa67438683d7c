"""A database that is a server: copies that age, strong reads that share a query, and a shared tier beside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import valkey as client

import forecache
from forecache import Database
from forecache.errors import OriginUnavailableError
from tests.servers import PostgreSQL, Valkey

ONE = {"id": 1, "name": "one", "price": 10}


@pytest.fixture
def url(postgresql: PostgreSQL) -> str:
    url = postgresql.database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE product (id INT PRIMARY KEY, name TEXT, price INT)")
        connection.execute("INSERT INTO product VALUES (1, 'one', 10), (2, 'two', 20)")
    return url


@pytest.fixture
def plain(url: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def shop(url: str) -> Iterator[Database]:
    with forecache.open(url, ["product"]) as database:
        yield database


@pytest.fixture
def shared(url: str, valkey: Valkey) -> Iterator[list[Database]]:
    """Two processes' worth of caches over one database and one tier; names of databases keep tests apart."""
    from forecache.serve.tiers.valkey import ValkeyTier

    opened = [
        forecache.open(url, ["product"], level="eventual", shared=ValkeyTier.connect(valkey.url, namespace=url[-8:]))
        for _ in range(2)
    ]
    yield opened
    for database in opened:
        database.close()


def test_a_copy_is_served_as_long_as_its_age_allows(shop: Database, plain: psycopg.Connection[Any]) -> None:
    rows = shop["product"]
    assert rows.get(1, level="bounded(1h)") == ONE
    plain.execute("UPDATE product SET price = 11 WHERE id = 1")
    old = rows.get(1, level="bounded(1h)", with_certificate=True)
    assert old.row == ONE
    assert old.certificate.tier == "process"
    assert 0 < old.certificate.max_age < 3600
    young = rows.get(1, level="bounded(1us)", with_certificate=True)
    assert young.row["price"] == 11
    assert young.certificate.max_age == 0


def test_a_strong_read_sees_every_commit(shop: Database, plain: psycopg.Connection[Any]) -> None:
    for price in range(20):
        plain.execute("UPDATE product SET price = %s WHERE id = 1", (price,))
        assert shop["product"].get(1, level="strong")["price"] == price


@pytest.mark.parametrize("level", ["session", "strong"])
def test_what_was_written_here_is_read_here(shop: Database, level: str) -> None:
    rows = shop["product"]
    for price in range(10):
        rows.get(1, level=level)
        rows.update(1, {"price": price})
        assert rows.get(1, level=level)["price"] == price
    with shop.transaction() as transaction:
        transaction.execute("UPDATE product SET price = 99", tables=["product"])
    assert rows.get(1, level=level)["price"] == 99


async def test_strong_reads_that_wait_share_a_query(shop: Database) -> None:
    rows = shop["product"]
    found = await asyncio.gather(*(rows.aget(1 + n % 2, level="strong") for n in range(200)))
    assert [row["id"] for row in found] == [1, 2] * 100
    assert shop.stats().queries <= 4
    await shop.aclose()


def test_strong_reads_of_threads_share_queries_and_see_what_was_committed_before(
    shop: Database, plain: psycopg.Connection[Any]
) -> None:
    rows, committed, failures = shop["product"], [0], list[Any]()

    def read() -> None:
        for _ in range(100):
            least = committed[0]
            price = rows.get(1, level="strong")["price"]
            if price < least:
                failures.append((price, least))

    plain.execute("UPDATE product SET price = 0 WHERE id = 1")
    threads = [threading.Thread(target=read) for _ in range(8)]
    for thread in threads:
        thread.start()
    for price in range(1, 100):
        plain.execute("UPDATE product SET price = %s WHERE id = 1", (price,))
        committed[0] = price
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert shop.stats().queries < 800


async def test_a_bad_key_among_strong_reads_harms_no_other(shop: Database) -> None:
    rows = shop["product"]
    reads = [rows.aget(key, level="strong") for key in (1, "x", 2, 1)]
    one, bad, two, again = await asyncio.gather(*reads, return_exceptions=True)
    assert (one, two["id"], again) == (ONE, 2, ONE)
    assert isinstance(bad, forecache.ForecacheError)
    await shop.aclose()


async def test_tasks_and_threads_of_a_loop_do_not_wait_for_each_other_for_ever(shop: Database) -> None:
    rows = shop["product"]
    task = asyncio.create_task(rows.aget(1, level="strong"))
    await asyncio.sleep(0)
    assert rows.get(1, level="strong") == ONE  # stands still with its loop, on which the other runs
    assert await task == ONE
    await shop.aclose()


def test_what_one_loads_the_other_finds(shared: list[Database]) -> None:
    one, other = shared
    assert one["product"].get(1) == ONE
    answer = other["product"].get(1, with_certificate=True)
    assert answer.row == ONE
    assert answer.certificate.tier == "shared"
    assert answer.certificate.max_age is None
    assert other["product"].get(9) is None
    assert one["product"].get_many([1, 9]) == {1: ONE}
    assert [database.stats().queries for database in shared] == [1, 1]
    assert [database.shared_stats().values for database in shared] == [1, 1]


def test_a_value_of_the_tier_that_is_no_row_is_a_miss_and_counted(
    shared: list[Database], url: str, valkey: Valkey
) -> None:
    one, other = shared
    one["product"].get(1)
    with client.from_url(valkey.url) as connection:
        (key,) = connection.scan_iter(f"*{url[-8:]}:*:k:product:i1")
        value = connection.get(key)
        connection.set(key, value[:-1] + bytes([value[-1] ^ 1]), ex=60)
    assert other["product"].get(1) == ONE
    assert (other.stats().unreadable, other.stats().queries) == (1, 1)


def test_a_commit_ends_the_copies_of_the_tier(shared: list[Database]) -> None:
    one, other = shared
    one["product"].get(1)
    other["product"].update(1, {"price": 11})
    assert other["product"].get(1)["price"] == 11
    assert one["product"].get(1, level="strong")["price"] == 11


@pytest.mark.parametrize("ttls", [("10s", "1h"), ("1h", "10s")])
def test_a_copy_lives_no_longer_than_any_tier_allows(url: str, valkey: Valkey, ttls: tuple[str, str]) -> None:
    from forecache.serve.tiers.valkey import ValkeyTier

    for ttl in ttls:
        tier = ValkeyTier.connect(valkey.url, namespace=f"ttl-{url[-8:]}")
        with forecache.open(url, ["product"], level="eventual", ttl=ttl, shared=tier) as shop:
            assert shop["product"].get(1) == ONE
            copy = shop._copies.cache.peek(("product", 1))
            assert copy is not None
            lives = copy.expires_at - copy.stored_at
    assert 0 < lives <= 10  # of the second, which read from the tier
    assert shop.stats().shared == 1


def test_a_session_reads_from_the_tier_and_never_what_it_has_overwritten(shared: list[Database]) -> None:
    one, other = shared
    one["product"].get(1)
    answer = other["product"].get(1, level="session", with_certificate=True)
    assert (answer.row, answer.certificate.tier) == (ONE, "shared")
    for price in range(50):
        one["product"].get(1, level="session")
        other["product"].update(1, {"price": price})
        assert other["product"].get(1, level="session")["price"] == price


def test_a_tier_that_most_reads_do_not_ask_is_told_of_once(
    url: str, valkey: Valkey, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forecache.serve.shared.TELL_SECONDS", 0.0)
    for level, lines in (("session", 0), ("eventual", 0), ("bounded(1us)", 1)):
        with forecache.open(url, ["product"], level=level, shared=valkey.url) as shop:
            for _ in range(3):
                shop["product"].get(1)
        assert caplog.text.count(f"is not asked by reads at level '{level}'") == lines


def test_what_is_proven_of_nothing_is_no_answer_to_a_bounded_read(shared: list[Database]) -> None:
    one, other = shared
    one["product"].get(1)
    other["product"].get(1)
    answer = other["product"].get(1, level="bounded(1h)", with_certificate=True)
    assert answer.certificate.tier == "database"
    assert answer.certificate.max_age is not None


async def test_many_clients_of_one_cold_row_are_one_load(shared: list[Database]) -> None:
    found = await asyncio.gather(*(shared[n % 2]["product"].aget(1) for n in range(500)))
    assert found == [ONE] * 500
    assert sum(database.stats().queries for database in shared) == 1
    for database in shared:
        await database.aclose()


def test_a_tier_that_is_down_fails_no_read(url: str) -> None:
    with Valkey() as server, forecache.open(url, ["product"], level="eventual", shared=server.url) as shop:
        assert shop["product"].get(1) == ONE
        server.kill()
        shop.clear()
        assert shop["product"].get(1) == ONE
        assert shop["product"].update(1, {"price": 12})
        assert shop["product"].get(1)["price"] == 12
        server.start()
        shop.clear()
        assert shop["product"].get(1)["price"] == 12


def test_while_the_database_is_down_only_what_was_asked_for_is_served(caplog: pytest.LogCaptureFixture) -> None:
    with PostgreSQL() as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE product (id INT PRIMARY KEY, name TEXT, price INT)")
            connection.execute("INSERT INTO product VALUES (1, 'one', 10)")
        strict = forecache.open(server.url, ["product"], timeout="1s")
        lenient = forecache.open(server.url, ["product"], timeout="1s", stale_on_error="1h")
        for shop in (strict, lenient):
            assert shop["product"].get(1) == ONE
        server.kill()
        with pytest.raises(OriginUnavailableError):
            strict["product"].get(1, level="strong")
        assert strict["product"].get(1, level="eventual") == ONE
        for _ in range(20):
            answer = lenient["product"].get(1, level="strong", with_certificate=True)
            assert answer.row == ONE
            assert answer.certificate.max_age > 0
        counts = lenient.stats()
        assert (counts.stale, counts.outages) == (20, 1)
        assert counts.failures >= 3
        assert counts.failures + counts.refused == 20
        with pytest.raises(OriginUnavailableError):
            lenient["product"].get(2)
        assert caplog.text.count("going on without it") == 1
        server.start()
        for _ in range(1000):
            if lenient["product"].get(1, level="strong", with_certificate=True).certificate.max_age == 0:
                break
            threading.Event().wait(0.01)
        else:
            pytest.fail("it did not come back")
        assert caplog.text.count("answers again") == 1
        strict.close()
        lenient.close()
