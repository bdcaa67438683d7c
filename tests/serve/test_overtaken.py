"""The law of invalidation: what happens during a load is never overwritten by that load."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from forecache import Cache
from tests.serve.threads import Gate, outcome, start

CHANGES: dict[str, Callable[[Cache[str, str]], object]] = {
    "delete": lambda cache: cache.delete("k"),
    "del": lambda cache: cache.pop("k", None) or cache.delete("k"),
    "clear": lambda cache: cache.clear(),
    "tag": lambda cache: cache.invalidate_tag("red"),
    "set": lambda cache: cache.set("k", "set meanwhile"),
    "set item": lambda cache: cache.__setitem__("k", "set meanwhile"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("shards", [1, 4])
def test_a_change_during_a_load_wins(change: str, shards: int) -> None:
    cache: Cache[str, str] = Cache(10, shards=shards)
    gate = Gate("loaded before the change")
    load = start(lambda: cache.get_or_load("k", gate, tags=["red"]))
    gate.wait()
    CHANGES[change](cache)
    gate.open()
    assert outcome(load) == "loaded before the change", "who asked before may see it"
    assert cache.get("k") == ("set meanwhile" if change.startswith("set") else None)
    expected = "set meanwhile" if change.startswith("set") else "loaded after"
    assert cache.get_or_load("k", lambda _: "loaded after") == expected


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_during_the_load_of_a_task_wins(change: str) -> None:
    cache: Cache[str, str] = Cache(10)
    may_end = asyncio.Event()

    async def load(_: str) -> str:
        await may_end.wait()
        return "loaded before the change"

    task = asyncio.create_task(cache.aget_or_load("k", load, tags=["red"]))
    await asyncio.sleep(0.01)
    CHANGES[change](cache)
    may_end.set()
    assert await task == "loaded before the change"
    assert cache.get("k") == ("set meanwhile" if change.startswith("set") else None)


def test_who_asks_after_an_invalidation_does_not_get_the_load_from_before() -> None:
    cache: Cache[str, str] = Cache(10)
    old = Gate("from before")
    first = start(lambda: cache.get_or_load("k", old))
    old.wait()
    cache.delete("k")
    assert outcome(start(lambda: cache.get_or_load("k", lambda _: "from after"))) == "from after"
    old.open()
    assert outcome(first) == "from before"
    assert cache["k"] == "from after"


def test_a_load_that_fails_late_does_not_harm_its_successor() -> None:
    cache: Cache[str, str] = Cache(10)
    old, new = Gate(OSError()), Gate("from after")
    first = start(lambda: cache.get_or_load("k", old))
    old.wait()
    cache.delete("k")
    second = start(lambda: cache.get_or_load("k", new))
    new.wait()
    old.open()
    assert isinstance(outcome(first), OSError)
    third = start(lambda: cache.get_or_load("k", lambda _: "a third"))
    new.open()
    assert (outcome(second), outcome(third)) == ("from after", "from after")


def test_what_is_overtaken_is_told_to_the_listener_as_rejected() -> None:
    told: list[Any] = []
    cache: Cache[str, str] = Cache(10, on_evict=lambda *args: told.append(args))

    def load(key: str) -> str:
        cache.delete(key)
        return "overtaken"

    assert cache.get_or_load("k", load) == "overtaken"
    assert told == [("k", "overtaken", "rejected")]
    assert cache.stats().rejected == 1


def test_other_tags_and_other_keys_overtake_nothing() -> None:
    cache: Cache[str, str] = Cache(10)

    def load(_: str) -> str:
        cache.invalidate_tag("green")
        cache.delete("other")
        cache["third"] = "x"
        return "loaded"

    cache.get_or_load("k", load, tags=["red"])
    assert cache["k"] == "loaded"
