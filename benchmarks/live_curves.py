"""How near the curve of a running cache comes to that of its own log, and what it costs.

Differences are absolute ones in hit ratio, over eight capacities, from 1/32 to 4 times that of the cache. "At the same
time": the whole log is simulated, and hits are counted where the cache counts them; a log whose traffic changes is
another one before and after. "Itself with other keys": two simulations of one log, whose keys hash differently, differ
by so much.
Times are of the processor in one thread; the two caches take turns, and the standard error is that of their difference.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import process_time

import numpy as np

from benchmarks.curves import errors
from benchmarks.harness import Peers, Table, parser, report, stay_on
from forecache import Cache, _core
from forecache.curve import MissRatioCurve
from forecache.record.log import AccessLog
from forecache.record.trace import Trace

ACCESSES = 1_000_000
CAPACITY = 0.05  # of the keys
POLICIES = ("tinylfu", "s3fifo", "arc", "lirs", "learned")
TRACES = ("orm_busy", "twitter_c52")
BLOCK = 50_000  # requests to one cache, then as many to the other
FIRST = 600_000  # accesses, after which a cache of 10,000 entries has kept its first stretch
TURN = 8_400_000  # accesses in which it records one and pauses


def live(options: argparse.Namespace) -> Iterator[Table]:
    """The curve of a running cache and that of its own log."""
    count = 100_000 if options.quick else ACCESSES
    paths = [(options.traces or Path("none")) / f"{name}.parquet" for name in TRACES]
    recorded = [Trace.read(path).head(count) for path in paths if path.is_file()]
    subjects = [*itertools.product((zipf(50_000, count), *recorded), POLICIES), (zipf(500_000, 2 * count), POLICIES[0])]
    lines = []
    for trace, policy in subjects:
        cache, own_log = served(trace, policy)
        for name in (policy, "lru", "min") if policy == POLICIES[0] else (policy,):
            curve = cache.curve(name)
            truth, same = truths(own_log, curve, counted(cache, len(own_log)))
            figures = [*errors(curve.hit_ratios, truth), *errors(curve.hit_ratios, same)]
            other = errors(truth, truths(renamed(own_log), curve, (0, 1))[0])[0] if name == POLICIES[0] else None
            lines.append(
                [
                    f"{trace.name}, {name}",
                    f"{curve.accesses / len(trace):.0%} of {len(trace):,}",
                    f"{curve.samples[0]:.1%}",
                    *(f"{figure:.4f}" for figure in figures),
                    "" if other is None else f"{other:.4f}",
                ]
            )
    columns = ["log, policy", "accesses that count", "keys looked at", "mean", "largest"]
    columns += ["at the same time: mean", "largest", "itself with other keys: mean"]
    yield Table("A live cache's curve against that of its complete log", columns, lines)


def served(trace: Trace, policy: str) -> tuple[Cache[int, int], Trace]:
    """A cache for a twentieth of the keys after all accesses, and its log."""
    with tempfile.TemporaryDirectory() as directory:
        with Cache[int, int](
            capacity=int(trace.unique * CAPACITY), policy=policy, record=AccessLog(directory)
        ) as cache:
            for key in trace.key.tolist():
                cache.get_or_load(key, int)
        return cache, Trace.read(directory)


def counted(cache: Cache[int, int], accesses: int) -> tuple[int, int]:
    """Positions in the log between which the cache counts."""
    found = cache._window(0) or {}
    end = accesses - int(found["age"])
    return end - int(found["accesses"]), end


def zipf(keys: int, count: int) -> Trace:
    """Independent references to so many keys."""
    p = np.arange(1, keys + 1) ** -0.9
    drawn = np.random.default_rng(1).choice(keys, count, p=p / p.sum())
    return Trace.from_columns(drawn, name=f"Zipf 0.9, {keys:,} keys")


def renamed(trace: Trace) -> Trace:
    """The same accesses to keys of other names, which hash otherwise."""
    return Trace.from_columns(
        np.asarray(trace.key).astype(np.uint64) * np.uint64(0x9E37_79B9_7F4A_7C15), name=trace.name
    )


def truths(trace: Trace, curve: MissRatioCurve, between: tuple[int, int]) -> tuple[list[float], list[float]]:
    """Hit ratios of a simulation of the whole trace, of all of it and between two positions."""
    whole, part = [], []
    for capacity in curve.capacities:
        running = _core.Simulation(trace.accesses(), curve.policy, capacity, weights="unit")
        start, end = between
        before, after, last = running.run(start), running.run(end - start), running.run(len(trace) - end)
        whole.append(last[1] / last[0])
        part.append((after[1] - before[1]) / (after[0] - before[0]))
    return whole, part


def hits(cache: Cache[int, int], keys: list[int]) -> float:
    """Processor seconds of lookups that hit."""
    get = cache.get
    start = process_time()
    for key in keys:
        get(key)
    return process_time() - start


def requests(cache: Cache[int, int], keys: list[int]) -> float:
    """Processor seconds of lookups, of which a third is loaded."""
    get = cache.get_or_load
    start = process_time()
    for key in keys:
        get(key, int)
    return process_time() - start


def cost(options: argparse.Namespace) -> Iterator[Table]:
    """What keeping a stretch of accesses adds to a request, over whole turns of recording and pausing.

    The two caches serve the same short blocks of requests by turns, so that what else the machine does meets both.
    """
    stay_on(options.core)
    chance, lines = np.random.default_rng(1), []
    p = np.arange(1, 50_001) ** -0.9
    mixed = chance.choice(50_000, BLOCK, p=p / p.sum()).tolist()
    stored = [*chance.integers(0, 10_000, BLOCK - 1).tolist(), -1]  # a pause ends with a miss
    for name, run, keys, turns in (("hits", hits, stored, 5), ("a third is loaded", requests, mixed, 1)):
        without, watched = (Cache[int, int](capacity=10_000, policy="lru", curve_bytes=size) for size in (0, 2**20))
        for cache in (without, watched):
            cache.update({key: key for key in range(10_000)})
            requests(cache, mixed * (1 if options.quick else 1 + FIRST // BLOCK))  # the first stretch, which is longer
        blocks = 20 if options.quick else turns * TURN // BLOCK
        pairs = []
        for number in range(blocks):
            order = (without, watched) if number % 2 else (watched, without)
            seconds = {id(cache): run(cache, keys) for cache in order}
            pairs.append((seconds[id(without)], seconds[id(watched)]))
        times = np.array(pairs) / BLOCK * 1e9
        (low, high), differences = times.mean(axis=0), times[:, 1] - times[:, 0]
        doubt = differences.std(ddof=1) / np.sqrt(blocks)
        lines.append(
            [
                name,
                f"{blocks * BLOCK:,}",
                f"{low:.1f}",
                f"{high:.1f}",
                f"{(high - low) / low:+.1%}",
                f"{doubt / low:.1%}",
                f"{window_bytes(watched) / 1024:,.0f}",
            ]
        )
    columns = ["requests", "how many", "ns without", "ns with", "more", "standard error", "KiB kept"]
    yield Table("What a live curve costs, at its default of 1 MiB", columns, lines)


def window_bytes(cache: Cache[int, int]) -> int:
    """Bytes of the rows that a cache keeps."""
    found = cache._window(0) or {}
    return sum(len(found[name]) for name in ("rows", "weights"))


def main() -> None:
    """Measures and reports."""
    arguments = parser(__doc__)
    options = arguments.parse_args()
    tables = [*cost(options), *live(options)]
    report("live_curves", options, tables, Peers(), notes=(__doc__ or "").split("\n\n", 1)[1].strip())


if __name__ == "__main__":
    main()
