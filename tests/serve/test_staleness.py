"""Laws of age: fresh, served stale while one refresh runs, refreshed early by chance, expired."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
import textwrap
from datetime import timedelta
from typing import Any

import pytest

from forecache import Cache
from forecache.serve.loader import Keep
from tests.clock import Clock
from tests.serve.threads import Gate, outcome, start, until


def stale_cache(clock: Clock, **settings: Any) -> Cache[str, str]:
    """A cache whose only entry is stale, and may be served for another hour."""
    cache: Cache[str, str] = Cache(10, ttl=60, stale_ttl=3600, clock=clock, **settings)
    cache["k"] = "old"
    clock.advance(100)
    return cache


@pytest.mark.parametrize("ttl", [60, 60.0, "1m", "60s", timedelta(minutes=1)])
def test_nothing_is_served_after_its_ttl(ttl: Any) -> None:
    clock = Clock()
    by_default, by_set = Cache[str, str](10, ttl=ttl, clock=clock), Cache[str, str](10, clock=clock)
    by_default["k"] = "x"
    by_set.set("k", "x", ttl=ttl)
    for cache in (by_default, by_set):
        assert (cache.get("k"), "k" in cache) == ("x", True)
    clock.advance(60)
    for cache in (by_default, by_set):
        assert (cache.get("k"), "k" in cache, cache.peek("k"), list(cache.items())) == (None, False, None, [])


def test_infinity_is_for_ever() -> None:
    clock = Clock()
    cache: Cache[str, str] = Cache(10, ttl=1, clock=clock)
    cache.set("k", "x", ttl=float("inf"))
    assert Cache[str, str](10, ttl=float("inf"), clock=clock).set("k", "x")
    clock.advance(1e12)
    assert cache.get("k") == "x"


def test_a_stale_value_is_no_answer_of_get_and_of_no_listing() -> None:
    """What `in` denies and `get` does not return is in no view, so that `dict(cache)` always works."""
    cache = stale_cache(Clock())
    assert ("k" in cache, cache.get("k"), cache.get_many(["k"])) == (False, None, {})
    assert (list(cache), list(cache.items()), list(cache.values()), dict(cache)) == ([], [], [], {})
    entry = cache.peek("k")
    assert entry is not None
    assert entry.value == "old"
    assert "k" not in cache.keys()  # noqa: SIM118 - the view
    with pytest.raises(KeyError):
        cache.popitem()


def test_a_stale_value_is_served_while_one_refresh_runs() -> None:
    clock = Clock()
    cache, gate = stale_cache(clock), Gate("new")
    with cache:
        assert [cache.get_or_load("k", gate) for _ in range(5)] == ["old"] * 5
        gate.wait()
        assert cache.get_or_load("k", gate) == "old"
        gate.open()
    assert (gate.calls, cache.get("k"), cache.stats().stale) == (1, "new", 6)


async def test_a_stale_value_is_served_to_tasks_while_one_refresh_runs() -> None:
    clock = Clock()
    cache, calls, may_end = stale_cache(clock), 0, asyncio.Event()

    async def load(_: str) -> str:
        nonlocal calls
        calls += 1
        await may_end.wait()
        return "new"

    assert await asyncio.gather(*(cache.aget_or_load("k", load) for _ in range(5))) == ["old"] * 5
    await asyncio.sleep(0.01)
    assert await cache.aget_or_load("k", load) == "old"
    may_end.set()
    await asyncio.sleep(0.01)
    assert (calls, cache.get("k")) == (1, "new")


def test_a_refresh_that_fails_keeps_the_old_value_until_it_expires(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    cache, gate = stale_cache(clock), Gate(OSError("database is away"))
    gate.open()
    with caplog.at_level(logging.WARNING, "forecache"):
        for _ in range(3):
            assert cache.get_or_load("k", gate) == "old"
            cache.close()
    assert gate.calls == 3, "it is tried again"
    assert [record.getMessage() for record in caplog.records] == [
        "refresh failed, the old value is served until it expires: OSError"
    ] * 3
    clock.advance(3600)
    with pytest.raises(OSError, match="database is away"):
        cache.get_or_load("k", gate)


async def test_a_refresh_of_a_task_that_fails_is_told_too(caplog: pytest.LogCaptureFixture) -> None:
    cache = stale_cache(Clock())

    async def load(_: str) -> str:
        raise OSError("database is away")

    with caplog.at_level(logging.WARNING, "forecache"):
        assert await cache.aget_or_load("k", load) == "old"
        await asyncio.sleep(0.01)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert cache.stats().load_failures == 1


def test_two_lookups_that_see_the_same_stale_value_refresh_it_once() -> None:
    """Also when the second comes to its refresh only after the first one's has landed."""
    cache = stale_cache(Clock())
    old = cache.peek("k")
    assert old is not None
    gate = Gate("new")
    gate.open()
    with cache:
        assert cache.get_or_load("k", gate) == "old"
    cache._loader.refresh("k", gate, Keep(), old)
    cache.close()
    assert gate.calls == 1


@pytest.mark.parametrize("change", ["delete", "clear", "tag"])
def test_a_refresh_overtaken_by_an_invalidation_lands_nowhere(change: str) -> None:
    clock = Clock()
    cache: Cache[str, str] = Cache(10, ttl=60, stale_ttl=3600, clock=clock)
    cache.set("k", "old", tags=["red"])
    clock.advance(100)
    gate = Gate("loaded before the invalidation")
    with cache:
        assert cache.get_or_load("k", gate) == "old"  # without tags: the entry's own count
        gate.wait()
        {"delete": lambda: cache.delete("k"), "clear": cache.clear, "tag": lambda: cache.invalidate_tag("red")}[
            change
        ]()
        gate.open()
    assert cache.peek("k") is None


