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

from benchmarks.harness import Peers, Table, parser, report
from forecache.record.clean import clean
from forecache.record.columnfile import ColumnFile

NODES = 5
ROWS_PER_FILE = 500_000
PER_SECOND = 2_000  # rows of a node
DELIVERED_TWICE = 10  # one file in so many
MOST_MEMORY = 2 << 30


def deliver(root: Path, rows: int) -> None:
    """Writes the logs of all nodes."""
    chance = np.random.default_rng(1)
    about = {"log": 1, "node": "n", "sample": 1.0, "secret": "0"}
    for node in range(NODES):
        for number in range(rows // NODES // ROWS_PER_FILE):
            sequence = np.arange(number * ROWS_PER_FILE, (number + 1) * ROWS_PER_FILE, dtype=np.uint64)
            time = (1_700_000_000_000 + sequence * 1000 // PER_SECOND).astype(np.int64)
            keys = (chance.random(ROWS_PER_FILE) ** 4 * 1e6).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
            columns = {
                "time": time.tobytes(),
                "key": keys.tobytes(),
                "size": np.ones(ROWS_PER_FILE, dtype=np.int64).tobytes(),
                "op": chance.integers(0, 3, ROWS_PER_FILE, dtype=np.uint8).tobytes(),
                "hit": np.packbits(chance.random(ROWS_PER_FILE) < 0.7).tobytes(),  # noqa: PLR2004
                "sequence": sequence.tobytes(),
                "node": np.full(ROWS_PER_FILE, node + 1, dtype=np.uint64).tobytes(),
            }
            span = (int(time[0]), int(time[-1]))
            for copy in range(2 if number % DELIVERED_TWICE == 0 else 1):
                file = ColumnFile(root / f"{node}-{number:05d}-{copy}.parquet")
                file.append(ROWS_PER_FILE, span, columns)
                file.finish({**about, "rows": ROWS_PER_FILE, "span": span})


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
        deliver(logs, rows)
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
