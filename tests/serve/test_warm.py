"""Warm start: the next process begins with the rows that the last one needed most, and with nothing that is old."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean
from typing import Any

import psycopg
import pytest

import forecache
from forecache import Database
from forecache.errors import ConfigurationError
from forecache.serve import warm
from forecache.serve.warmfile import WarmList, read_list, write_list
from tests.servers import PostgreSQL

ROWS = 300


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE product (id INTEGER PRIMARY KEY, price INT)")
        connection.executemany("INSERT INTO product VALUES (?, 1)", ((number,) for number in range(ROWS)))
    connection.close()
    return path


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    return tmp_path / "shop.warm"


def opened(path: Path, listed: Path, **settings: Any) -> Database:
    return forecache.open(path, ["product"], warm=listed, **settings)


def until(happened: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)


def leave(listed: Path, *keys: Any) -> None:
    write_list(listed, WarmList(tuple(("product", key) for key in keys)))


def keys_of(listed: Path) -> list[Any]:
    return [key for _, key in read_list(listed).keys]


def test_the_next_process_has_the_rows_before_anybody_asks(path: Path, listed: Path) -> None:
    with opened(path, listed) as before:
        for number in (*range(50), *range(50)):
            before["product"].get(number)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE product SET price = 2 WHERE id = 7")
    connection.close()
    with opened(path, listed, level="strong") as after:
        until(lambda: after.stats().warmed == 50)
        assert after.stats().queries == 1
        assert after["product"].get(7) == {"id": 7, "price": 2}
        assert [after["product"].get(number)["id"] for number in range(50)] == list(range(50))
        assert (after.stats().queries, after.stats().hits) == (1, 51)


def test_rows_come_in_the_order_of_the_list_and_no_faster_than_asked(path: Path, listed: Path) -> None:
    order = [*range(100, 130), *range(30)]
    leave(listed, *order)
    began = time.monotonic()
    with opened(path, listed, warm_rate=30) as shop:  # three rows ten times a second
        until(lambda: shop.stats().warmed >= 30)
        took = time.monotonic() - began
        late = shop.stats().warmed
        here = [number for number in order if shop._copies.cache.peek(("product", number))]
        assert here[:late] == order[:late]
        assert late < 60 or took >= 1.9
        assert took >= 0.8


def test_what_is_needed_soonest_comes_first(path: Path, listed: Path) -> None:
    with opened(path, listed, capacity=200) as shop:
        for at in range(4000):
            shop["product"].get(at % 20)
            shop["product"].get(20 + at % 270)
    places = [[at for at, key in enumerate(keys_of(listed)) if (key < 20) is is_hot] for is_hot in (True, False)]
    assert len(places[0]) == 20
    assert mean(places[0]) < mean(places[1]) / 2


def test_a_cache_that_follows_no_prediction_lists_its_keys_as_well(path: Path, listed: Path) -> None:
    with opened(path, listed, policy="lru") as shop:
        shop["product"].get_many(range(20))
    assert set(keys_of(listed)) == set(range(20))


def test_the_policy_goes_on_with_what_it_learned(path: Path, listed: Path) -> None:
    def trees(shop: Database) -> int:
        learning = shop._copies.cache.learning()
        assert learning
        return learning.residual_trees

    with opened(path, listed, capacity=50) as shop:
        rows = shop["product"]
        until(lambda: trees(shop) > 0 or any(rows.get(number % ROWS) is None for number in range(0, 9000, 7)))
        learned = trees(shop)
    with opened(path, listed, capacity=50) as shop:
        assert trees(shop) == learned
    with opened(path, listed, capacity=50, record=listed.parent / "log") as shop:
        assert trees(shop) == 0  # else its log could not be replayed
    with opened(path, listed, capacity=50, policy="lru"):
        pass
    with opened(path, listed, capacity=50) as shop:
        assert trees(shop) == learned  # a run without learning forgets nothing


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "it was not written by forecache"),
        (b"key,value\n", "it was not written by forecache"),
        (b"\x89FCW\r\n\x1a\n\x00\x02\x00\x00\x00\x00", "it is of format 2, and this version reads 1"),
        (b"\x89FCW\r\n\x1a\n\x00\x01\x00", "it is incomplete"),
        (b"\x89FCW\r\n\x1a\n\x00\x01\x00\x00\x00\x01abc", "it is damaged"),
    ],
)
def test_a_file_that_is_no_list_is_one_line_and_a_cold_start(
    path: Path, listed: Path, content: bytes, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    listed.write_bytes(content)
    with opened(path, listed) as shop:
        assert shop["product"].get(1)["id"] == 1
    assert [record.getMessage() for record in caplog.records] == [
        f"warm start: {listed} is not used, the cache begins cold: {reason}"
    ]
    assert keys_of(listed) == [1]


def test_a_short_run_does_not_shorten_the_list(path: Path, listed: Path) -> None:
    leave(listed, *range(40))
    with opened(path, listed, warm_rate=1) as shop:
        shop["product"].get(200)
    assert len(keys_of(listed)) == 40
    assert 200 in keys_of(listed)[:2]  # beside the first of the list, if that came in time
    with opened(path, listed, warm_rate=1) as shop:
        shop.clear()
    assert len(keys_of(listed)) == 40


def test_what_is_full_is_not_filled_further(path: Path, listed: Path) -> None:
    leave(listed, *range(ROWS))
    with opened(path, listed, capacity=40, warm_rate=400) as shop:
        until(lambda: shop.stats().warmed >= 40)
        time.sleep(0.3)
        assert shop.stats().warmed == 40


def test_tables_and_keys_that_are_gone_harm_nothing(path: Path, listed: Path) -> None:
    write_list(listed, WarmList((("gone", 1), ("product", "1"), ("product", 2**70), ("product", 3))))
    with opened(path, listed, warm_rate=10) as shop:
        until(lambda: shop._copies.cache.peek(("product", 3)) is not None)
        assert shop["product"].get(3)["id"] == 3


def test_a_list_that_cannot_be_written_is_one_line(
    path: Path, listed: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with opened(path, listed) as shop:
        monkeypatch.setattr(warm, "write_list", full)
        assert shop._warmth
        for _ in range(3):
            shop._warmth.save()
        monkeypatch.undo()
        shop["product"].get(1)
    assert len(caplog.records) == 1
    assert "No space left on device" in caplog.text
    assert keys_of(listed) == [1]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"warm": 7}, "warm is 7; expected the path of a file"),
        ({"warm": "nowhere/at/all"}, "expected the path of a file, in a directory that is there"),
        ({"warm": "x", "warm_rate": 0}, "warm_rate is 0; expected a whole number from 1"),
    ],
)
def test_what_cannot_be_used_is_refused(path: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        forecache.open(path, ["product"], **settings)


async def test_tasks_leave_a_list_too(path: Path, listed: Path) -> None:
    async with opened(path, listed) as shop:
        await shop["product"].aget(5)
    assert keys_of(listed) == [5]


PROGRAM = """
import os, sys, forecache
shop = forecache.open(sys.argv[1], ["product"], warm=sys.argv[2])
if sys.argv[3] == "fork":
    child = os.fork()
    if child == 0:
        rows = shop["product"]
        rows.get(1)
        import time
        end = time.monotonic() + 30
        while shop.stats().warmed < 3 and time.monotonic() < end:
            time.sleep(0.01)
        os._exit(shop.stats().warmed != 3)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
