"""Requests per second of the simulator, against libCacheSim, with the same policies on the same traces.

Entries weigh 1, capacities are shares of a trace's distinct keys, one core, loading not counted. libCacheSim gets a
hash table fitted to the capacity, with which it is 2 to 6 times faster than with its default of 2^24 buckets. Ratios
above 1 say that forecache is faster. libCacheSim is installed by this benchmark only, never by forecache.
"""

from __future__ import annotations

import functools
import math
import statistics
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from types import ModuleType
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.harness import Peers, Table, alternate, parser, report, stay_on
from forecache import _core

POLICIES = {"lru": "LRU", "s3fifo": "S3FIFO", "sieve": "Sieve", "arc": "ARC"}  # ours to theirs
SHARES = (0.001, 0.01, 0.1)
FEWEST_ENTRIES = 50  # with fewer, libCacheSim's S3-FIFO may have no small queue, and stores nothing
ROUNDS = 3
RECORD = np.dtype([("time", "<u4"), ("key", "<u8"), ("size", "<u4"), ("next", "<i8")])  # their binary format

Keys = npt.NDArray[np.uint64]


def generated() -> Iterator[tuple[str, Keys]]:
    """Workloads that need no download."""
    random = np.random.default_rng(1)
    for skew in (0.7, 1.0):
        weights = 1 / np.arange(1, 200_001) ** skew
        yield f"zipf {skew}", random.choice(200_000, size=1_000_000, p=weights / weights.sum()).astype(np.uint64)


def recorded(directory: Path) -> Iterator[tuple[str, Keys]]:
    """The traces of a directory."""
    from forecache.record.trace import Trace

    for path in sorted(directory.glob("*.parquet")):
        yield path.stem, np.ascontiguousarray(Trace.read(path).key)


def ours(accesses: _core.Accesses, policy: str, capacity: int, hits: dict[str, float]) -> float:
    """Seconds that forecache takes; its hit ratio goes to `hits`."""
    simulation = _core.Simulation(accesses, policy, capacity)
    start = perf_counter()
    total, hit, *_ = simulation.run(len(accesses))
    seconds = perf_counter() - start
    hits["ours"] = hit / total
    return seconds


def theirs(library: Any, path: Path, make: Callable[[], Any], hits: dict[str, float]) -> float:
    """Seconds that libCacheSim takes; its hit ratio goes to `hits`."""
    settings = library.ReaderInitParam(ignore_obj_size=True)
    reader = library.TraceReader(str(path), library.TraceType.ORACLE_GENERAL_TRACE, settings)
    cache = make()
    start = perf_counter()
    miss_ratio, _ = cache.process_trace(reader)
    seconds = perf_counter() - start
    hits["theirs"] = 1 - miss_ratio
    return seconds


def compare(library: ModuleType, name: str, keys: Keys, rounds: int) -> Iterator[list[Any]]:
    """One row for each policy and capacity: requests per second of both in millions, ratio, hit ratios."""
    accesses = _core.Accesses(keys)
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "trace.bin"
        written = np.zeros(len(keys), RECORD)
        written["key"], written["size"], written["next"] = keys, 1, -1
        written.tofile(path)
        for share in SHARES:
            capacity = max(FEWEST_ENTRIES, int(accesses.unique * share))
            fitted = max(10, math.ceil(math.log2(capacity)) + 1)
            for policy, other in POLICIES.items():
                hits: dict[str, float] = {}
                make = functools.partial(getattr(library, other), capacity, hashpower=fitted)
                runs = {
                    "ours": functools.partial(ours, accesses, policy, capacity, hits),
                    "theirs": functools.partial(theirs, library, path, make, hits),
                }
                times = alternate(runs, rounds)
                speeds = [len(keys) / seconds / 1e6 for seconds in times.values()]
                yield [name, policy, capacity, *speeds, speeds[0] / speeds[1], hits["ours"], hits["theirs"]]


def main() -> None:
    """Measures and reports."""
    options = parser(__doc__).parse_args()
    stay_on(options.core)
    peers = Peers()
    rows: list[list[Any]] = []
    if library := peers.find("libcachesim"):
        for name, keys in [*generated(), *(recorded(options.traces) if options.traces else [])]:
            rows += compare(library, name, keys[:50_000] if options.quick else keys, 1 if options.quick else ROUNDS)
    tables = [summary(rows), details(rows)] if rows else []
    report("simulator", options, tables, peers, notes=(__doc__ or "").split("\n\n", 1)[1].strip())


def summary(rows: list[list[Any]]) -> Table:
    """The ratios of each policy."""
    ratios = {policy: [row[5] for row in rows if row[1] == policy] for policy in POLICIES}
    lines = [
        [policy, len(found), f"{statistics.geometric_mean(found):.2f}", f"{min(found):.2f}", sum(r < 1 for r in found)]
        for policy, found in ratios.items()
    ]
    return Table("Ratio of speeds by policy", ["", "cells", "geometric mean", "least", "cells below 1"], lines)


def details(rows: list[list[Any]]) -> Table:
    """Every cell."""
    columns = ["trace", "policy", "entries", "M requests/s", "libCacheSim", "ratio", "hit ratio", "theirs"]
    formats = ("{}", "{}", "{:,}", "{:.1f}", "{:.1f}", "{:.2f}", "{:.4f}", "{:.4f}")
    lines = [[form.format(value) for form, value in zip(formats, row, strict=True)] for row in rows]
    return Table("All cells", columns, lines)


if __name__ == "__main__":
    main()
