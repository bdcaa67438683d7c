"""Laws of loads that use the cache: nobody waits for himself, however long the way round."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from forecache import Cache
from tests.serve.threads import SECONDS, Gate, outcome, start, until


def test_a_loader_may_ask_for_the_key_it_loads() -> None:
    cache: Cache[str, str] = Cache(10)
    value = outcome(start(lambda: cache.get_or_load("k", lambda key: cache.get_or_load(key, lambda _: "inner") + "!")))
    assert value == cache["k"] == "inner!"


async def test_an_async_loader_may_ask_for_the_key_it_loads() -> None:
    cache: Cache[str, str] = Cache(10)

    async def load(key: str) -> str:
        return await cache.aget_or_load(key, lambda _: "inner") + "!"

    assert await asyncio.wait_for(cache.aget_or_load("k", load), SECONDS) == cache["k"] == "inner!"


def test_a_loader_that_asks_for_itself_without_end_is_told() -> None:
    cache: Cache[str, str] = Cache(10)

    def load(key: str) -> str:
        return cache.get_or_load(key, load)

    assert isinstance(outcome(start(lambda: cache.get_or_load("k", load))), RecursionError)
    assert cache.get_or_load("k", lambda _: "again") == "again"


def test_loaders_may_be_nested() -> None:
    cache: Cache[int, int] = Cache(100)

    def factorial(n: int) -> int:
        return n * cache.get_or_load(n - 1, factorial) if n else 1

    assert cache.get_or_load(20, factorial) == 2432902008176640000
    assert cache.stats().loads == 21


@pytest.mark.parametrize("caches", [1, 2])
@pytest.mark.parametrize("around", [2, 3, 5])
def test_threads_that_load_each_others_keys_end(caches: int, around: int) -> None:
    """Thread i loads key i, which needs key i + 1, which thread i + 1 is loading, and so on round."""
    some: list[Cache[int, str]] = [Cache(10) for _ in range(caches)]
    all_in = threading.Barrier(around, timeout=SECONDS)

    def load(key: int) -> str:
        all_in.wait()
        after = (key + 1) % around
        return some[after % caches].get_or_load(after, lambda other: f"{other} by itself") + f", {key}"

    threads = [start(lambda key=key: some[key % caches].get_or_load(key, load)) for key in range(around)]
    values = [outcome(each) for each in threads]
    assert all(value.endswith(f", {key}") for key, value in enumerate(values))
    assert sum("by itself" in value.split(", ")[0] for value in values) == around
    assert [some[key % caches].get(key) for key in range(around)] == values


@pytest.mark.parametrize("caches", [1, 2])
@pytest.mark.parametrize("around", [2, 3, 5])
async def test_tasks_that_load_each_others_keys_end(caches: int, around: int) -> None:
    some: list[Cache[int, str]] = [Cache(10) for _ in range(caches)]
    entered = 0

    async def alone(key: int) -> str:
        return f"{key} by itself"

    async def load(key: int) -> str:
        nonlocal entered
        entered += 1
        while entered < around:
            await asyncio.sleep(0)
        after = (key + 1) % around
        return await some[after % caches].aget_or_load(after, alone) + f", {key}"

    asking = asyncio.gather(*(some[key % caches].aget_or_load(key, load) for key in range(around)))
    values = await asyncio.wait_for(asking, SECONDS)
    assert [some[key % caches].get(key) for key in range(around)] == values


async def test_a_thread_and_a_task_that_load_each_others_keys_end() -> None:
    cache: Cache[str, str] = Cache(10)
    gate = Gate()
    both = asyncio.Event()

    def load_in_thread(_: str) -> str:
        gate()
        return cache.get_or_load("task", lambda _: "task by itself") + ", thread"

    async def load_in_task(_: str) -> str:
        await both.wait()
        return await cache.aget_or_load("thread", lambda _: "thread by itself") + ", task"

    thread = start(lambda: cache.get_or_load("thread", load_in_thread))
    await asyncio.to_thread(gate.wait)
    task = asyncio.create_task(cache.aget_or_load("task", load_in_task))
    await asyncio.sleep(0)
    gate.open()
    both.set()
    values = await asyncio.wait_for(asyncio.gather(asyncio.wrap_future(thread), task), SECONDS)
    assert values[0].endswith(", thread")
    assert values[1].endswith(", task")


async def test_a_loader_may_gather() -> None:
    cache: Cache[Any, Any] = Cache(10)

    async def load(key: Any) -> Any:
        if isinstance(key, str):
            return key
        return await asyncio.gather(*(cache.aget_or_load(part, load) for part in key))

    two = asyncio.gather(cache.aget_or_load(("a", "b"), load), cache.aget_or_load(("b", "a"), load))
    assert await asyncio.wait_for(two, SECONDS) == [["a", "b"], ["b", "a"]]


async def test_a_function_that_blocks_its_loop_does_not_wait_for_a_task_of_that_loop() -> None:
    cache: Cache[str, str] = Cache(10)
    may_end = asyncio.Event()

    async def load(_: str) -> str:
        await may_end.wait()
        return "loaded"

    task = asyncio.create_task(cache.aget_or_load("k", load))
    await asyncio.sleep(0.01)
    assert cache.get_or_load("k", lambda _: "by itself") == "by itself"
    may_end.set()
    assert await task == cache["k"] == "loaded"


def test_a_function_that_blocks_its_loop_does_not_wait_for_a_thread_that_waits_for_that_loop() -> None:
    """The loop's task loads A. A thread loads B, which needs A. Then the loop is blocked by a call that needs B."""
    cache: Cache[str, str] = Cache(10)
    waits = threading.Event()

    def load_b(_: str) -> str:
        waits.set()
        return cache.get_or_load("A", lambda _: "A by itself") + ", B"

    async def main() -> tuple[str, str]:
        may_end = asyncio.Event()

        async def load_a(_: str) -> str:
            await may_end.wait()
            return "A"

        task = asyncio.create_task(cache.aget_or_load("A", load_a))
        await asyncio.sleep(0.01)
        thread = start(lambda: cache.get_or_load("B", load_b))
        await asyncio.to_thread(waits.wait, SECONDS)
        await asyncio.sleep(0.05)  # now the thread waits for A
        blocking = cache.get_or_load("B", lambda _: "B by itself")
        may_end.set()
        await task
        return blocking, await asyncio.wrap_future(thread)

    assert outcome(start(lambda: asyncio.run(main()))) == ("B by itself", "A, B")


