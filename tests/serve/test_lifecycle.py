"""Laws of a cache's life: forks, garbage, weak references, subclasses, copies, many threads on small shards."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from forecache import POLICIES, Cache
from tests.serve.threads import SECONDS, Gate, outcome, start, until


def in_child(act: Callable[[], object]) -> bool:
    """Whether `act` returns something true in a forked child, in good time."""
    child = os.fork()
    if child == 0:
        signal.alarm(int(SECONDS))
        try:
            os._exit(0 if act() else 1)
        except BaseException:
            os._exit(2)
    return os.waitpid(child, 0)[1] == 0


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@needs_fork
def test_a_child_does_not_wait_for_loads_of_its_parent() -> None:
    cache: Cache[str, str] = Cache(10)
    cache["there"] = "x"
    gate = Gate()
    loading = start(lambda: cache.get_or_load("k", gate))
    gate.wait()
    assert in_child(lambda: cache["there"] == "x" and cache.get_or_load("k", lambda _: "child's") == "child's")
    gate.open()
    assert outcome(loading) == cache["k"] == "loaded"


@needs_fork
def test_a_child_refreshes_with_threads_of_its_own() -> None:
    now = 0.0
    cache: Cache[int, str] = Cache(10, ttl=1, stale_ttl=100, clock=lambda: now)
    for key in range(6):
        cache[key] = "old"
    now = 2.0
    gate = Gate("parent's")
    for key in range(5):
        assert cache.get_or_load(key, gate) == "old"
    until(lambda: gate.calls == 4)  # the fifth is in the queue

    def child() -> bool:
        served = [cache.get_or_load(key, lambda _: "child's") for key in range(6)]
        cache.close()
        return served == ["old"] * 6 and list(cache.values()) == ["child's"] * 6

    assert in_child(child)
    gate.open()
    cache.close()
    assert [cache.get(key) for key in range(6)] == ["parent's"] * 5 + [None]


@needs_fork
def test_a_child_forked_in_the_middle_of_anything_works() -> None:
    """Other threads look after their loads while the process is forked, again and again."""
    cache: Cache[int, int] = Cache(50, shards=4)
    stop = threading.Event()

    def load() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            cache.get_or_load(number % 200, lambda key: cache.get_or_load(key + 1000, lambda inner: inner))

    threads = [start(load) for _ in range(4)]
    try:
        for _ in range(25):
            assert in_child(lambda: all(cache.get_or_load(key, lambda _: 1) for key in range(1, 300)))
    finally:
        stop.set()
    assert [outcome(each) for each in threads] == [None] * 4


@needs_fork
def test_a_child_forked_inside_a_loader_goes_on_with_it() -> None:
    cache: Cache[str, str] = Cache(10)
    assert cache.get_or_load("k", lambda _: str(in_child(lambda: cache.get_or_load("other", str) == "other"))) == "True"


@needs_fork
def test_workers_of_a_preloaded_application_share_what_was_there_before() -> None:
    program = """
        import os, sys
        from forecache import Cache
        cache = Cache(100, ttl=60, stale_ttl=60)
        @cache.cached
        def load(key): return (key, os.getpid())
        parent = [load(key) for key in range(10)]
        workers = []
        for number in range(3):
            child = os.fork()
            if child == 0:
                fine = [load(key) for key in range(10)] == parent and load(99)[1] == os.getpid()
                os._exit(0 if fine else 1)
            workers.append(child)
        sys.exit(sum(os.waitpid(child, 0)[1] for child in workers))
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program)], check=True, timeout=30)


def test_weak_references() -> None:
    cache: Cache[str, str] = Cache(10)
    seen: list[object] = []
    reference = weakref.ref(cache, seen.append)
    assert reference() is cache
    del cache
    gc.collect()
    assert seen == [reference]


def test_subclasses() -> None:
    class Users(Cache[int, str]):
        def __new__(cls, *, prefix: str, **settings: Any) -> Users:
            self = super().__new__(cls, capacity=10, **settings)
            self.prefix = prefix
            return self

        prefix: str

        def get(self, key: int, default: Any = None, /) -> Any:
            return f"{self.prefix}{super().get(key, default)}"

    class Admins(Users):
        pass

    for kind in (Users, Admins):
        users = kind(prefix="user ", ttl=60)
        users[1] = "Ada"
        assert (users.get(1), users[1], users.get_or_load(1, str)) == ("user Ada", "Ada", "Ada")
        assert repr(users).startswith(f"<{kind.__name__} ")
        assert Cache.get(users, 1) == "Ada"
        assert isinstance(users, Cache)
    with pytest.raises(TypeError):
        Cache.get({}, 1)  # type: ignore[call-overload]


def test_generic_forms() -> None:
    assert isinstance(Cache[int, str](5), Cache)
    assert Cache[int, str].__origin__ is Cache  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "use", [copy.copy, copy.deepcopy, *(lambda c, p=p: pickle.dumps(c, p) for p in range(6))], ids=str
)
def test_it_is_not_copied_or_pickled(use: Callable[[Any], Any]) -> None:
    with pytest.raises(TypeError, match=r"a Cache cannot be pickled or copied.*make one where it is needed"):
        use(Cache[int, int](5))


@pytest.mark.parametrize("policy", POLICIES)
def test_many_threads_on_small_shards(policy: str) -> None:
    cache: Cache[int, int] = Cache(8, policy=policy, shards=8)

    def use(seed: int) -> None:
        for number in range(1500):
            key = (number * 7919 + seed) % 23
            match number % 6:
                case 0:
                    cache.set(key, key, tags=["red"] if key % 2 else None)
                case 1 | 2:
                    assert cache.get(key, key) == key
                case 3:
                    assert cache.get_or_load(key, lambda key: key) == key
                case 4:
                    cache.delete(key)
                case 5:
                    cache.invalidate_tag("red")
            assert cache.weight <= 8

    assert [outcome(each) for each in [start(lambda seed=seed: use(seed)) for seed in range(6)]] == [None] * 6
    counts = cache.stats()
    assert counts.lookups == 6 * 1500 // 6 * 3


def test_reads_do_not_wait_for_a_slow_loader_listener_or_weigher() -> None:
    slow = Gate(1)
    cache: Cache[str, Any] = Cache(3, policy="fifo", weigher=lambda key, _: slow() if key == "slow" else 1)
    cache["a"] = 1
    writing = start(lambda: cache.set("slow", 2))
    slow.wait()
    started = time.perf_counter()
    assert (cache["a"], "slow" in cache, len(cache)) == (1, False, 1)
    assert time.perf_counter() - started < 1
    slow.open()
    assert outcome(writing) is True
