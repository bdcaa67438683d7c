"""How time and memory grow with the input: clean, divide, curve and size of generated logs, beside a plain pass.

Every step runs in a process of its own; "peak" is its largest resident size (VmHWM), of which Polars takes some 100 MiB
before it has read anything. The logs are those of five nodes, some of their files delivered twice. "Plain pass" is
Polars' streaming engine counting accesses and bytes of every key over the same files, the least that any study has to
do, and "plain order" the same engine sorting all rows by time, up to 20 million of them, the least that any replay has
to do. Accesses are drawn by popularity ~ rank^-0.8 among one key for twelve accesses.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.harness import Peers, Table, parser, report
from benchmarks.logs import ROWS_PER_FILE, deliver

REUSE = 12  # accesses for each key
EXPONENT = 0.8
MOST_MEMORY = 2 << 30
MOST_TO_SORT = 20_000_000  # rows: sorting more at once would take the memory of the whole machine
GET = 0  # position in the names of operations


def draw(keys: int, chance: np.random.Generator) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
    """Keys and operations of one file."""
    rank = keys * chance.random(ROWS_PER_FILE) ** (1 / (1 - EXPONENT))  # inverse of rank^(1-a)
    return rank.astype(np.uint64) * np.uint64(0x9E37_79B9_7F4A_7C15), np.full(ROWS_PER_FILE, GET, dtype=np.uint8)


def clean(root: Path) -> int:
    """The rows that are left."""
    from forecache.record.clean import clean as merge

    return merge(root / "logs", root / "clean").written


def divide(root: Path) -> int:
    """The partitions."""
    from forecache.record.partitions import partition

    return partition(root / "clean", root / "divided").count


def curve(root: Path) -> list[float]:
    """LRU's hit ratios."""
    from forecache.record.partitions import Partitions
    from forecache.study.partitioned import partitioned_curve

    found = partitioned_curve(Partitions.open(root / "divided"))
    found.save(root / "curve.json")
    return list(found.hit_ratios)


def size(root: Path) -> str:
    """The recommendation."""
    from forecache.curve import MissRatioCurve
    from forecache.study.sizing import optimal_size

    [found] = MissRatioCurve.load(root / "curve.json")
    return str(optimal_size(found, cost_per_miss="2ms", price_per_gib_month=3.5, entry_bytes="1KiB"))


def learned(root: Path) -> list[float]:
    """Hit ratios of the default policy, in miniature."""
    from forecache.record.partitions import Partitions
    from forecache.study.partitioned import partitioned_curve

    return list(partitioned_curve(Partitions.open(root / "divided"), ["1%", "10%"], policy="learned").hit_ratios)


def plain(root: Path, *, in_order: bool) -> int:
    """The rows of a pass of Polars over the logs."""
    import polars as pl

    rows = pl.scan_parquet(sorted((root / "logs").glob("*.parquet")), low_memory=True)
    if in_order:
        target = root / "sorted.parquet"
        rows.sort("time").sink_parquet(target)
        target.unlink()
        return 0
    counted = rows.group_by("key").agg(pl.len(), pl.col("size").sum()).select(pl.col("len").sum())
    return int(counted.collect(engine="streaming").item())


STEPS: dict[str, Callable[[Path], Any]] = {
    "clean": clean,
    "divide": divide,
    "curve (lru)": curve,
    "size": size,
    "curve (learned)": learned,
    "plain pass": partial(plain, in_order=False),
    "plain order": partial(plain, in_order=True),
}
OURS = ("clean", "divide", "curve (lru)", "size")


def measured(name: str, root: Path) -> tuple[float, float, int, Any]:
    """Seconds, processor seconds, peak bytes and result of a step in this process."""
    start, start_processor = perf_counter(), process_time()
    found = STEPS[name](root)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return perf_counter() - start, process_time() - start_processor, peak, found


def lines_of(rows: int, folder: Path) -> list[list[str]]:
    """A line for each step over so many accesses."""
    root = folder / str(rows)
    (root / "logs").mkdir(parents=True)
    delivered = deliver(root / "logs", rows, partial(draw, rows // REUSE))
    lines, sums = [], [0.0, 0.0]
    most = 0
    for name in STEPS:
        if name == "plain order" and rows > MOST_TO_SORT:
            continue
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, processor, peak, found = pool.apply(measured, (name, root))
        print(rows, name, f"{seconds:.1f} s, {peak / 2**20:,.0f} MiB:", found, flush=True)
        if name == "clean" and found != rows:
            raise SystemExit(f"{found:,} of {rows:,} rows are left")
        if name in OURS:
            sums, most = [sums[0] + seconds, sums[1] + processor], max(most, peak)
        lines.append(line(rows, name, seconds, processor, peak))
        if name == OURS[-1]:
            lines.append(line(rows, "clean → curve → size", *sums, most))
    if most > MOST_MEMORY:
        raise SystemExit(f"{most / 2**20:,.0f} MiB; expected at most 2 GiB")
    print(f"{delivered:,} rows were delivered")
    shutil.rmtree(root)
    return lines


def line(rows: int, name: str, seconds: float, processor: float, peak: int) -> list[str]:
    """Of the table."""
    rate = f"{rows / seconds / 1e6:,.2f}" if seconds > 1 else ""
    return [f"{rows:,}", name, f"{seconds:,.1f}", f"{processor:,.1f}", rate, f"{peak / 2**20:,.0f}"]


def main() -> None:
    """Measures and reports."""
    arguments = parser(__doc__)
    arguments.add_argument("--rows", default="5000000,20000000,100000000", help="accesses, with commas")
    options = arguments.parse_args()
    counts = [5_000_000] if options.quick else [int(count) for count in options.rows.split(",")]
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        lines = [each for rows in counts for each in lines_of(rows, Path(name))]
    columns = ["accesses", "step", "seconds", "processor s", "million accesses/s", "peak MiB"]
    notes = (__doc__ or "").split("\n\n", 1)[1].strip()
    report("scale", options, [Table("From logs to a size", columns, lines)], Peers(), notes=notes)


if __name__ == "__main__":
    main()
