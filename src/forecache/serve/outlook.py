"""What a live cache tells of other sizes and policies, from its own recent accesses; looking changes nothing."""

from __future__ import annotations

import math
import time
from array import array
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, ClassVar, Final, NamedTuple, TypeVar

from forecache import _core
from forecache.curve import MissRatioCurve
from forecache.errors import CapacityError, EmptyTraceError, UnknownPolicyError

__all__ = ["Measured"]

K = TypeVar("K")
V = TypeVar("V")

REMOVED: Final = 2**31  # set in a row: the key was removed
GOLDEN: Final = 0x9E37_79B9_7F4A_7C15  # multiples of it differ in all bits
ALL_IDS: Final = 2**64
OCTAVES: Final = range(-5, 3)  # capacities by default: a 32nd to 4 times that of the cache, which a window can fill
GROUPS: Final = 4  # parts of a sample whose difference tells the error
LEAST: Final = 8  # entries of a cache for a part
GROUP_SHIFT: Final = 2  # the lowest bits of an id are uniform, whatever the sample


class Recent(NamedTuple):
    """Accesses to a sample of the keys of one shard."""

    ids: array[int]
    weights: array[int]
    rate: float  # share of the keys that is kept
    is_part: bool  # whether there were accesses before the first one
    warm_up: int  # accesses at the beginning that fill the cache and are not counted
    counted: int  # accesses of all keys that those after the warm-up stand for

    def groups(self) -> list[Recent]:
        """The accesses to each part of the keys; none where all keys were looked at."""
        if self.rate >= 1:
            return []
        rows: list[list[int]] = [[] for _ in range(GROUPS)]
        for at, one in enumerate(self.ids):
            rows[(one >> GROUP_SHIFT) % GROUPS].append(at)
        return [self.only(mine) for mine in rows]

    def only(self, mine: list[int]) -> Recent:
        """Some of the accesses, to one of so many equal parts of the keys."""
        ids, weights = (array("Q", [column[at] for at in mine]) for column in (self.ids, self.weights))
        return self._replace(ids=ids, weights=weights, rate=self.rate / GROUPS, warm_up=bisect_left(mine, self.warm_up))


class Measured(_core.Store[K, V]):
    """A store that keeps recent accesses."""

    __slots__ = ()

    _parameters: dict[str, Any]
    _began: float

    NAMES: ClassVar[tuple[str, ...]] = (*_core.POLICIES, *_core.OFFLINE_POLICIES)

    def curve(self, policy: str | None = None, capacities: Iterable[int] | None = None) -> MissRatioCurve:
        """What this cache would miss at other sizes or under another policy, by its own recent accesses.

        >>> from forecache import Cache
        >>> cache = Cache(capacity=2, policy="lru")
        >>> for number in (1, 2, 3) * 5:
        ...     _ = cache.get_or_load(number, str)
        >>> cache.curve(capacities=[1, 2, 3]).hit_ratios
        (0.0, 0.0, 0.8)

        Kept is a stretch of accesses, or of those to a sample of the keys, and after a pause the next one. They are
        replayed in the calling thread, largely without the GIL: up to some seconds, most of all for `learned`. Expiry
        is not replayed.

        Args:
            policy: that of the cache by default; `lru`, `min` or any other.
            capacities: in the unit of the cache's own, growing; by default from a 32nd of its own to 4 times that.

        Raises:
            EmptyTraceError: nothing was looked up yet, or curve_bytes is 0.
            UnknownPolicyError: no policy has that name.
            CapacityError: a capacity is not above 0.
        """
        name = self._parameters["policy"] if policy is None else policy
        if name not in self.NAMES:
            raise UnknownPolicyError(f"unknown policy {name!r}; expected one of {', '.join(self.NAMES)}")
        parts = [
            recent(found) for shard in range(self._shards) if (found := self._window(shard)) and len(found["rows"])
        ]
        if not parts:
            raise EmptyTraceError("no access was kept; look something up first, with curve_bytes above 0")
        keys = sum(len(set(part.ids)) / part.rate for part in parts)
        by_size = any(max(part.weights) > 1 for part in parts)
        sizes = self._capacities() if capacities is None else sorted(set(capacities))
        if not sizes or sizes[0] < 1:
            raise CapacityError(f"capacities are {sizes}; expected one or more, each above 0")
        total = sum(part.counted for part in parts)
        pairs = [(part, part.groups()) for part in parts]
        cells = [[replayed(*pair, name, size / self._shards, by_size=by_size) for pair in pairs] for size in sizes]
        ratios = [sum(cell.hits for cell in row) / total for row in cells]
        errors = [math.sqrt(sum(cell.variance for cell in row)) / total for row in cells]
        counts = self._counts()
        lookups = counts["hits"] + counts["stale"] + counts["misses"]
        return MissRatioCurve(
            trace="live cache",
            policy=name,
            weights="size" if by_size else "unit",
            capacities=tuple(sizes),
            hit_ratios=tuple(min(max(ratio, 0.0), 1.0) for ratio in ratios),
            errors=tuple(errors),
            samples=tuple(sum(cell.share for cell in row) / len(parts) for row in cells),
            accesses=total,
            keys=round(keys),
            seconds=(time.monotonic() - self._began) * total / max(lookups, total),
        )

    def _capacities(self) -> list[int]:
        return sorted({max(self._shards, round(self.capacity * 2.0**octave)) for octave in OCTAVES})


