"""Laws of loads: one for a key at a time, its value or failure reaches everybody, and a failure leaves no trace."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from forecache import Cache
from forecache.errors import LoadInterruptedError
from tests.serve.loads import assert_no_trace, waiters
from tests.serve.threads import SECONDS, Gate, outcome, start, until


def test_threads_load_a_key_once() -> None:
    cache: Cache[str, str] = Cache(10)
    gate = Gate()
    asking = [start(lambda: cache.get_or_load("k", gate)) for _ in range(8)]
    until(lambda: waiters(cache) == 8)
    gate.open()
    assert [outcome(each) for each in asking] == ["loaded"] * 8
    assert (gate.calls, cache.stats().loads) == (1, 1)


async def test_tasks_load_a_key_once() -> None:
    cache: Cache[str, str] = Cache(10)
    calls = 0

    async def load(_: str) -> str:
        nonlocal calls
        calls += 1
        await asyncio.sleep(0.01)
        return "loaded"

    assert await asyncio.gather(*(cache.aget_or_load("k", load) for _ in range(8))) == ["loaded"] * 8
    assert (calls, cache.stats().loads) == (1, 1)


async def test_a_task_waits_for_a_thread_without_stopping_its_loop() -> None:
    cache: Cache[str, str] = Cache(10)
    gate = Gate()
    thread = start(lambda: cache.get_or_load("k", gate))
    gate.wait()
    task = asyncio.create_task(cache.aget_or_load("k", lambda _: "mine"))
    await asyncio.sleep(0.02)  # the loop runs
    assert not task.done()
    gate.open()
    assert await task == outcome(thread) == "loaded"


async def test_a_thread_waits_for_a_task() -> None:
    cache: Cache[str, str] = Cache(10)
    may_end = asyncio.Event()

    async def load(_: str) -> str:
        await may_end.wait()
        return "loaded"

    task = asyncio.create_task(cache.aget_or_load("k", load))
    await asyncio.sleep(0)
    thread = start(lambda: cache.get_or_load("k", lambda _: "mine"))
    until(lambda: waiters(cache) == 2)
    may_end.set()
    assert await task == await asyncio.wrap_future(thread) == "loaded"


def test_tasks_of_two_loops_share_a_load() -> None:
    cache: Cache[str, str] = Cache(10)
    gate = Gate()

    async def load(_: str) -> str:
        return await asyncio.to_thread(gate)

    asking = [start(lambda: asyncio.run(cache.aget_or_load("k", load))) for _ in range(3)]
    until(lambda: waiters(cache) == 3)
    gate.open()
    assert [outcome(each) for each in asking] == ["loaded"] * 3
    assert gate.calls == 1


async def test_cancelling_one_waiter_cancels_only_that_one() -> None:
    cache: Cache[str, str] = Cache(10)
    may_end = asyncio.Event()

    async def load(_: str) -> str:
        await may_end.wait()
        return "loaded"

    first, second, third = (asyncio.create_task(cache.aget_or_load("k", load)) for _ in range(3))
    await asyncio.sleep(0.01)
    first.cancel()  # who asked first, and began the load
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    may_end.set()
    assert await third == "loaded"
    assert second.cancelled()
    assert cache["k"] == "loaded"


async def test_a_load_goes_on_when_all_who_asked_have_left() -> None:
    cache: Cache[str, str] = Cache(10)
    may_end = asyncio.Event()

    async def load(_: str) -> str:
        await may_end.wait()
        return "loaded"

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(cache.aget_or_load("k", load), 0.01)
    may_end.set()
    assert await cache.aget_or_load("k", lambda _: "mine") == "loaded"


async def test_a_cancelled_load_interrupts_its_waiters_and_leaves_no_trace() -> None:
    cache: Cache[str, str] = Cache(10)

    async def load(_: str) -> str:
        raise asyncio.CancelledError

    told = await asyncio.gather(*(cache.aget_or_load("k", load) for _ in range(2)), return_exceptions=True)
    assert [type(each) for each in told] == [LoadInterruptedError] * 2
    assert_no_trace(cache, "k")


def test_a_load_cancelled_before_its_first_step_leaves_no_trace() -> None:
    cache: Cache[str, str] = Cache(10)

    async def ask_and_leave() -> None:
        asyncio.get_running_loop().create_task(cache.aget_or_load("k", lambda _: "never"))

    asyncio.run(ask_and_leave())
    assert cache.stats().load_failures == 1, "the load began, and was cancelled"
    assert asyncio.run(asyncio.wait_for(cache.aget_or_load("k", lambda _: "again"), SECONDS)) == "again"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_that_was_closed_in_the_middle_of_a_load_is_not_waited_for() -> None:
    cache: Cache[str, str] = Cache(10)

    async def load(_: str) -> str:
        await asyncio.sleep(3600)
        return "never"

    loop = asyncio.new_event_loop()
    with pytest.raises(TimeoutError):
        loop.run_until_complete(asyncio.wait_for(cache.aget_or_load("k", load), 0.01))
    loop.set_exception_handler(lambda *_: None)
    loop.close()
    assert outcome(start(lambda: cache.get_or_load("k", lambda _: "again"))) == "again"


def test_a_load_of_another_key_is_not_held_up() -> None:
    cache: Cache[str, str] = Cache(10)
    gate = Gate()
    slow = start(lambda: cache.get_or_load("slow", gate))
    gate.wait()
    assert outcome(start(lambda: cache.get_or_load("fast", lambda _: "x"))) == "x"
    gate.open()
    assert outcome(slow) == "loaded"


@pytest.mark.parametrize("negative_ttl", [None, 0, 5])
def test_none_is_kept_for_its_own_ttl(negative_ttl: float | None) -> None:
    now = 0.0
    cache: Cache[str, str | None] = Cache(10, ttl=60, negative_ttl=negative_ttl, clock=lambda: now)
    calls = 0

    def load(_: str) -> None:
        nonlocal calls
        calls += 1

    def asked_at(moment: float) -> int:
        nonlocal now
        now = moment
        assert cache.get_or_load("k", load) is None
        return calls

    expected = {None: [1, 1, 1, 2], 0: [1, 2, 3, 4], 5: [1, 1, 2, 3]}[negative_ttl]
    assert [asked_at(moment) for moment in (0, 4, 6, 61)] == expected


def test_a_finalizer_that_loads_while_the_loads_are_looked_after_does_no_harm() -> None:
    """Garbage is collected anywhere, and what collects it may use the cache."""
    import gc

    cache: Cache[Any, str] = Cache(1000)

    class Cycle:
        def __init__(self) -> None:
            self.me = self

        def __del__(self) -> None:
            cache.get_or_load("finalized", lambda _: "x")
            cache.delete("finalized")

    before = gc.get_threshold()
    gc.set_threshold(1)
    try:

        def load_and_litter() -> None:
            for number in range(2000):
                Cycle()
                cache.get_or_load(number, lambda key: cache.get_or_load((key, "inner"), str))

        assert outcome(start(load_and_litter)) is None
    finally:
        gc.set_threshold(*before)


def test_one_load_at_a_time_under_many_threads() -> None:
    cache: Cache[int, int] = Cache(4)
    running: dict[int, int] = {}
    most = 0
    lock = threading.Lock()

    def load(key: int) -> int:
        nonlocal most
        with lock:
            running[key] = running.get(key, 0) + 1
            most = max(most, running[key])
        with lock:
            running[key] -= 1
        return key

    def ask() -> None:
        for number in range(2000):
            assert cache.get_or_load(number * 7 % 11, load) == number * 7 % 11

    assert [outcome(each) for each in [start(ask) for _ in range(6)]] == [None] * 6
    assert most == 1
