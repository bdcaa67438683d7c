"""Laws of loads that fail: everybody who waits is told, and nothing of the load is left."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from forecache import Cache
from forecache.errors import ConfigurationError, LoadInterruptedError
from tests.serve.loads import assert_no_trace, waiters
from tests.serve.threads import SECONDS, Gate, outcome, start, until


@pytest.mark.parametrize("error", [ValueError("no row"), StopIteration("none"), StopAsyncIteration(), TimeoutError()])
def test_a_failure_reaches_all_threads_and_leaves_no_trace(error: Exception) -> None:
    cache: Cache[str, str] = Cache(10)
    gate = Gate(error)
    asking = [start(lambda: cache.get_or_load("k", gate)) for _ in range(4)]
    until(lambda: waiters(cache) == 4)
    gate.open()
    errors = [outcome(each) for each in asking]
    assert errors.count(error) >= 1
    assert all(each is error or each.__cause__ is error for each in errors)
    assert (gate.calls, cache.stats().load_failures) == (1, 1)
    assert_no_trace(cache, "k")


@pytest.mark.parametrize("error", [ValueError("no row"), StopIteration("none"), StopAsyncIteration(), TimeoutError()])
async def test_a_failure_reaches_all_tasks_and_leaves_no_trace(error: Exception) -> None:
    cache: Cache[str, str] = Cache(10)

    def load(_: str) -> str:
        raise error

    asking = asyncio.gather(*(cache.aget_or_load("k", load) for _ in range(4)), return_exceptions=True)
    errors = await asyncio.wait_for(asking, SECONDS)
    assert all(type(each) is type(error) or each.__cause__ is error for each in errors), errors
    assert cache.stats().load_failures == 1
    assert_no_trace(cache, "k")


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt(), SystemExit(), GeneratorExit()])
def test_what_stops_the_leader_stops_no_other(interrupt: BaseException) -> None:
    cache: Cache[str, str] = Cache(10)
    gate = Gate(interrupt)
    leader = start(lambda: cache.get_or_load("k", gate))
    gate.wait()
    follower = start(lambda: cache.get_or_load("k", lambda _: "mine"))
    until(lambda: waiters(cache) == 2)
    gate.open()
    assert outcome(leader) is interrupt
    told = outcome(follower)
    assert isinstance(told, LoadInterruptedError)
    assert type(interrupt).__name__ in str(told)
    assert_no_trace(cache, "k")


@pytest.mark.skipif(not hasattr(signal, "pthread_kill"), reason="no signals to threads here")
@pytest.mark.usefixtures("interruptible")
def test_an_interrupted_waiter_leaves_the_load_to_the_others() -> None:
    cache: Cache[str, str] = Cache(10)
    gate = Gate()
    leader = start(lambda: cache.get_or_load("k", gate))
    gate.wait()
    me = threading.get_ident()

    def interrupt() -> None:
        until(lambda: waiters(cache) == 2)
        time.sleep(0.1)  # now it waits
        signal.pthread_kill(me, signal.SIGINT)

    interrupting = start(interrupt)
    with pytest.raises(KeyboardInterrupt):
        cache.get_or_load("k", lambda _: "mine")
    assert outcome(interrupting) is None
    follower = start(lambda: cache.get_or_load("k", lambda _: "mine"))
    gate.open()
    assert outcome(leader) == outcome(follower) == "loaded"


def test_a_key_whose_repr_raises_can_be_interrupted() -> None:
    class Key:
        def __repr__(self) -> str:
            raise ZeroDivisionError

    cache: Cache[Key, str] = Cache(10)
    key, gate = Key(), Gate(KeyboardInterrupt())
    leader = start(lambda: cache.get_or_load(key, gate))
    gate.wait()
    follower = start(lambda: cache.get_or_load(key, lambda _: "mine"))
    until(lambda: waiters(cache) == 2)
    gate.open()
    assert isinstance(outcome(follower), LoadInterruptedError)
    assert isinstance(outcome(leader), KeyboardInterrupt)


def test_a_loader_that_returns_a_coroutine_is_refused() -> None:
    """It could be awaited only once; whoever hit it later would fail."""
    cache: Cache[str, Any] = Cache(10)

    async def load(_: str) -> str:
        return "x"

    with pytest.raises(ConfigurationError, match="await aget_or_load"):
        cache.get_or_load("k", load)
    assert_no_trace(cache, "k")


def test_what_cannot_be_kept_is_told_before_anything_is_loaded() -> None:
    cache: Cache[str, str] = Cache(10)
    gate = Gate()
    for wrong in ({"ttl": "soon"}, {"ttl": 0}, {"stale_ttl": -1}, {"tags": "red"}, {"tags": [1]}):
        with pytest.raises((ConfigurationError, TypeError)):
            cache.get_or_load("k", gate, **wrong)  # type: ignore[arg-type]
    assert gate.calls == 0


def test_tags_may_come_from_an_iterator() -> None:
    cache: Cache[str, str] = Cache(10)

    def tags() -> Iterator[str]:
        yield from ("red", "green")

    cache.get_or_load("k", lambda _: "x", tags=tags())
    assert cache.invalidate_tag("green") == 1


def test_a_weigher_that_fails_fails_the_load_and_leaves_no_trace() -> None:
    cache: Cache[str, Any] = Cache(10, weigher=lambda key, value: 0 if value == "bad" else 1)
    with pytest.raises(ValueError, match="the weigher returned 0"):
        cache.get_or_load("k", lambda _: "bad")
    assert cache.get_or_load("k", lambda _: "good") == "good"


def test_a_clock_that_fails_leaves_no_load_behind() -> None:
    times: list[float] = [0.0] * 20
    cache: Cache[str, str] = Cache(10, ttl=1, clock=lambda: times.pop(-1))
    for left in range(8):
        times[:] = [0.0] * left
        try:
            cache.get_or_load("k", lambda _: "x")
        except IndexError:
            continue
    times[:] = [0.0] * 20
    cache.delete("k")
    assert outcome(start(lambda: cache.get_or_load("k", lambda _: "again"))) == "again"
