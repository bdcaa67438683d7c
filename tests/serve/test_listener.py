"""Laws of the eviction listener: it hears of every removal once, with its cause, and can harm nothing."""

from __future__ import annotations

from typing import Any

import pytest

from forecache import POLICIES, Cache
from tests.clock import Clock

Told = list[tuple[Any, Any, str]]


def heard(**settings: Any) -> tuple[Cache[Any, Any], Told]:
    told: Told = []
    return Cache[Any, Any](on_evict=lambda *args: told.append(args), **settings), told


def test_every_cause() -> None:
    clock = Clock()
    cache, told = heard(capacity=2, policy="lru", clock=clock)
    cache["a"] = 1
    cache["a"] = 2
    cache.set("b", 3, tags=["red"])
    cache["c"] = 4
    cache.invalidate_tag("red")
    cache.set("d", 5, ttl=1)
    clock.advance(1)
    cache["e"] = 6
    cache.set("f", 7, weight=3)
    cache.delete("c")
    cache.clear()
    assert told == [
        ("a", 1, "replaced"),
        ("a", 2, "evicted"),
        ("b", 3, "invalidated"),
        ("d", 5, "expired"),
        ("f", 7, "rejected"),
        ("c", 4, "invalidated"),
        ("e", 6, "invalidated"),
    ]
    counts = cache.stats()
    assert (counts.replaced, counts.evicted, counts.invalidated, counts.expired, counts.rejected) == (1, 1, 3, 1, 1)


@pytest.mark.parametrize("policy", POLICIES)
def test_what_came_has_left_or_is_there(policy: str) -> None:
    cache, told = heard(capacity=5, policy=policy)
    for number in range(200):
        cache[number % 17] = number
    assert sorted([value for _, value, _ in told] + list(cache.values())) == list(range(200))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_it_raises_is_unraisable_and_harms_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    caught: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", lambda unraisable: caught.append(unraisable.exc_type))

    def fail(key: object, value: object, cause: str) -> None:
        raise ZeroDivisionError

    cache: Cache[int, int] = Cache(2, policy="lru", on_evict=fail)
    for number in range(5):
        assert cache.set(number, number)
    assert caught == [ZeroDivisionError] * 3
    assert dict(cache) == {3: 3, 4: 4}
    assert cache.get_or_load(9, lambda _: 9) == 9


def test_it_may_use_the_cache() -> None:
    told: Told = []

    def move_to_the_attic(key: Any, value: Any, cause: str) -> None:
        told.append((key, value, cause))
        if cause == "evicted" and not isinstance(key, tuple):
            attic[key] = value
            cache.get(key)
            cache.get_or_load(("loaded", key), lambda _: "x")
            cache.delete(("loaded", key))
            cache.invalidate_tag("nothing")

    attic: Cache[Any, Any] = Cache(100)
    cache: Cache[Any, Any] = Cache(3, policy="fifo", on_evict=move_to_the_attic)
    for number in range(10):
        cache[number] = number
        assert cache.weight <= 3
    assert set(attic) | {key for key in cache if not isinstance(key, tuple)} == set(range(10))


def test_a_listener_that_evicts_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    caught: list[Any] = []
    monkeypatch.setattr("sys.unraisablehook", lambda unraisable: caught.append(unraisable.exc_type))

    def push(key: Any, value: Any, cause: str) -> None:
        if cause == "evicted":
            cache[key] = value

    cache: Cache[int, int] = Cache(2, policy="fifo", on_evict=push)
    for number in range(4):
        cache[number] = number
    assert set(caught) <= {RecursionError}
    assert len(cache) == 2


def test_values_are_dropped_when_no_lock_is_held() -> None:
    """The finalizer of what leaves may use the cache."""
    seen = []

    class Value:
        def __del__(self) -> None:
            seen.append(len(cache))
            cache["last words"] = "x"

    cache: Cache[str, Any] = Cache(2, policy="fifo")
    cache["a"] = Value()
    cache["a"] = Value()
    cache.delete("a")
    cache["a"] = Value()
    cache.clear()
    cache.set("a", Value(), weight=9)
    assert len(seen) == 4
    assert cache["last words"] == "x"
