"""How near curves come to the truth, and what they cost: SHARDS, miniature simulation, equations, and live caches.

Times are of the processor in one thread, since the machine has other work; ratios are of times from one run. Errors are
absolute differences in hit ratio, over the 13 default capacities (0.1 % to 100 % of the keys) unless said otherwise.
Traces are those that `--traces` names; "generated" ones are `forecache workload`, seed 1.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from time import process_time

import numpy as np

from benchmarks.harness import Peers, Table, alternate, own, parser, report
from forecache import Cache
from forecache.curve import MissRatioCurve
from forecache.record.log import AccessLog
from forecache.record.trace import Trace
from forecache.study.curves import miss_ratio_curve
from forecache.study.models.characteristic import hit_ratio
from forecache.study.models.replacement import lru
from forecache.study.simulate import simulate
from forecache.study.workloads import generate

LARGE = ("orm_busy", "arc_p3", "cloudphysics_w106", "scarab_recs", "twitter_c52")
GENERATED = (("shop", 5_000_000),)
FEWEST_SAMPLED = 8_000  # keys in a sample, for its figure to count
SHARDS_RATE = 0.01
MINIATURE = 0.1
LIVE_ACCESSES = 1_000_000
LIVE_CAPACITY = 0.05  # of the keys
LOOKUPS = 200_000


def traces(options: argparse.Namespace) -> Iterator[Trace]:
    """The large recorded traces, and generated ones with enough keys."""
    for name in LARGE:
        path = (options.traces or Path("none")) / f"{name}.parquet"
        if path.is_file():
            trace = Trace.read(path)
            yield trace.head(200_000) if options.quick else trace
    for name, requests in GENERATED:
        yield generate(name, 100_000 if options.quick else requests, seed=1).trace


def timed(trace: Trace, **settings: object) -> tuple[MissRatioCurve, float]:
    """LRU's curve, and the best processor seconds of two runs."""
    best, found = float("inf"), None
    for _ in range(2):
        start = process_time()
        found = miss_ratio_curve(trace, **settings)  # type: ignore[arg-type]
        best = min(best, process_time() - start)
    assert found is not None  # noqa: S101 - tells the type checker
    return found, best


def errors(found: Iterable[float], truth: Iterable[float]) -> tuple[float, float]:
    """Mean and largest absolute difference."""
    differences = np.abs(np.array(list(found)) - np.array(list(truth)))
    return float(differences.mean()), float(differences.max())


def shards(options: argparse.Namespace, peers: Peers) -> Iterator[Table]:
    """Exact and sampled curves of LRU, beside libCacheSim's."""
    library = peers.find("libcachesim")
    lines = []
    for trace in traces(options):
        trace.stats()  # what it holds is counted once and not part of either time
        exact, slow = timed(trace)
        some, fast = timed(trace, sample=SHARDS_RATE)
        rate = min(1.0, 8_192 / trace.unique)
        enough = miss_ratio_curve(trace, sample=rate)
        keys = int(trace.unique * SHARDS_RATE)
        mean, most = errors(some.hit_ratios, exact.hit_ratios)
        lines.append(
            [
                trace.name,
                f"{len(trace):,}",
                f"{trace.unique:,}",
                f"{len(trace) / slow / 1e6:.2f}",
                f"{keys:,}{'' if keys >= FEWEST_SAMPLED else ' *'}",
                f"{mean:.4f}",
                f"{most:.4f}",
                f"{slow / fast:.0f}",
                f"{errors(enough.hit_ratios, exact.hit_ratios)[0]:.4f}",
                "-" if library is None else f"{peer_error(library, trace, exact, options):.5f}",
            ]
        )
    yield Table(
        f"LRU: exact, and SHARDS at {SHARDS_RATE:.0%} (* has fewer than {FEWEST_SAMPLED:,} keys in the sample)",
        [
            "trace",
            "accesses",
            "keys",
            "exact, million/s",
            "sampled keys",
            "mean error",
            "largest",
            "times faster",
            "mean error of 8,192 keys",
            "exact against libCacheSim, largest",
        ],
        lines,
    )


