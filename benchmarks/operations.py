"""Nanoseconds per operation in one thread: hits, a get-or-set mix, and decorated functions.

Every loop is timed with its own overhead in it, the same for all. "Same object" asks with the very key objects that
were stored, "equal object" with others that are equal, as requests do.
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.harness import Peers, Table, alternate, own, parser, report, stay_on
from forecache import POLICIES, Cache

ENTRIES = 10_000
KEYS = 100_000  # of the mix; ten times what fits
SKEW = 0.9  # exponent of Zipf's law
LOOKUPS = 20_000
MIX = 100_000  # operations between two turns
SEGMENTS = 16  # of the trace of the mix, one for each turn
REFERENCE = "cachebox LRUCache"


def get_bound(cache: Any, keys: list[Any]) -> float:
    """Looks keys up by a bound method."""
    get = cache.get
    start = perf_counter()
    for key in keys:
        get(key)
    return perf_counter() - start


def get_by_name(cache: Any, keys: list[Any]) -> float:
    """Looks keys up as most code does."""
    start = perf_counter()
    for key in keys:
        cache.get(key)
    return perf_counter() - start


def call(function: Callable[[Any], Any], keys: list[Any]) -> float:
    """Calls a function that remembers its results."""
    start = perf_counter()
    for key in keys:
        function(key)
    return perf_counter() - start


def mix_items(cache: Any, keys: list[Any]) -> tuple[float, int]:
    """Looks keys up and stores those that are missing; returns seconds and misses."""
    misses = 0
    start = perf_counter()
    for key in keys:
        if cache.get(key) is None:
            cache[key] = key
            misses += 1
    return perf_counter() - start, misses


def mix_set(cache: Any, keys: list[Any]) -> tuple[float, int]:
    """The same for caches with a method `set`."""
    misses = 0
    start = perf_counter()
    for key in keys:
        if cache.get(key) is None:
            cache.set(key, key)
            misses += 1
    return perf_counter() - start, misses


def mix_pair(cache: Any, keys: list[Any]) -> tuple[float, int]:
    """The same for caches whose `get` returns a pair of the value and whether there is one."""
    misses = 0
    start = perf_counter()
    for key in keys:
        if not cache.get(key)[1]:
            cache.set(key, key)
            misses += 1
    return perf_counter() - start, misses


def mix_call(function: Any, keys: list[Any]) -> tuple[float, int]:
    """The same for functions that remember their results."""
    misses = function.cache_info().misses
    start = perf_counter()
    for key in keys:
        function(key)
    return perf_counter() - start, function.cache_info().misses - misses


def identity(key: Any) -> Any:
    """What the caches of functions remember the results of."""
    return key


@dataclass(frozen=True)
class Contestant:
    """A cache, and how it is used."""

    name: str
    make: Callable[[int], Any]
    hit: Callable[[Any, list[Any]], float] = get_by_name
    mix: Callable[[Any, list[Any]], tuple[float, int]] = mix_items
    mixes: bool = True


def ours() -> list[Contestant]:
    """All policies."""
    return [
        Contestant(f"forecache {policy}", functools.partial(Cache, policy=policy), get_by_name, mix_items)
        for policy in POLICIES
    ]


def contestants(peers: Peers) -> list[Contestant]:
    """All caches that are installed."""
    found = [Contestant("dict, unbounded", lambda _: {}, mixes=False)]
    if cachebox := peers.find("cachebox"):
        found += [
            Contestant(REFERENCE, cachebox.LRUCache),
            Contestant("cachebox LRUCache, bound get", cachebox.LRUCache, get_bound, mixes=False),
            Contestant("cachebox LFUCache", cachebox.LFUCache),
        ]
    found += [
        Contestant("functools.lru_cache", lambda most: functools.lru_cache(most)(identity), call, mix_call),
        *ours(),
        Contestant("forecache lru, bound get", functools.partial(Cache, policy="lru"), get_bound, mixes=False),
    ]
    if lru := peers.find("lru-dict", "lru"):
        found.append(Contestant("lru-dict", lru.LRU))
    if moka := peers.find("moka-py"):
        found.append(Contestant("moka-py", moka.Moka, get_by_name, mix_set))
    if warp := peers.find("warp-cache"):
        found.append(Contestant("warp-cache", lambda most: warp.cache(max_size=most)(identity), call, mix_call))
    if cachetools := peers.find("cachetools"):
        found.append(Contestant("cachetools LRUCache", cachetools.LRUCache))
    if theine := peers.find("theine"):
        found.append(Contestant("theine", theine.Cache, get_by_name, mix_pair))
        found.append(Contestant("theine, nolock", lambda most: theine.Cache(most, nolock=True), get_by_name, mix_pair))
    return found


def fill(contestant: Contestant, keys: list[Any]) -> Any:
    """A cache that holds all keys."""
    cache = contestant.make(len(keys))
    contestant.mix(cache, keys)
    return cache


def hits(field: list[Contestant], rounds: int) -> Table:
    """Nanoseconds per hit, and their ratio to the reference."""
    stored = {
        "int": [number * 7919 + 1_000_000 for number in range(ENTRIES)],
        "str": [f"user:{number}:profile" for number in range(ENTRIES)],
    }
    order = np.random.default_rng(1).integers(ENTRIES, size=LOOKUPS).tolist()
    columns: dict[str, dict[str, float]] = {}
    for kind, keys in stored.items():
        copy = (lambda key: int(str(key))) if kind == "int" else (lambda key: "".join(list(key)))
        asked = [keys[at] for at in order]
        for label, lookups in {"same object": asked, "equal object": [copy(key) for key in asked]}.items():
            runs = {each.name: functools.partial(own(each.hit), fill(each, keys), lookups) for each in field}
            columns[f"{kind}, {label}"] = alternate(runs, rounds)
    rows = [[each.name, *(cell(times, each.name) for times in columns.values())] for each in field]
    return Table(f"Hits, {ENTRIES:,} entries: ns (ratio to {REFERENCE})", ["", *columns], rows)


def cell(times: dict[str, float], name: str) -> str:
    """Nanoseconds and, where the reference is installed, their ratio to its."""
    nanoseconds = f"{times[name] / LOOKUPS * 1e9:.0f}"
    return f"{nanoseconds} ({times[name] / times[REFERENCE]:.2f})" if REFERENCE in times else nanoseconds


def mix(field: list[Contestant], rounds: int) -> tuple[Table, Table]:
    """Nanoseconds per operation of the mix with its hit ratio, and the comparison of the W-TinyLFU caches."""
    field = [each for each in field if each.mixes]
    trace = [keys.tolist() for keys in np.split(zipf(), SEGMENTS)]
    caches = {each.name: each.make(ENTRIES) for each in field}
    misses: dict[str, list[int]] = {each.name: [] for each in field}

    def run(each: Contestant, loop: Callable[..., tuple[float, int]]) -> float:
        keys = trace[len(misses[each.name]) % SEGMENTS]
        seconds, missed = loop(caches[each.name], keys)
        misses[each.name].append(missed)
        return seconds

    times = alternate({each.name: functools.partial(run, each, own(each.mix)) for each in field}, rounds)
    ratio = {name: 1 - statistics.mean(missed[1:]) / MIX for name, missed in misses.items()}
    rows = [
        [
            each.name,
            f"{times[each.name] / MIX * 1e9:.0f}",
            f"{times[each.name] / times[REFERENCE]:.2f}" if REFERENCE in times else "",
            f"{ratio[each.name]:.4f}",
        ]
        for each in field
    ]
    title = f"Get or set, Zipf {SKEW}, {KEYS:,} keys, {ENTRIES:,} entries"
    versus = [
        [name, f"{times[name] / times['forecache tinylfu']:.1f}", f"{ratio['forecache tinylfu'] - ratio[name]:+.4f}"]
        for name in times
        if name.startswith("theine")
    ]
    return (
        Table(title, ["", "ns", f"ratio to {REFERENCE}", "hit ratio"], rows),
        Table("forecache tinylfu against theine", ["", "times faster", "hit ratio gained"], versus),
    )


def zipf() -> npt.NDArray[np.object_]:
    """Keys by Zipf's law, as objects that exist once each; which key is popular is chance."""
    random = np.random.default_rng(1)
    weights = 1 / np.arange(1, KEYS + 1) ** SKEW
    objects = np.array([1_000_000 + number for number in random.permutation(KEYS).tolist()], dtype=object)
    return objects[random.choice(KEYS, size=SEGMENTS * MIX, p=weights / weights.sum())]


