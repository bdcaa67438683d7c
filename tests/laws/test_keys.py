"""Laws of keys: the same only if their types are too, compared by code that may do anything."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from forecache import Cache
from forecache.errors import KeyTypeError
from tests.laws.keys import KEYS


def nested(item: object, depth: int) -> object:
    for _ in range(depth):
        item = (item,)
    return item


class Key:
    """One of two equal keys, whose comparison does what it is told."""

    def __init__(self, act: Callable[[], object] = bool) -> None:
        self.act = act

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        self.act()
        return isinstance(other, Key)


def test_keys_are_the_same_only_if_their_types_are() -> None:
    for one, other in product(KEYS, KEYS):
        cache: Cache[Any, str] = Cache(10)
        cache[one] = "one"
        assert (other in cache) == (one is other), (one, other)


@pytest.mark.parametrize("depth", [0, 1, 7, 8, 9, 20, 150])
def test_types_tell_keys_apart_at_any_depth(depth: int) -> None:
    cache: Cache[Any, str] = Cache(10)
    cache[nested(1, depth)] = "int"
    cache[nested(True, depth)] = "bool"
    assert cache.get(nested(1, depth)) == "int"
    assert cache.get(nested(True, depth)) == "bool"
    assert cache.get(nested(1.0, depth)) is None


def test_a_comparison_that_raises_changes_nothing_and_is_told() -> None:
    cache: Cache[Key, str] = Cache(10)
    cache[Key()] = "value"

    def fail() -> None:
        raise ZeroDivisionError

    bad = Key(fail)
    for use in (
        lambda: cache.get(bad),
        lambda: cache.set(bad, "other"),
        lambda: cache.delete(bad),
        lambda: cache.peek(bad),
        lambda: bad in cache,
        lambda: cache.get_or_load(bad, lambda _: "loaded"),
        lambda: cache.get_many([bad]),
    ):
        with pytest.raises(ZeroDivisionError):
            use()
    assert list(cache.values()) == ["value"]
    assert cache.get_or_load(Key(), lambda _: "loaded") == "value"


def test_a_comparison_that_fails_once_the_load_has_begun_leaves_no_load_behind() -> None:
    cache: Cache[Key, str] = Cache(10)
    calls = 0

    def fail_at_the_second() -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise ZeroDivisionError

    def load(_: Key) -> str:
        cache[Key()] = "already there"  # so that there is something to compare with when the load lands
        return "loaded"

    with pytest.raises(ZeroDivisionError):
        for _ in range(3):
            cache.get_or_load(Key(fail_at_the_second), load)
            cache.clear()
    cache.clear()
    assert cache.get_or_load(Key(), lambda _: "again") == "again"


def test_a_comparison_may_use_the_cache() -> None:
    cache: Cache[Any, str] = Cache(10)
    cache[Key()] = "value"
    reads = []

    def use() -> None:
        cache["other"] = "x"
        reads.append(cache.get_or_load("loaded inside", lambda _: "y"))
        cache.stats()

    assert cache.get(Key(use)) == "value"
    assert reads
    assert cache["other"] == "x"


@pytest.mark.parametrize("change", ["clear", "delete", "set"])
def test_a_comparison_may_change_what_is_looked_for(change: str) -> None:
    cache: Cache[Any, str] = Cache(10)
    cache[Key()] = "value"
    changes: dict[str, Callable[[], object]] = {
        "clear": cache.clear,
        "delete": lambda: cache.delete(Key()),
        "set": lambda: cache.set(Key(), "newer"),
    }
    assert cache.get(Key(changes[change])) == ("newer" if change == "set" else None)
    assert cache.set(Key(changes[change]), "newest")
    assert cache.get(Key()) == "newest"
    assert len(cache) == 1


def test_a_comparison_in_a_refresh_may_load() -> None:
    """Nothing is locked while keys are compared, not even by those who look after the loads."""
    now = 0.0
    cache: Cache[Any, str] = Cache(10, ttl=1, stale_ttl=10, clock=lambda: now)
    cache[Key()] = "old"
    now = 2.0
    with cache:
        assert cache.get_or_load(Key(lambda: cache.get_or_load("other", str)), lambda _: "new") == "old"
    assert cache.get(Key()) == "new"


def test_a_slow_comparison_holds_up_nobody_else() -> None:
    from threading import Thread

    cache: Cache[Any, str] = Cache(10)
    cache[Key()] = "value"
    slow = Thread(target=cache.get, args=(Key(lambda: time.sleep(0.5)),))
    slow.start()
    time.sleep(0.05)
    started = time.perf_counter()
    cache["fast"] = "x"
    assert cache["fast"] == "x"
    assert time.perf_counter() - started < 0.3
    slow.join()


def test_more_keys_of_one_hash_than_can_be_compared_are_refused() -> None:
    class Same:
        def __hash__(self) -> int:
            return 1

    cache: Cache[Any, int] = Cache(5000)
    with pytest.raises(RuntimeError, match="over 1000 keys of one hash; expected __hash__"):
        for number in range(2000):
            cache[Same()] = number


@pytest.mark.parametrize("key", [[], {}, set(), ([],), bytearray()])
def test_what_cannot_be_hashed_is_no_key(key: Any) -> None:
    cache: Cache[Any, int] = Cache(5)
    uses: list[Callable[[], object]] = [
        lambda: cache.get(key),
        lambda: cache.set(key, 1),
        lambda: key in cache,
        lambda: cache.get_or_load(key, lambda _: 1),
        lambda: cache.cached(lambda x: x)(key),
    ]
    for use in uses:
        with pytest.raises(KeyTypeError, match="make a key of the parts that matter"):
            use()


def test_what_hash_raises_is_not_touched() -> None:
    class Bad:
        def __hash__(self) -> int:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        Cache[Any, int](5).get(Bad())