def test_a_refresh_that_finds_nothing_ends_the_old_value() -> None:
    cache: Cache[str, str | None] = stale_cache(Clock(), negative_ttl=0)  # type: ignore[assignment]
    with cache:
        assert cache.get_or_load("k", lambda _: None) == "old"
    assert cache.peek("k") is None


def test_a_refresh_that_finds_nothing_does_not_end_what_was_set_meanwhile() -> None:
    cache: Cache[str, Any] = stale_cache(Clock(), negative_ttl=0)
    gate = Gate(None)
    with cache:
        assert cache.get_or_load("k", gate) == "old"
        gate.wait()
        cache["k"] = "newer"
        gate.open()
    assert cache["k"] == "newer"


def test_a_stale_value_that_left_in_between_is_loaded() -> None:
    clock = Clock()
    cache = stale_cache(clock)
    clock.advance(3600)
    assert cache.get_or_load("k", lambda _: "new") == "new"


def test_early_refresh_follows_its_seed_and_its_probability() -> None:
    """P(refresh) = P(-load_time ln(chance) ≥ left) = exp(-left / load_time) = exp(-2) for 4 s left of a 2 s load."""

    def early(seed: int, load_seconds: float) -> list[int]:
        clock, refreshed, refreshing = Clock(), list[int](), False
        cache: Cache[int, int] = Cache(1000, ttl=60, clock=clock, seed=seed)

        def load(key: int) -> int:
            if refreshing:
                refreshed.append(key)
            clock.advance(load_seconds)
            return key

        for key in range(400):
            refreshing = False
            cache.get_or_load(key, load)
            clock.advance(56)
            refreshing = True
            assert cache.get_or_load(key, load) == key
            cache.close()
        return refreshed

    assert early(1, 2.0) == early(1, 2.0) != early(2, 2.0)
    assert 0.135 - 0.06 < len(early(3, 2.0)) / 400 < 0.135 + 0.06  # 3.5 standard deviations
    assert early(4, 0.0) == [], "what costs nothing is not refreshed early"


def test_jitter_spreads_what_was_stored_together() -> None:
    clock = Clock()
    cache: Cache[int, int] = Cache(1000, ttl=100, jitter=0.2, clock=clock, seed=5)
    for key in range(1000):
        cache[key] = key
    left = [entry.fresh_until - clock.now for key in range(1000) if (entry := cache.peek(key)) and entry.fresh_until]
    assert 80 <= min(left) < 81
    assert 99 < max(left) <= 100
    assert abs(sum(left) / len(left) - 90) < 1


def test_refreshes_have_a_limit_and_stale_values_are_served_beyond_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from forecache.serve import loader

    monkeypatch.setattr(loader, "MOST_REFRESHES", 2)
    clock = Clock()
    cache: Cache[int, str] = Cache(100, ttl=60, stale_ttl=3600, clock=clock)
    for key in range(10):
        cache[key] = "old"
    clock.advance(100)
    gate = Gate("new")
    with cache:
        assert [cache.get_or_load(key, gate) for key in range(10)] == ["old"] * 10
        gate.open()
    assert gate.calls == 2
    with cache:
        assert cache.get_or_load(9, gate) == "old"
    assert cache[9] == "new"


def test_a_refresh_in_the_queue_is_taken_over_by_who_needs_it() -> None:
    clock = Clock()
    cache: Cache[Any, str] = Cache(100, ttl=60, stale_ttl=50, clock=clock)
    for key in range(6):
        cache[key] = "old"
    clock.advance(100)
    gate = Gate("new")
    for key in range(4):
        cache.get_or_load(key, gate)
    assert cache.get_or_load(5, lambda _: "by the queue") == "old"
    clock.advance(100)
    assert outcome(start(lambda: cache.get_or_load(5, lambda _: "by itself"))) == "by itself"
    gate.open()
    cache.close()
    assert cache[5] == "by itself"


def test_close_waits_for_refreshes_and_the_cache_stays_usable() -> None:
    cache, gate = stale_cache(Clock()), Gate("new")
    assert cache.get_or_load("k", gate) == "old"
    closing = start(cache.close)
    gate.wait()
    assert not closing.done()
    gate.open()
    assert outcome(closing) is None
    assert cache.get_or_load("k", gate) == "new"
    cache.close()
    cache.close()
    until(lambda: gate.calls == 1)


def test_a_stale_value_is_served_while_the_interpreter_ends() -> None:
    program = """
        import atexit, threading
        from forecache import Cache
        now = 0.0
        cache = Cache(10, ttl=1, stale_ttl=100, clock=lambda: now)
        cache["k"] = "old"
        now = 2.0
        def last():
            threading.main_thread().join()
            import time; time.sleep(0.2)  # by now no thread can be started
            print(cache.get_or_load("k", lambda _: "new"), cache.get_or_load("other", lambda _: "loaded"))
        atexit.register(lambda: print(cache.get_or_load("k", lambda _: "new")))
        threading.Thread(target=last).start()
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, timeout=30, check=False
    )
    assert (ran.stderr, ran.returncode) == ("", 0)
    assert ran.stdout == "old loaded\nold\n"
