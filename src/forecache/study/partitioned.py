"""Curves of divided histories: each partition is a sample of the keys, and all of them together miss none.

The reuse distances of a partition, one key in so many, are scaled up as SHARDS does (Waldspurger et al., FAST 2015),
and hits are added up over all partitions: memory is that of one partition's keys, every access counts, and only
distances are estimated. Other policies are simulated in miniature on a sample that is gathered from all partitions.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from forecache import _core
from forecache.curve import MissRatioCurve
from forecache.errors import EmptyTraceError
from forecache.extras import TRACES, extra
from forecache.record.engines import Run, in_turn
from forecache.record.partitions import Partitions, merged
from forecache.record.trace import Trace
from forecache.study.curves import (
    ENOUGH_KEYS,
    SEEDS,
    TIME_UNITS,
    Floats,
    Footprint,
    default_capacities,
    feed,
    miss_ratio_curve,
)
from forecache.study.miniature import LEAST_ENTRIES, sampled
from forecache.study.simulate import BASELINE, Progress, check_policies
from forecache.units import Capacity, Weights

with extra(TRACES):
    import numpy as np

__all__ = ["partitioned_curve", "sample_of"]

MOST_ACCESSES: Final = 3_000_000  # of a sample: some 300 MB while it is simulated


def partitioned_curve(
    history: Partitions,
    capacities: Iterable[Capacity | str | int] | None = None,
    *,
    policy: str = BASELINE,
    weights: Weights = "unit",
    seeds: int = SEEDS,
    seed: int = 0,
    run: Run = in_turn,
    on_progress: Progress | None = None,
) -> MissRatioCurve:
    """Miss ratio of a policy at each capacity, from a history of any size.

    The result is the same, to the last bit, whatever the engine.

    Args:
        history: divided by keys.
        capacities: as `Capacity.parse` takes them; by default four to each factor of ten.
        policy: one of `known_policies()`.
        weights: whether an entry weighs 1 or its size in bytes.
        seeds: samples of a simulation in miniature.
        seed: of them.
        run: engine.
        on_progress: called with simulations done and of how many, from the calling thread.

    Returns:
        The curve. LRU's errors are at most what is given: they are those of as many samples that would not have
        seen all accesses.

    Raises:
        UnknownPolicyError: no policy has that name.
        CapacityError: a capacity cannot be used with this history or these weights.
    """
    check_policies([policy])
    share = share_of(history)
    footprint = Footprint(round(history.unique / share), round(history.unique_bytes / share), history.has_sizes, share)
    sizes = (
        default_capacities(footprint, weights)
        if capacities is None
        else sorted({Capacity.parse(str(size)).resolve(footprint, weights=weights) for size in capacities})
    )
    if policy == BASELINE:
        return of_all(history, sizes, weights, footprint, run)
    part = sample_for(history, sizes[0] * share, weights)
    sample = sample_of(history, part, seed=seed, run=run)
    small = min(1.0, ENOUGH_KEYS / max(sample.unique, 1))
    found = miss_ratio_curve(
        sample,
        sizes,
        policy=policy,
        sample=small,
        weights=weights,
        seeds=seeds,
        seed=seed + 1,
        on_progress=on_progress,
    )
    return replace(
        found,
        hit_ratios=adjusted(found.hit_ratios, len(sample), len(history) * part),
        accesses=round(len(history) / share),
        keys=footprint.unique,
        seconds=seconds(history),
    )


def share_of(history: Partitions) -> float:
    """The share of all keys that was recorded."""
    return float(history.metadata.get("sample", 1.0))


def seconds(history: Partitions) -> float | None:
    """Seconds from the first access to the last, if the metadata tell the unit of the times."""
    unit = TIME_UNITS.get(str(history.metadata.get("time_unit")))
    return history.span * unit if unit is not None and history.span > 0 else None


def of_all(history: Partitions, sizes: list[int], weights: Weights, footprint: Footprint, run: Run) -> MissRatioCurve:
    """LRU's curve, from the distances of every partition."""
    task = partial(hits_of, sizes, weights, footprint.share / history.count)
    hits = np.array(list(run(task, history.paths)))
    accesses = np.array([part.accesses for part in history.parts])
    return MissRatioCurve(
        trace=history.name,
        policy=BASELINE,
        weights=weights,
        capacities=tuple(sizes),
        hit_ratios=tuple((hits.sum(axis=0) / accesses.sum()).tolist()),
        errors=tuple(errors_of(accesses[:, None] - hits, int(accesses.sum()), history.count).tolist()),
        samples=(footprint.share,) * len(sizes),
        accesses=round(len(history) / footprint.share),
        keys=footprint.unique,
        seconds=seconds(history),
    )


def hits_of(sizes: list[int], weights: Weights, share: float, path: Path) -> list[float]:
    """Hits of LRU at each capacity, by one partition that holds a share of the keys."""
    curve = _core.Curve(share=share)
    feed(curve, Trace.read(path), by_size=weights == "size")
    return curve.hits(sizes)[0]


def errors_of(misses: Floats, accesses: int, count: int) -> Floats:
    """Standard error of the mean of the miss ratios that partitions tell by themselves, shape (capacities,)."""
    if count == 1:
        return np.zeros(misses.shape[1])
    each = np.zeros((count, misses.shape[1]))  # partitions without an access miss nothing
    each[: len(misses)] = misses * count / accesses
    return each.std(axis=0, ddof=1) / np.sqrt(count)  # type: ignore[no-any-return]


def sample_for(history: Partitions, least: float, weights: Weights) -> float:
    """The share of the keys that simulations in miniature need: keys enough, and entries at the smallest capacity."""
    entries = least * history.unique / max(history.unique_bytes, 1) if weights == "size" else least
    wanted = max(ENOUGH_KEYS / max(history.unique, 1), LEAST_ENTRIES / max(entries, 1e-9))
    return min(1.0, SEEDS * wanted, MOST_ACCESSES / max(len(history), 1))


def adjusted(ratios: tuple[float, ...], found: int, expected: float) -> tuple[float, ...]:
    """Hit ratios of a sample that holds more or fewer accesses than its share of the keys.

    The difference is in keys that are accessed all the time, and so hit: it is added to the hits (SHARDS-adj).
    """
    return tuple(min(max((ratio * found + expected - found) / expected, 0.0), 1.0) for ratio in ratios)


def sample_of(history: Partitions, share: float, *, seed: int = 0, run: Run = in_turn) -> Trace:
    """The accesses to a share of the keys in order of time, as the log of a sample.

    Raises:
        EmptyTraceError: the sample holds no access.
    """
    parts = [part for part in run(partial(part_of, share, seed), history.paths) if len(part)]
    if not parts:
        raise EmptyTraceError(f"no access in a sample of {share:.2%} of {history.name!r}; take a larger one")
    return merged(parts, history.name, {**history.metadata, "sample": share_of(history) * share})


def part_of(share: float, seed: int, path: Path) -> Trace:
    """What of a partition belongs to a sample."""
    return sampled(Trace.read(path), share, seed)