shop["product"].get(9)
"""


def ran(path: Path, listed: Path, how: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", PROGRAM, str(path), str(listed), how]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_whoever_ends_without_closing_leaves_a_list(path: Path, listed: Path) -> None:
    assert (ran(path, listed, "").returncode, keys_of(listed)) == (0, [9])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_warms_its_own_copies(path: Path, listed: Path) -> None:
    leave(listed, 2, 3, 4)
    ended = ran(path, listed, "fork")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_database_that_nobody_holds_is_collected(path: Path, listed: Path) -> None:
    import gc
    import weakref

    shop = opened(path, listed)
    gone = weakref.ref(shop)
    shop._path.watch.close()
    shop._origin.close()
    del shop
    gc.collect()
    assert gone() is None


@pytest.fixture
def server() -> Iterator[PostgreSQL]:
    with PostgreSQL() as server:
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE product (id INT PRIMARY KEY, price INT)")
            connection.execute("INSERT INTO product SELECT n, 1 FROM generate_series(0, 299) AS n")
        yield server


def test_a_server_is_asked_again_when_it_is_back(
    server: PostgreSQL, listed: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(warm, "PATIENCE", 0.2)
    caplog.set_level(logging.INFO, "forecache")
    leave(listed, *range(30))
    with forecache.open(server.url, ["product"], level="eventual", warm=listed, warm_rate=50) as shop:
        until(lambda: shop.stats().warmed > 0)
        server.kill()
        time.sleep(0.5)
        server.start()
        until(lambda: shop.stats().warmed == 30)
        assert [shop["product"].get(number)["id"] for number in range(30)] == list(range(30))
        until(lambda: "30 rows" in caplog.text)


def test_no_more_is_loaded_than_stays_of_use(server: PostgreSQL, listed: Path) -> None:
    leave(listed, *range(100))
    with forecache.open(server.url, ["product"], level="bounded(1s)", warm=listed, warm_rate=20) as shop:
        until(lambda: shop.stats().warmed >= 20)
        time.sleep(0.3)
        assert shop.stats().warmed == 20
    with forecache.open(server.url, ["product"], level="strong", warm=listed) as shop:
        time.sleep(0.3)
        assert shop.stats().warmed == 0
