"""Laws of the cache as a mapping: what dict does, but for what may leave at any time."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import pytest

from forecache import Cache
from tests.serve.threads import outcome, start


@pytest.fixture
def cache() -> Cache[Any, Any]:
    cache: Cache[Any, Any] = Cache(10)
    cache.update({"a": 1, "b": None})
    return cache


def test_it_is_a_mapping(cache: Cache[Any, Any]) -> None:
    assert isinstance(cache, MutableMapping)
    assert dict(cache) == dict(cache.items()) == {"a": 1, "b": None} == cache
    assert (sorted(cache), len(cache), bool(cache)) == (["a", "b"], 2, True)
    assert ("a" in cache, "c" in cache, cache["b"], cache.get("b", 5), cache.get("c", 5)) == (
        True,
        False,
        None,
        None,
        5,
    )


def test_views_are_live_and_sets(cache: Cache[Any, Any]) -> None:
    keys, items, values = cache.keys(), cache.items(), cache.values()
    cache["c"] = 3
    assert sorted(keys) == ["a", "b", "c"]
    assert keys & {"a", "z"} == {"a"}
    assert items - {("c", 3)} == {("a", 1), ("b", None)}
    assert (("a", 1) in items, ("a", 2) in items, ("z", 1) in items) == (True, False, False)
    assert (3 in values, 4 in values, len(values)) == (True, False, 3)


def test_what_is_missing_is_a_key_error(cache: Cache[Any, Any]) -> None:
    for use in (lambda: cache["z"], lambda: cache.__delitem__("z"), lambda: cache.pop("z")):
        with pytest.raises(KeyError, match="z"):
            use()
    assert (cache.pop("z", 7), cache.pop("z", None), cache.delete("z")) == (7, None, False)


def test_popped_is_gone(cache: Cache[Any, Any]) -> None:
    assert (cache.pop("a"), "a" in cache) == (1, False)
    assert cache.popitem() == ("b", None)
    with pytest.raises(KeyError, match="empty"):
        cache.popitem()


def test_one_of_many_threads_pops_a_value() -> None:
    cache: Cache[int, int] = Cache(1000)
    for number in range(500):
        cache[number] = number
    popped = [start(lambda: [cache.pop(number, None) for number in range(500)]) for _ in range(4)]
    lists = [outcome(each) for each in popped]
    assert all([each[number] for each in lists].count(number) == 1 for number in range(1, 500))


def test_setdefault_keeps_what_is_there(cache: Cache[Any, Any]) -> None:
    assert (cache.setdefault("a", 9), cache.setdefault("c", 9), cache["c"]) == (1, 9, 9)


def test_a_cache_is_no_key(cache: Cache[Any, Any]) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(cache)


def test_items_may_be_changed_while_one_looks_at_them() -> None:
    cache: Cache[int, int] = Cache(5, policy="fifo")
    cache.update({number: number for number in range(5)})
    for key, _ in cache.items():
        cache[key + 100] = key
    for key in cache:
        cache.delete(key)
    assert not cache


async def test_the_awaited_forms_are_the_plain_ones() -> None:
    cache: Cache[str, int] = Cache(10)
    assert await cache.aset("a", 1, tags=["red"], weight=2)
    assert (await cache.aget("a"), await cache.aget("b", 5), await cache.aget_many(["a", "b"])) == (1, 5, {"a": 1})
    assert cache.weight == 2
    assert (await cache.adelete("a"), await cache.adelete("a")) == (True, False)


def test_counts_and_their_ratios() -> None:
    cache: Cache[str, int] = Cache(10)
    assert (cache.stats().hit_ratio, cache.stats().miss_ratio, cache.stats().mean_load_seconds) == (None, None, None)
    cache.get("a")
    cache["a"] = 1
    before = cache.stats()
    for _ in range(3):
        cache.get("a")
    cache.get_many(["a", "b"])
    during = cache.stats() - before
    assert (during.hits, during.misses, during.lookups, during.hit_ratio, during.miss_ratio) == (4, 1, 5, 0.8, 0.2)


def test_its_repr_tells_size_and_policy() -> None:
    cache: Cache[str, int] = Cache(10, policy="lru")
    cache.set("a", 1, weight=3)
    assert repr(cache) == "<Cache lru: 1 entries, 3 of 10>"
    entry = cache.peek("a")
    assert repr(entry) == "Entry(value=1, weight=3, stored_at=None, fresh_until=None, expires_at=None)"
