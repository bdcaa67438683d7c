"""What processes of the storm write down, as rows of doubles in files that survive the process."""

from __future__ import annotations

import os
import threading
from array import array
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ABSENT",
    "ACK",
    "CLOCKS",
    "INTENT",
    "LEVELS",
    "NOTHING",
    "PROOF",
    "READ",
    "SNAPSHOT",
    "TAGS",
    "TIERS",
    "Log",
    "loaded",
    "number_of",
]

KEY_TAG = [("key", "f8"), ("tag", "f8")]
READ = np.dtype([*KEY_TAG, ("began", "f8"), ("ended", "f8"), ("max_age", "f8"), ("kind", "f8")])
INTENT = np.dtype([*KEY_TAG, ("began", "f8")])  # a write begins
ACK = np.dtype([*KEY_TAG, ("version", "f8"), ("ended", "f8")])  # it was acknowledged
NOTHING = 0.0  # in place of the version that a write made: it found nothing to do
PROOF = np.dtype([("at", "f8"), ("proven", "f8")])  # what a process knew at a moment
SNAPSHOT = np.dtype([("began", "f8"), ("balance", "f8")])  # a read of all rows; nothing is ever lost between them
TAGS = 1 << 24  # of one process; a tag is unique in a storm, 0 is of rows that nobody wrote; odd ones are deletions
ABSENT = -1.0  # what is read of a row that is not there, in place of its tag
TIERS = {"process": 0, "shared": 1, "database": 2}
LEVELS = {"bounded(1s)": 1.0, "bounded(50ms)": 0.05, "session": np.inf, "strong": 0.0, "eventual": np.inf}
CLOCKS = "STORM_CLOCK"  # in the environment: the file with the offset of wall clocks


class Log:
    """Rows of one kind, appended to a file of one process; what is flushed is kept whatever befalls the process."""

    def __init__(self, into: Path, name: str, number: int, part: int = 0) -> None:
        self._file = os.open(into / f"{name}-{number}-{part}", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
        self.rows = array("d")
        self._lock = threading.Lock()

    def flush(self) -> None:
        """Keeps what was gathered in `rows`."""
        rows, self.rows = self.rows, array("d")
        os.write(self._file, rows)

    def add(self, row: Iterable[float]) -> None:
        """Keeps a row at once."""
        os.write(self._file, array("d", row))


def number_of(file: Path) -> int:
    """Of the process that wrote it."""
    return int(file.name.split("-")[1])


def loaded(into: Path, name: str, kind: np.dtype[Any], number: int | None = None) -> NDArray[Any]:
    """All rows of a kind, or those of one process; one that was being written when its process died is none."""
    files = sorted(into.glob(f"{name}-{'*' if number is None else number}-*"))
    size = kind.itemsize
    found = [np.frombuffer(data[: len(data) // size * size], kind) for data in (file.read_bytes() for file in files)]
    return np.concatenate([*found, np.empty(0, kind)])