def peer_error(library: object, trace: Trace, exact: MissRatioCurve, options: argparse.Namespace) -> float:
    """The largest difference of the exact curve to libCacheSim's simulations of LRU at three of the capacities."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "trace.oracleGeneral")
        trace.write(path)
        settings = library.ReaderInitParam(ignore_obj_size=True)  # type: ignore[attr-defined]
        reader = library.TraceReader(str(path), library.TraceType.ORACLE_GENERAL_TRACE, settings)  # type: ignore[attr-defined]
        capacities = exact.capacities[1::4]
        found = [1 - library.LRU(capacity).process_trace(reader)[0] for capacity in capacities]  # type: ignore[attr-defined]
    return errors(found, map(exact.hit_ratio, capacities))[1]


def miniature(options: argparse.Namespace) -> Iterator[Table]:
    """The learned policy on samples of the keys, and in full."""
    lines = []
    for trace in traces(options):
        if trace.name in dict(GENERATED):
            continue
        for capacity in ("1%", "10%"):
            full = miss_ratio_curve(trace, [capacity], policy="learned", jobs=1)
            small = miss_ratio_curve(trace, [capacity], policy="learned", sample=MINIATURE, jobs=1)
            difference = small.hit_ratios[0] - full.hit_ratios[0]
            lines.append(
                [
                    f"{trace.name}, {capacity}",
                    f"{full.hit_ratios[0]:.4f}",
                    f"{small.hit_ratios[0]:.4f}",
                    f"{difference:+.4f}",
                    f"{small.errors[0]:.4f}",
                ]
            )
    columns = ["trace, capacity", "in full", "in miniature", "difference", "standard error told"]
    yield Table(f"`learned` in miniature, at {MINIATURE:.0%}", columns, lines)


def equations(options: argparse.Namespace) -> Iterator[Table]:
    """Che's approximation and the simulator, under independent references."""
    lines, keys = [], 5_000
    for exponent in (0.6, 0.8, 1.0):
        p = np.arange(1, keys + 1) ** -exponent
        drawn = np.random.default_rng(1).choice(keys, 200_000 if options.quick else 2_000_000, p=p / p.sum())
        trace, capacities = Trace.from_columns(drawn), [10, 50, 250, 1_000, 2_500]
        found = [row.hit_ratio or 0.0 for row in simulate(trace, ["lru"], capacities)]
        mean, most = errors([hit_ratio(p, lru(p, capacity)) for capacity in capacities], found)
        lines.append([f"Zipf {exponent}", f"{keys:,}", f"{mean:.4f}", f"{most:.4f}"])
    yield Table(
        "Che's approximation against the simulator, 10 to 2,500 entries",
        ["popularity", "keys", "mean", "largest"],
        lines,
    )


def live(options: argparse.Namespace) -> Iterator[Table]:
    """The curve of a running cache and that of its own log."""
    count = 100_000 if options.quick else LIVE_ACCESSES
    p = np.arange(1, 50_001) ** -0.9
    steady = Trace.from_columns(
        np.random.default_rng(1).choice(50_000, count, p=p / p.sum()), name="Zipf 0.9, 50,000 keys"
    )
    wanted = [steady, *(trace.head(count) for trace in traces(options) if trace.name in {"orm_busy", "twitter_c52"})]
    lines = []
    for trace in wanted:
        capacity = int(trace.unique * LIVE_CAPACITY)
        with tempfile.TemporaryDirectory() as directory:
            log = AccessLog(directory)
            with Cache[int, int](capacity=capacity, policy="tinylfu", record=log) as cache:
                for key in trace.key.tolist():
                    cache.get_or_load(key, int)
                told = {name: cache.curve(name) for name in ("lru", "tinylfu", "min")}
            own_log = Trace.read(directory)
        for name, curve in told.items():
            truth = miss_ratio_curve(own_log, list(curve.capacities), policy=name)
            mean, most = errors(curve.hit_ratios, truth.hit_ratios)
            share = f"{curve.accesses / len(trace):.0%} of {len(trace):,}"
            lines.append([f"{trace.name}, {name}", share, f"{mean:.4f}", f"{most:.4f}"])
    columns = ["log, policy", "accesses that the curve is of", "mean difference", "largest"]
    yield Table("A live cache's curve, 1/32 to 4 times its size, against that of its complete log", columns, lines)


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
    """What keeping a stretch of accesses adds to a request, and the memory it takes."""
    chance, lines = np.random.default_rng(1), []
    p = np.arange(1, 50_001) ** -0.9
    mixed = chance.choice(50_000, LOOKUPS, p=p / p.sum()).tolist()
    stored = chance.integers(0, 10_000, LOOKUPS).tolist()
    for name, run, keys in (("hits", hits, stored), ("a third is loaded", requests, mixed)):
        caches = {size: Cache[int, int](capacity=10_000, policy="lru", curve_bytes=size) for size in (0, 2**20)}
        for cache in caches.values():
            cache.update({key: key for key in range(10_000)})
            requests(cache, mixed * (1 if options.quick else 10))  # windows have been full, and pauses begun
        runs = {str(size): partial(own(run), cache, keys) for size, cache in caches.items()}
        best = alternate(runs, 3 if options.quick else 15)
        without, with_curve = (best[str(size)] / LOOKUPS * 1e9 for size in caches)
        held = window_bytes(caches[2**20])
        lines.append(
            [name, f"{without:.1f}", f"{with_curve:.1f}", f"{with_curve / without - 1:+.1%}", f"{held / 1024:,.0f}"]
        )
    columns = ["requests", "ns without", "ns with", "more", "KiB kept"]
    yield Table("What a live curve costs, at its default of 1 MiB", columns, lines)


def window_bytes(cache: Cache[int, int]) -> int:
    """Bytes of the rows that a cache may keep: those of its last stretch, and as many of the next."""
    found = cache._window(0) or {}
    return 2 * sum(len(found[name]) for name in ("ids", "weights", "ticks"))


def main() -> None:
    """Measures and reports."""
    arguments, peers = parser(__doc__), Peers()
    parts = {
        "shards": lambda: shards(options, peers),
        "miniature": lambda: miniature(options),
        "equations": lambda: equations(options),
        "live": lambda: live(options),
        "cost": lambda: cost(options),
    }
    arguments.add_argument("--parts", default=",".join(parts), help="some of the tables, with commas")
    options = arguments.parse_args()
    tables = [table for part in options.parts.split(",") for table in parts[part]()]
    report("curves", options, tables, peers, notes=(__doc__ or "").split("\n\n", 1)[1].strip())


if __name__ == "__main__":
    main()
