"""What cleaning costs: seconds and memory for logs that are larger than it may hold.

Each of five nodes delivers its rows, some of them twice, in files that overlap in time; a process of its own cleans
them.
"Peak" is its largest resident size (VmHWM), of which importing Polars and its threads take some 100 MiB.
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.harness import Peers, Table, parser, report
from benchmarks.logs import ROWS_PER_FILE, deliver
from forecache.record.clean import clean

MOST_MEMORY = 2 << 30


def draw(chance: np.random.Generator) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
    """Keys and operations of one file."""
    keys = (chance.random(ROWS_PER_FILE) ** 4 * 1e6).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    return keys, chance.integers(0, 3, ROWS_PER_FILE, dtype=np.uint8)


def cleaned(root: Path, output: Path) -> tuple[float, float, int, dict[str, Any]]:
    """Seconds, processor seconds, peak bytes and report of cleaning in this process."""
    start, start_processor = perf_counter(), process_time()
    found = clean(root, output)
    return (
        perf_counter() - start,
        process_time() - start_processor,
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        found.to_dict(),
    )


def main() -> None:
    """Measures and reports."""
    arguments = parser(__doc__)
    arguments.add_argument("--rows", type=int, default=50_000_000, help="rows to clean, without those delivered twice")
    options = arguments.parse_args()
    rows = 5_000_000 if options.quick else options.rows
    with tempfile.TemporaryDirectory() as name:
        logs, output = Path(name) / "logs", Path(name) / "clean"
        logs.mkdir()
        deliver(logs, rows, draw)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, processor, peak, found = pool.apply(cleaned, (logs, output))
        size = sum(path.stat().st_size for path in logs.iterdir())
    if found["written"] != rows or peak > MOST_MEMORY:
        raise SystemExit(f"{found['written']:,} of {rows:,} rows, {peak / 2**20:,.0f} MiB: {json.dumps(found)}")
    line = [
        f"{found['rows']:,}",
        f"{found['duplicates']:,}",
        f"{size / 2**20:,.0f}",
        f"{seconds:.0f}",
        f"{processor:.0f}",
        f"{peak / 2**20:,.0f}",
    ]
    columns = ["rows read", "of them twice", "MiB on disk", "seconds", "processor s", "peak MiB"]
    report(
        "cleaning",
        options,
        [Table("Cleaning", columns, [line])],
        Peers(),
        notes=(__doc__ or "").split("\n\n", 1)[1].strip(),
    )


if __name__ == "__main__":
    main()
