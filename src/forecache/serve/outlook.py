"""What a live cache tells of other sizes and policies, from its own recent accesses; looking changes nothing."""

from __future__ import annotations

import math
import time
from array import array
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Final, Literal, NamedTuple, TypeVar

from forecache import _core
from forecache.curve import MissRatioCurve
from forecache.errors import CapacityError, EmptyTraceError, UnknownPolicyError

__all__ = ["Measured"]

K = TypeVar("K")
V = TypeVar("V")

REMOVED: Final = 2**32 - 1  # in place of a weight: the key was removed
GOLDEN: Final = 0x9E37_79B9_7F4A_7C15  # multiples of it differ in all bits
ALL_IDS: Final = 2**64
TICKS: Final = 2**32
COLUMNS: Final[tuple[tuple[str, Literal["I"]], ...]] = (("ids", "I"), ("weights", "I"), ("ticks", "I"))
OCTAVES: Final = range(-5, 3)  # capacities by default: a 32nd to 4 times that of the cache, which a window can fill
WARM_UP: Final = 0.4  # share of a stretch that is part of a longer time, in which misses do not count
GROUPS: Final = 4  # parts of a sample whose difference tells the error
LEAST: Final = 8  # entries of a cache for a part
GROUP_SHIFT: Final = 2  # the lowest bits of an id are uniform, whatever the sample


class Recent(NamedTuple):
    """Accesses to a sample of the keys of one shard."""

    ids: Sequence[int]
    weights: Sequence[int]
    rate: float  # share of the keys that is kept
    warm_up: int  # accesses at the beginning that fill the cache and are not counted
    counted: int  # accesses of all keys that those after the warm-up stand for

    def group(self, number: int) -> Recent:
        """The accesses to a part of the keys."""
        mine = [at for at, one in enumerate(self.ids) if (one >> GROUP_SHIFT) % GROUPS == number]
        ids, weights = [self.ids[at] for at in mine], [self.weights[at] for at in mine]
        warm_up = sum(at < self.warm_up for at in mine)
        return Recent(ids, weights, self.rate / GROUPS, warm_up, self.counted)


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
        replayed in the calling thread: up to a second, largely without the GIL. Expiry is not replayed.

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
        parts = [recent(found) for shard in range(self._shards) if (found := self._window(shard)) and len(found["ids"])]
        if not parts:
            raise EmptyTraceError("no access was kept; look something up first, with curve_bytes above 0")
        keys = sum(len(set(part.ids)) / part.rate for part in parts)
        by_size = any(weight > 1 for part in parts for weight in part.weights)
        sizes = self._capacities() if capacities is None else sorted(set(capacities))
        if not sizes or sizes[0] < 1:
            raise CapacityError(f"capacities are {sizes}; expected one or more, each above 0")
        total = sum(part.counted for part in parts)
        cells = [[replayed(part, name, size / self._shards, by_size=by_size) for part in parts] for size in sizes]
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
    columns = zip(*(memoryview(found[name]).cast(form) for name, form in COLUMNS), strict=True)
    names: list[int] = []
    generation: dict[int, int] = {}
    known: dict[int, int] = {}
    rows: list[tuple[int, int, int]] = []
    for key, weight, tick in columns:
        if weight == REMOVED:
            generation[key] = generation.get(key, 0) + 1
            continue
        if weight:
            known[key] = weight
        rows.append((key, weight, tick))
        names.append((key ^ generation.get(key, 0) * GOLDEN) % ALL_IDS)
    mean = max(1, round(sum(known.values()) / len(known))) if known else 1
    filled = [weight or known.get(key, mean) for key, weight, _ in rows]
    warm_up = round(WARM_UP * len(rows)) if found["is_part"] else 0
    return Recent(names, filled, found["rate"], warm_up, span(rows, warm_up, found["rate"]))


def span(rows: list[tuple[int, int, int]], warm_up: int, rate: float) -> int:
    """Accesses to all keys between the first row that counts and the last."""
    if rate >= 1 or len(rows) <= warm_up:
        return len(rows) - warm_up
    return 1 + (rows[-1][2] - rows[warm_up][2]) % TICKS


def replayed(part: Recent, policy: str, capacity: float, *, by_size: bool) -> Replayed:
    """A shard at another capacity."""
    own = max(1, round(capacity * part.rate))
    hits = replay(part, policy, own, by_size=by_size)
    if part.rate >= 1:
        return Replayed(hits, 0.0, 1.0)
    groups = [part.group(number) for number in range(GROUPS)]
    if own < LEAST * GROUPS or not all(group.ids for group in groups):
        return Replayed(hits, math.nan, part.rate)
    each = [replay(group, policy, max(1, round(own / GROUPS)), by_size=by_size) for group in groups]
    mean = sum(each) / GROUPS
    variance = sum((one - mean) ** 2 for one in each) / (GROUPS * (GROUPS - 1))
    return Replayed(hits, variance, part.rate)


def replay(part: Recent, policy: str, capacity: int, *, by_size: bool) -> float:
    """Hits of all keys that those of a sample stand for, after the warm-up.

    What the sample misses or has too much, it does in keys that are accessed all the time: the difference to the
    accesses that there were is added to the hits (SHARDS-adj, Waldspurger et al., FAST 2015).
    """
    accesses = _core.Accesses(array("Q", part.ids), array("Q", part.weights))
    running = _core.Simulation(accesses, policy, capacity, weights="size" if by_size else "unit")
    before, after = running.run(part.warm_up), running.run(len(part.ids))
    hits, stood_for = (after[1] - before[1]) / part.rate, (after[0] - before[0]) / part.rate
    return hits + part.counted - stood_for
