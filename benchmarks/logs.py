"""Generated access logs of several nodes, as `clean` gets them: files that overlap in time, some delivered twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from forecache.record.columnfile import ColumnFile
from forecache.record.log import VERSION

NODES = 5
ROWS_PER_FILE = 500_000
PER_SECOND = 2_000  # rows of a node
DELIVERED_TWICE = 10  # one file in so many

Draw = Callable[[np.random.Generator], tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]]  # keys and operations


def deliver(root: Path, rows: int, draw: Draw) -> int:
    """Writes the logs of all nodes; returns their rows, those delivered twice included."""
    chance = np.random.default_rng(1)
    about = {"log": VERSION, "node": "n", "sample": 1.0, "secret": "0", "time_unit": "ms"}
    written = 0
    for node in range(NODES):
        for number in range(rows // NODES // ROWS_PER_FILE):
            sequence = np.arange(number * ROWS_PER_FILE, (number + 1) * ROWS_PER_FILE, dtype=np.uint64)
            time = (1_700_000_000_000 + sequence * 1000 // PER_SECOND).astype(np.int64)
            keys, operations = draw(chance)
            columns = {
                "time": time.tobytes(),
                "key": keys.tobytes(),
                "size": np.ones(ROWS_PER_FILE, dtype=np.int64).tobytes(),
                "op": operations.tobytes(),
                "hit": np.packbits(chance.random(ROWS_PER_FILE) < 0.7).tobytes(),  # noqa: PLR2004
                "sequence": sequence.tobytes(),
                "node": np.full(ROWS_PER_FILE, node + 1, dtype=np.uint64).tobytes(),
                "context": np.zeros(ROWS_PER_FILE, dtype=np.int32).tobytes(),
            }
            span = (int(time[0]), int(time[-1]))
            for copy in range(2 if number % DELIVERED_TWICE == 0 else 1):
                file = ColumnFile(root / f"{node}-{number:05d}-{copy}.parquet")
                file.append(ROWS_PER_FILE, span, columns)
                file.finish({**about, "rows": ROWS_PER_FILE, "span": span})
                written += ROWS_PER_FILE
    return written
