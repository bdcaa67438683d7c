"""Simulations in miniature: a cache for a share of the keys with the same share of the capacity, for any policy.

Waldspurger et al., "Cache Modeling and Optimization using Miniature Simulations", USENIX ATC 2017.
"""

from __future__ import annotations

from threading import Event
from typing import Final, NamedTuple

from forecache import _core
from forecache.extras import TRACES, extra
from forecache.record.trace import Trace
from forecache.study.in_threads import in_threads, replayed
from forecache.study.simulate import Progress, available_cores
from forecache.units import Weights

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = ["LEAST_ENTRIES", "Asked", "Found", "in_miniature", "sampled"]

LEAST_ENTRIES: Final = 64  # of a miniature cache: with fewer, policies with several queues are other policies
LARGE: Final = 1 / 3  # share of the keys beyond which two samples are enough

Floats = npt.NDArray[np.float64]


class Asked(NamedTuple):
    """What a curve is to be of."""

    trace: Trace
    capacities: list[int]  # of a cache for all keys, growing
    weights: Weights
    share: float  # of all keys that are in the trace
    sample: float  # share of those that is looked at
    seed: int


class Found(NamedTuple):
    """Columns of a curve, shape (capacities,)."""

    hit_ratios: list[float]
    errors: list[float]
    samples: list[float]


def standard_error(estimates: Floats) -> Floats:
    """Of the mean of independent estimates, shape (estimates, capacities)."""
    count = estimates.shape[0]
    if count == 1:
        return np.full(estimates.shape[1], np.nan)
    return estimates.std(axis=0, ddof=1) / np.sqrt(count)  # type: ignore[no-any-return]


class Miniature(NamedTuple):
    """A cache for a share of the keys that stands for one of a capacity for all."""

    capacity: int
    share: float  # of the keys of the trace

    def repeats(self, seeds: int) -> int:
        """Samples to take: large ones hardly differ, and one of all keys does not."""
        return 1 if self.share >= 1 else min(seeds, 2) if self.share > LARGE else seeds

    @classmethod
    def of(cls, capacity: int, sample: float, share: float, entries: float) -> Miniature:
        """For a whole cache that holds about so many entries: the share of keys is exactly that of the capacity."""
        least = min(1.0, LEAST_ENTRIES / max(entries, 1))
        whole = capacity * share
        small = max(1, round(whole * max(sample, least)))
        return cls(small, min(1.0, small / whole))


def in_miniature(asked: Asked, policy: str, seeds: int, jobs: int | None, on_progress: Progress | None) -> Found:
    """The curve of any policy, from simulations on samples of the keys."""
    trace, share = asked.trace, asked.share
    mean_weight = trace.unique_bytes / trace.unique if asked.weights == "size" else 1
    small = [Miniature.of(size, asked.sample, share, size * share / mean_weight) for size in asked.capacities]
    cells = [(one, asked.seed + number) for one in small for number in range(one.repeats(seeds))]

    def replay(cell: int, stop: Event) -> float:
        one, number = cells[cell]
        return simulated(asked, policy, one, number, stop)

    def tell(done: int) -> None:
        if on_progress is not None:
            on_progress(done, len(cells))

    ratios = in_threads(replay, len(cells), jobs=jobs or available_cores(), on_tick=tell)
    found: dict[Miniature, list[float]] = {}
    for (one, _), ratio in zip(cells, ratios, strict=True):
        found.setdefault(one, []).append(ratio)
    errors = [0.0 if one.share >= 1 else float(standard_error(np.array(found[one])[:, None])[0]) for one in small]
    return Found([float(np.mean(found[one])) for one in small], errors, [one.share * share for one in small])


def simulated(asked: Asked, policy: str, small: Miniature, seed: int, stop: Event) -> float:
    """Hit ratio of one miniature simulation; accesses that the sample lacks, or has too many, are hits (SHARDS-adj)."""
    trace, weights = asked.trace, asked.weights
    if weights == "unit" and round(trace.unique * small.share) <= small.capacity:
        return 1 - trace.unique / len(trace)  # all keys have room: only the first access to each misses
    part = sampled(trace, small.share, seed)
    expected = len(trace) * small.share
    if len(part) == 0:
        return 0.0
    simulation = _core.Simulation(part.accesses(), policy, small.capacity, weights=weights, seed=seed)
    _, hits, _, _ = replayed(simulation.run, len(part), stop)
    return float(np.clip((hits + expected - len(part)) / expected, 0, 1))


def sampled(trace: Trace, share: float, seed: int) -> Trace:
    """The accesses to a share of the keys; the smaller of two samples with one seed is part of the larger."""
    if share >= 1:
        return trace
    rows = np.frombuffer(_core.sampled(np.ascontiguousarray(trace.key).data, share, seed), dtype=np.int64)
    return trace.take(rows)
