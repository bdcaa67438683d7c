"""Laws of garbage: what has left is freed, cycles through a cache are collected, and collecting disturbs nothing."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import pytest

from forecache import Cache
from tests.serve.threads import until


class Value:
    """Something to hold, and to see go."""

    held: Any = None


def test_a_cache_in_a_cycle_with_its_values_is_collected() -> None:
    cache: Cache[str, Any] = Cache(10, on_evict=lambda *_: cache)  # noqa: F821 - until it is deleted
    value = Value()
    value.held = cache
    cache["k"] = value
    cache.set("tagged", value, tags=["red"], ttl=60)
    gone = [weakref.ref(cache), weakref.ref(value)]
    del cache, value
    gc.collect()
    assert [each() for each in gone] == [None, None]


def test_a_decorated_function_is_collected_with_its_cache() -> None:
    def make() -> list[weakref.ref[Any]]:
        cache: Cache[Any, Any] = Cache(10)

        @cache.cached
        def function(value: Any) -> Any:
            return (function, value)

        function(1)
        return [weakref.ref(cache), weakref.ref(function)]

    gone = make()
    gc.collect()
    assert [each() for each in gone] == [None, None]


def test_a_cache_that_refreshed_is_collected_and_its_threads_end() -> None:
    now = 0.0
    cache: Cache[str, Any] = Cache(10, ttl=1, stale_ttl=9, clock=lambda: now)
    cache["k"] = "old"
    now = 2.0
    assert cache.get_or_load("k", lambda _: "new") == "old"
    until(lambda: cache.peek("k").value == "new")  # type: ignore[union-attr]  # noqa: F821 - until it is deleted
    gone = weakref.ref(cache)
    del cache
    until(lambda: gc.collect() is not None and gone() is None)
    until(lambda: not any(thread.name.startswith("forecache-refresh") for thread in threading.enumerate()))


def test_a_failed_load_keeps_nothing_alive() -> None:
    cache: Cache[str, Any] = Cache(10)
    value = Value()
    gone = weakref.ref(value)

    def load(_: str) -> Any:
        held = value  # noqa: F821 - until it is deleted
        raise LookupError(held is None)

    with pytest.raises(LookupError):
        cache.get_or_load("k", load)
    del value, load
    gc.collect()
    assert gone() is None


def test_removed_values_are_freed_at_once() -> None:
    cache: Cache[str, Any] = Cache(2, policy="lru")
    values = [Value() for _ in range(6)]
    gone = [weakref.ref(value) for value in values]
    cache["replaced"], cache["evicted"] = values[0], values[1]
    cache["replaced"] = values[2]
    cache["x"], cache["y"] = values[3], values[4]
    cache.set("too heavy", values[5], weight=9)
    values.clear()
    assert [each() is None for each in gone] == [True, True, True, False, False, True]
    cache.clear()
    assert all(each() is None for each in gone)


def test_collecting_garbage_amid_writes_does_no_harm() -> None:
    cache: Cache[int, Any] = Cache(50, max_bytes=None)
    before = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for number in range(3000):
            value = Value()
            value.held = [value, cache]
            cache[number % 70] = value
            cache.get(number % 31)
    finally:
        gc.set_threshold(*before)
    gc.collect()
    assert sum(1 for each in gc.get_objects() if type(each) is Value) <= 51
