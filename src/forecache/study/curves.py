"""Curves from traces: LRU from reuse distances, any policy by simulating it in miniature on a spatial sample.

A sample holds some keys with their complete history. A cache for a share of the keys with the same share of the
capacity hits as often as the whole, but for chance: that is what errors tell.
Waldspurger et al., "Efficient MRC Construction with SHARDS", FAST 2015, and "Cache Modeling and Optimization using
Miniature Simulations", USENIX ATC 2017.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from forecache import _core
from forecache.curve import MissRatioCurve
from forecache.errors import ConfigurationError, EmptyTraceError
from forecache.extras import TRACES, extra
from forecache.record.trace import Trace
from forecache.study.miniature import Asked, Found, in_miniature
from forecache.study.simulate import BASELINE, BOUND, Progress, check_policies
from forecache.units import Capacity, Weights

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = [
    "CURVE_POLICIES",
    "best_classical",
    "default_capacities",
    "default_sample",
    "miss_ratio_curve",
    "miss_ratio_curves",
]

Floats = npt.NDArray[np.float64]
Keys = npt.NDArray[np.uint64]

LEARNS: Final = "learned"
CURVE_POLICIES: Final = (BASELINE, "tinylfu", LEARNS, BOUND)
ENOUGH_KEYS: Final = 8_192  # in a sample by default; SHARDS has a mean error of 0.3 to 2 points with them
SEEDS: Final = 3  # samples of a miniature simulation, which tell its error
STEPS: Final = 13  # capacities by default, four to each factor of ten
SMALLEST_SHARE: Final = 0.001  # of the keys, the smallest capacity by default
BLOCK: Final = 32_768  # accesses given to the core at once: 256 KiB of keys
LOOKS: Final = 1 << 17  # accesses that tell which keys are popular
RUN: Final = 8  # of them in a row: memory is read in lines and pages
TIME_UNITS: Final = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}  # of the metadata `time_unit`


class Footprint(NamedTuple):
    """What the trace of all keys holds, if this one is a sample."""

    unique: int
    unique_bytes: int
    has_sizes: bool
    share: float  # of all keys that are in this trace

    @classmethod
    def of(cls, trace: Trace) -> Footprint:
        """As the metadata say; a log says which share of the keys it recorded."""
        share = float(trace.metadata.get("sample", 1.0))
        return cls(round(trace.unique / share), round(trace.unique_bytes / share), trace.has_sizes, share)


def default_capacities(footprint: Footprint, weights: Weights = "unit") -> list[int]:
    """Capacities evenly spaced in the logarithm, from a thousandth of the keys, or of their bytes, to all of them."""
    whole = footprint.unique if weights == "unit" else footprint.unique_bytes
    return sorted({max(1, round(share * whole)) for share in np.geomspace(SMALLEST_SHARE, 1, STEPS)})


def default_sample(trace: Trace) -> float:
    """The share of the keys that makes enough of them."""
    return min(1.0, ENOUGH_KEYS / max(trace.unique, 1))


def miss_ratio_curve(
    trace: Trace,
    capacities: Iterable[Capacity | str | int] | None = None,
    *,
    policy: str = BASELINE,
    sample: float = 1.0,
    most_keys: int | None = None,
    weights: Weights = "unit",
    seeds: int = SEEDS,
    seed: int = 0,
    jobs: int | None = None,
    on_progress: Progress | None = None,
) -> MissRatioCurve:
    """Miss ratio of a policy at each capacity.

    LRU is calculated from reuse distances, in one pass for all capacities; other policies are simulated. With sizes,
    LRU is exact where no entry is larger than the capacity and no key changes its size.

    Args:
        trace: accesses in order; each counts, and inserts on a miss. If it is a log of a sample of the keys, the
            capacities are those of a cache for all of them.
        capacities: as `Capacity.parse` takes them; by default four to each factor of ten.
        policy: one of `known_policies()`.
        sample: share of the keys, in (0, 1]; 1 is exact. LRU's sample takes more of those that are popular, a
            simulation in miniature more where the capacity is so small that fewer than 64 entries would be left.
        most_keys: of LRU's sample: the share falls until it has no more keys, so that memory is bounded.
        weights: whether an entry weighs 1 or its size in bytes.
        seeds: samples of a simulation; the curve is their mean, the error tells how much they differ.
        seed: of the first sample, and of every other random choice.
        jobs: simulations at once; by default as many as there are cores.
        on_progress: called with cells done and of how many, from the calling thread.

    Returns:
        The curve, with one entry for each distinct capacity.

    Raises:
        EmptyTraceError: the trace has no access.
        UnknownPolicyError: no policy has that name.
        CapacityError: a capacity cannot be used with this trace or these weights.
        ConfigurationError: sample, most_keys or seeds is out of range.
    """
    check_policies([policy])
    if len(trace) == 0:
        raise EmptyTraceError(f"trace {trace.name!r} has no access; expected at least one")
    check_sample(sample, most_keys, seeds)
    footprint = Footprint.of(trace)
    sizes = (
        default_capacities(footprint, weights)
        if capacities is None
        else sorted({Capacity.parse(str(size)).resolve(footprint, weights=weights) for size in capacities})
    )
    asked = Asked(trace, sizes, weights, footprint.share, sample, seed)
    found = lru(asked, most_keys) if policy == BASELINE else in_miniature(asked, policy, seeds, jobs, on_progress)
    return MissRatioCurve(
        trace=trace.name,
        policy=policy,
        weights=weights,
        capacities=tuple(sizes),
        hit_ratios=tuple(found.hit_ratios),
        errors=tuple(found.errors),
        samples=tuple(found.samples),
        accesses=round(len(trace) / footprint.share),
        keys=footprint.unique,
        seconds=seconds_of(trace),
    )


def miss_ratio_curves(
    trace: Trace, policies: Iterable[str], capacities: Iterable[Capacity | str | int] | None = None, **settings: object
) -> list[MissRatioCurve]:
    """The curve of each policy, with the settings of `miss_ratio_curve`, whose errors it raises."""
    wanted = None if capacities is None else list(capacities)
    return [miss_ratio_curve(trace, wanted, policy=name, **settings) for name in check_policies(policies)]  # type: ignore[arg-type]


def best_classical(trace: Trace, *, weights: Weights = "unit", sample: float = 1.0, seed: int = 0) -> str:
    """The policy that neither learns nor is LRU and hits most on a sample, with room for a hundredth of the keys.

    Raises:
        EmptyTraceError: the trace has no access.
    """
    names = [name for name in _core.POLICIES if name not in {BASELINE, LEARNS}]
    curves = miss_ratio_curves(trace, names, ["1%"], sample=sample, weights=weights, seeds=1, seed=seed)
    return max(curves, key=lambda curve: curve.hit_ratios[0]).policy


def check_sample(sample: float, most_keys: int | None, seeds: int) -> None:
    """Raises ConfigurationError where no sample can be drawn."""
    if not 0 < sample <= 1:
        raise ConfigurationError(f"sample is {sample}; expected a share of the keys in (0, 1], such as 0.01")
    if most_keys is not None and most_keys < 1:
        raise ConfigurationError(f"most_keys is {most_keys}; expected at least 1, such as 8192")
    if seeds < 1:
        raise ConfigurationError(f"seeds is {seeds}; expected at least 1, and 2 for an estimate of the error")


def seconds_of(trace: Trace) -> float | None:
    """Seconds from the first access to the last, if the metadata tell the unit of the times."""
    unit = TIME_UNITS.get(str(trace.metadata.get("time_unit")))
    span = trace.stats().span
    return span * unit if unit is not None and span > 0 else None


def lru(asked: Asked, most_keys: int | None) -> Found:
    """LRU's curve from reuse distances, exact or of a sample of fixed rate or fixed size."""
    trace = asked.trace
    curve = _core.Curve(rate=asked.sample, most=most_keys, share=asked.share, seed=asked.seed)
    if asked.sample < 1 or most_keys is not None:
        curve.survey(some_of(trace.key, asked.seed).data, len(trace))
    feed(curve, trace, by_size=asked.weights == "size")
    return told(curve, asked.capacities, curve.rate * asked.share)


def some_of(keys: Keys, seed: int) -> Keys:
    """Runs of a column, evenly spread, each at a place of its own: enough to know which keys are popular."""
    if keys.size < 2 * LOOKS:
        return np.ascontiguousarray(keys)
    runs = LOOKS // RUN
    starts = (np.arange(runs) + np.random.default_rng(seed).random(runs)) * ((keys.size - RUN) / runs)
    return keys[starts.astype(np.int64)[:, None] + np.arange(RUN)].ravel()  # type: ignore[no-any-return]


def feed(curve: _core.Curve, trace: Trace, *, by_size: bool) -> None:
    """Gives all accesses, in blocks that stay in the processor's cache."""
    keys, sizes = np.ascontiguousarray(trace.key), np.ascontiguousarray(trace.size).view(np.uint64)
    for start in range(0, len(trace), BLOCK):
        stop = start + BLOCK
        curve.feed(keys[start:stop].data, sizes[start:stop].data if by_size else None)


def told(curve: _core.Curve, capacities: Sequence[int], sample: float) -> Found:
    """The columns of a curve of the core."""
    hits, errors = (np.array(column) / curve.accesses for column in curve.hits(list(capacities)))
    return Found(hits.tolist(), errors.tolist(), [sample] * hits.size)