class Replayed(NamedTuple):
    """What a shard would have hit."""

    hits: float  # of all keys
    variance: float  # of that, from sampling
    share: float  # of the keys that were looked at


def recent(found: dict[str, Any]) -> Recent:
    """What a shard has kept. After a removal a key is another one, since no policy could have served it."""
    rows = memoryview(found["rows"]).cast("I").tolist()
    weights = memoryview(found["weights"]).cast("I").tolist() or [1] * len(rows)
    settings = found["rate"], found["is_part"]
    if max(rows) < REMOVED and min(weights) > 0:
        return Recent(array("Q", rows), array("Q", weights), *settings, found["warm_up"], found["accesses"])
    known = {row: weight for row, weight in zip(rows, weights, strict=True) if weight and row < REMOVED}
    mean = max(1, round(sum(known.values()) / len(known))) if known else 1
    generation: dict[int, int] = {}
    ids, filled, warm_up = array("Q"), array("Q"), 0
    for at, (row, weight) in enumerate(zip(rows, weights, strict=True)):
        if row >= REMOVED:
            generation[row - REMOVED] = generation.get(row - REMOVED, 0) + 1
            continue
        ids.append((row ^ generation.get(row, 0) * GOLDEN) % ALL_IDS)
        filled.append(weight or known.get(row, mean))
        warm_up += at < found["warm_up"]
    return Recent(ids, filled, *settings, warm_up, found["accesses"])


def replayed(part: Recent, groups: list[Recent], policy: str, capacity: float, *, by_size: bool) -> Replayed:
    """A shard at another capacity."""
    own = max(1, round(capacity * part.rate))
    hits = replay(part, policy, own, by_size=by_size)
    if not groups:
        return Replayed(hits, 0.0, 1.0)
    if own < LEAST * GROUPS or not all(group.ids for group in groups):
        return Replayed(hits, math.nan, part.rate)
    each = [replay(group, policy, max(1, round(own / GROUPS)), by_size=by_size) for group in groups]
    mean = sum(each) / GROUPS
    variance = sum((one - mean) ** 2 for one in each) / (GROUPS * (GROUPS - 1))
    return Replayed(hits, variance, part.rate)


def replay(part: Recent, policy: str, capacity: int, *, by_size: bool) -> float:
    """Hits of all keys that those of a sample stand for, after the warm-up.

    A stretch of a longer time is replayed twice. The first time, too little is known: what was there before the
    stretch, and what a policy has adapted to. The second time, too much: the same accesses in the same order. So hits
    are the mean of both, but for policies that need the future, to which the first end of the stretch is the end of
    time.

    What the sample misses or has too much, it does in keys that are accessed all the time: the difference to the
    accesses that there were is added to the hits (SHARDS-adj, Waldspurger et al., FAST 2015).
    """
    times = 2 if part.is_part else 1
    accesses = _core.Accesses(part.ids * times, part.weights * times)
    running = _core.Simulation(accesses, policy, capacity, weights="size" if by_size else "unit")
    counted = len(part.ids) - part.warm_up
    each = []
    for _ in range(times):
        before, after = running.run(part.warm_up), running.run(counted)
        each.append(after[1] - before[1])
    counts = each[-1:] if policy in _core.OFFLINE_POLICIES else each
    return (sum(counts) / len(counts) - counted) / part.rate + part.counted
