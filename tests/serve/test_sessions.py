"""Sessions and snapshots over PostgreSQL and Valkey: nobody sees less than he saw or wrote, and no read is torn."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

import forecache
from forecache.keys import encode_key
from forecache.serve.floors import MOST, Floors
from forecache.serve.origin import EVERY, Change
from forecache.serve.tier import Value
from tests.contracts.tiers import until
from tests.serve.sites import Site, running, version_of

MOVE = "UPDATE item SET version = version + CASE id WHEN 1 THEN 1 ELSE -1 END WHERE id IN (1, 2)"


def test_what_was_written_is_read_by_whoever_is_told(site: Site) -> None:
    site.sequencer()
    one, other = site.open(), site.open()
    for version in range(1, 40):
        key = version % 3 + 1
        other["item"].get(key)  # has a copy
        one["item"].update(key, {"version": version})
        assert one["item"].get(key, level="session")["version"] == version
        token = one.token()
        assert other["item"].get(key, level="session", after=token)["version"] == version


def test_whoever_read_the_present_never_reads_the_past(site: Site) -> None:
    site.sequencer()
    database, other = site.open(), site.open()
    stop = threading.Event()

    def write() -> None:
        with psycopg.connect(site.url, autocommit=True) as writer:
            while not stop.wait(0.001):
                writer.execute("UPDATE item SET version = version + 1 WHERE id = 1")

    writer = threading.Thread(target=write)
    writer.start()
    chance, last = random.Random(1), 0
    try:
        for _ in range(2000):
            other["item"].get(1, level="eventual")  # fills the shared tier
            level = chance.choice(["session", "session", "session", "strong"])
            version = database["item"].get(1, level=level)["version"]
            assert version >= last
            last = version
            if chance.random() < 0.1:
                database.clear()
    finally:
        stop.set()
        writer.join()
    assert last > 0


def test_a_read_of_many_rows_is_of_one_snapshot(site: Site) -> None:
    site.sequencer()
    database = site.open()
    stop = threading.Event()

    def move() -> None:
        with psycopg.connect(site.url, autocommit=True) as writer:
            while not stop.wait(0.001):
                writer.execute(MOVE)

    mover = threading.Thread(target=move)
    mover.start()
    try:
        for _ in range(300):
            database["item"].get(1, level="eventual")
            rows = database["item"].get_many([1, 2], level="snapshot")
            assert rows[1]["version"] + rows[2]["version"] == 0
    finally:
        stop.set()
        mover.join()


def test_floors_rise_with_what_was_seen_and_none_is_forgotten() -> None:
    floors, row = Floors(), Change("t", 1)
    assert floors.of(row) == float("-inf")
    floors.saw([row], 1.0)
    assert floors.of(row) == 1.0
    floors.saw([Change("t", key) for key in range(10, 10 + MOST)], 2.0)
    assert floors.of(row) == 1.0
    assert floors.of(Change("t", 5)) == 1.0  # whatever it was
    floors.saw([Change("t", EVERY)], 3.0)
    assert floors.of(row) == 3.0


def joined(database: forecache.Database, answer: Callable[..., Any], first: str, second: str) -> tuple[int, int]:
    """What two reads of a row find, the second joining the load of the first; the tier answers so from now on."""
    shared, has_asked, may_go_on = database._path._shared, threading.Event(), threading.Event()
    assert shared is not None
    rows = dict[str, int]()

    def slow(*arguments: Any, **settings: Any) -> Any:
        found = answer(*arguments, **settings)
        has_asked.set()
        may_go_on.wait(20)
        return found

    def ask(level: str) -> None:
        rows[level] = database["item"].get(1, level=level)["version"]

    shared.tier.read = slow  # type: ignore[method-assign]
    readers = [threading.Thread(target=ask, args=(level,)) for level in (first, second)]
    readers[0].start()
    assert has_asked.wait(20)
    readers[1].start()
    assert until(lambda: database.stats().waits > 0)
    may_go_on.set()
    for reader in readers:
        reader.join()
    return rows[first], rows[second]


def test_a_session_does_not_take_what_another_reader_is_content_with(site: Site) -> None:
    with running(site.url, site.valkey.url):
        database, other = site.open(), site.open()
        for each in (database, other, other):  # it is in the shared tier, as it is before the write
            each.clear()
            each["item"].get(1, level="eventual")
    site.write(1, 1)  # of which nobody is told
    assert database["item"].get(1, level="strong")["version"] == 1
    database.clear()
    shared = database._path._shared
    assert shared is not None
    read = shared.tier.read
    assert joined(database, read, "bounded(1h)", "session") == (0, 1)


@pytest.mark.parametrize("level", ["bounded(1s)", "session"])
def test_what_a_server_says_that_nobody_tells_anything_any_more_is_for_nobody_else(site: Site, level: str) -> None:
    """A replica was promoted, and the sequencer is still at the old primary, which some take for the primary too."""
    site.sequencer()
    database = site.open()
    shared = database._path._shared
    assert shared is not None
    database.clear()
    database["item"].get(1, level="eventual")
    (there,) = shared.tier.read("item", [encode_key(1)])
    assert isinstance(there, Value)
    assert there.reading is not None
    before = there._replace(reading=there.reading._replace(history="of another server"))
    site.write(1, 1)
    assert until(lambda: version_of(database, 1) == 1)
    database.clear()
    assert joined(database, lambda *_, **__: [before], "eventual", level) == (0, 1)
    database.clear()
    assert database["item"].get(1, level=level)["version"] == 1


def test_a_load_that_was_overtaken_and_saw_more_is_not_followed_by_a_copy_that_saw_less(site: Site) -> None:
    with forecache.open(site.url, ["item"], level="session") as database:
        read, has_asked, may_go_on = database._origin.read, threading.Event(), threading.Event()

        def slow(*arguments: Any) -> Any:
            if not has_asked.is_set():
                has_asked.set()
                may_go_on.wait(20)
            return read(*arguments)

        database._origin.read = slow  # type: ignore[method-assign]
        rows = list[int]()
        first = threading.Thread(target=lambda: rows.append(version_of(database, 1)))
        first.start()
        assert has_asked.wait(20)
        database._copies.forget("item", 1)  # as an invalidation does: the load is overtaken
        assert version_of(database, 1) == 0  # by this one, which leaves a copy
        site.write(1, 1)
        may_go_on.set()
        first.join()
        assert rows == [1]
        assert version_of(database, 1) == 1
