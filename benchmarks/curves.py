"""How near curves come to the truth, and what they cost: SHARDS, miniature simulation, and equations.

Times are of the processor in one thread, since the machine has other work; ratios are of times from one run. Errors are
absolute differences in hit ratio, over the 13 default capacities (0.1 % to 100 % of the keys) unless said otherwise.
Traces are those that `--traces` names; "generated" ones are `forecache workload`, seed 1.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from time import process_time

import numpy as np

from benchmarks.harness import Peers, Table, parser, report
from forecache.curve import MissRatioCurve
from forecache.record.trace import Trace
from forecache.study.curves import miss_ratio_curve
from forecache.study.models.characteristic import hit_ratio
from forecache.study.models.replacement import lru
from forecache.study.simulate import simulate
from forecache.study.workloads import generate

LARGE = ("orm_busy", "arc_p3", "cloudphysics_w106", "scarab_recs", "twitter_c52")
GENERATED = (("shop", 5_000_000),)
FEWEST_SAMPLED = 8_000  # keys in a sample, for its figure to count
ENOUGH_SAMPLED = 8_192
SEEDS = 8
SHARDS_RATE = 0.01
MINIATURE = 0.1


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
        _, fast = timed(trace, sample=SHARDS_RATE)
        rates = (SHARDS_RATE, min(1.0, ENOUGH_SAMPLED / trace.unique))
        keys = int(trace.unique * SHARDS_RATE)
        lines.append(
            [
                trace.name,
                f"{len(trace):,}",
                f"{trace.unique:,}",
                f"{len(trace) / slow / 1e6:.2f}",
                f"{keys:,}{'' if keys >= FEWEST_SAMPLED else ' *'}",
                f"{slow / fast:.0f}",
                *(figure for rate in rates for figure in over_seeds(trace, exact, rate)),
                "-" if library is None else f"{peer_error(library, trace, exact, options):.5f}",
            ]
        )
    of_sample = ["mean error", "worst seed", "told", "within two of that"]
    yield Table(
        f"LRU: exact, and samples of {SHARDS_RATE:.0%} (* has fewer than {FEWEST_SAMPLED:,} keys), {SEEDS} seeds",
        [
            "trace",
            "accesses",
            "keys",
            "exact, million/s",
            "sampled keys",
            "times faster",
            *of_sample,
            *(f"{ENOUGH_SAMPLED:,} keys: {name}" for name in of_sample),
            "exact against libCacheSim, largest",
        ],
        lines,
    )


def over_seeds(trace: Trace, exact: MissRatioCurve, rate: float) -> list[str]:
    """Of samples: mean error, that of the worst, the error told, and the share of capacities where two of it hold."""
    means, told, held = [], [], []
    for seed in range(SEEDS):
        some = miss_ratio_curve(trace, sample=rate, seed=seed)
        differences = np.abs(np.subtract(some.hit_ratios, exact.hit_ratios))
        means.append(differences.mean())
        told.append(np.mean(some.errors))
        held.append((differences <= 2 * np.array(some.errors)).mean())
    return [f"{np.mean(means):.4f}", f"{np.max(means):.4f}", f"{np.mean(told):.4f}", f"{np.mean(held):.0%}"]


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


def main() -> None:
    """Measures and reports."""
    arguments, peers = parser(__doc__), Peers()
    parts = {
        "shards": lambda: shards(options, peers),
        "miniature": lambda: miniature(options),
        "equations": lambda: equations(options),
    }
    arguments.add_argument("--parts", default=",".join(parts), help="some of the tables, with commas")
    options = arguments.parse_args()
    tables = [table for part in options.parts.split(",") for table in parts[part]()]
    report("curves", options, tables, peers, notes=(__doc__ or "").split("\n\n", 1)[1].strip())


if __name__ == "__main__":
    main()