def test_a_thread_does_not_wait_for_a_loop_that_is_blocked_until_the_thread_ends() -> None:
    """The same, but the loop is blocked before the thread needs A."""
    cache: Cache[str, str] = Cache(10)
    gate = Gate()

    def load_b(_: str) -> str:
        gate()
        return cache.get_or_load("A", lambda _: "A by itself") + ", B"

    async def main() -> str:
        may_end = asyncio.Event()

        async def load_a(_: str) -> str:
            await may_end.wait()
            return "A"

        task = asyncio.create_task(cache.aget_or_load("A", load_a))
        await asyncio.sleep(0.01)
        start(lambda: cache.get_or_load("B", load_b))
        await asyncio.to_thread(gate.wait)
        threading.Timer(0.1, gate.open).start()
        blocking = cache.get_or_load("B", lambda _: "B by itself")
        may_end.set()
        await task
        return blocking

    assert outcome(start(lambda: asyncio.run(main()))) == "A by itself, B"


def test_refreshes_that_need_each_other_do_not_wait_for_a_free_thread() -> None:
    """All refresh threads need a key whose own refresh is queued behind them, and which expires meanwhile."""
    now = 0.0
    cache: Cache[Any, str] = Cache(100, clock=lambda: now)
    pages = range(8)
    for page in pages:
        cache.set(page, "old", ttl=1, stale_ttl=100)
    cache.set("user", "old", ttl=1, stale_ttl=5)
    gate = Gate()

    def load_page(page: int) -> str:
        gate()
        return cache.get_or_load("user", lambda _: "by the page") + f", page {page}"

    now = 2.0
    for page in pages:
        assert cache.get_or_load(page, load_page) == "old"
    assert cache.get_or_load("user", lambda _: "by itself") == "old"
    now = 10.0
    until(lambda: gate.calls == 4)
    gate.open()
    assert outcome(start(cache.close)) is None
    assert {cache[page].split(",")[0] for page in pages} <= {"by the page", "by itself"}


def test_a_context_carried_into_a_thread_is_known_there() -> None:
    """`asyncio.to_thread` takes the context along, and with it whose loader asks."""
    cache: Cache[str, str] = Cache(10)

    async def load(key: str) -> str:
        return await asyncio.to_thread(cache.get_or_load, key, lambda _: "by itself")

    assert outcome(start(lambda: asyncio.run(cache.aget_or_load("k", load)))) == "by itself"