def decorated(peers: Peers, rounds: int) -> Table:
    """Nanoseconds per hit of a decorated function of one int."""

    def plain(user: int) -> int:
        return user

    functions: dict[str, Callable[[int], Any]] = {
        "functools.lru_cache": functools.lru_cache(ENTRIES)(plain),
        "forecache lru": Cache(ENTRIES, policy="lru").cached(plain),
        "forecache tinylfu": Cache(ENTRIES, policy="tinylfu").cached(plain),
        "forecache tinylfu, key template": Cache(ENTRIES, policy="tinylfu").cached(key="user:{user}")(plain),
    }
    if cachebox := peers.find("cachebox"):
        functions["cachebox.cached"] = cachebox.cached(cachebox.LRUCache(ENTRIES))(plain)
    if cachetools := peers.find("cachetools"):
        functions["cachetools.cached"] = cachetools.cached(cachetools.LRUCache(ENTRIES))(plain)
    if warp := peers.find("warp-cache"):
        functions["warp-cache"] = warp.cache(max_size=ENTRIES)(plain)
    users = (np.random.default_rng(1).integers(ENTRIES, size=LOOKUPS) + 1_000_000).tolist()
    for function in functions.values():
        call(function, users)
    runs = {name: functools.partial(own(call), function, users) for name, function in functions.items()}
    times = alternate(runs, rounds)
    rows = [
        [name, f"{seconds / LOOKUPS * 1e9:.0f}", f"{seconds / times['functools.lru_cache']:.1f}"]
        for name, seconds in times.items()
    ]
    return Table("Hits of a decorated function of one int", ["", "ns", "ratio to functools.lru_cache"], rows)


def main() -> None:
    """Measures and reports."""
    options = parser(__doc__).parse_args()
    stay_on(options.core)
    rounds, peers = (2 if options.quick else 30), Peers()
    field = contestants(peers)
    tables = [hits(field, rounds), *mix(field, 2 if options.quick else SEGMENTS // 2), decorated(Peers(), rounds)]
    report("operations", options, tables, peers, notes=(__doc__ or "").split("\n\n", 1)[1].strip())


if __name__ == "__main__":
    main()
