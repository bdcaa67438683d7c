"""Partitions: a history divided by a hash of the key into Parquet files, each of them a trace that fits in memory.

A partition has the complete history of its keys, and so is a spatial sample, one key in so many: what is calculated
from samples is calculated a partition at a time, in this process or on an engine, and added up.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

from forecache.errors import ConfigurationError, TraceFormatError
from forecache.record.engines import Run, in_turn
from forecache.record.trace import Trace

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

__all__ = ["Partition", "Partitions", "merged", "partition", "place_of", "whole"]

NAME: Final = "partitions.json"
ROWS_AT_ONCE: Final = 2_000_000  # some 120 MB as rows of a log
ROWS_EACH: Final = 2_000_000  # of a partition, on average, unless the number of partitions is given
MOST: Final = 10_000  # partitions, each of which is a file, and one more for each block of rows while it is made
FEWEST: Final = 8  # partitions by default: what they say by themselves tells how far to trust their sum
SALT: Final = 0x5851_F42D_4C95_7F2D  # partitions are independent of other samples of the keys


@dataclass(frozen=True, slots=True)
class Partition:
    """A file, and what it holds."""

    file: str
    accesses: int
    unique: int
    unique_bytes: int
    has_sizes: bool
    first: int  # time of the earliest access
    last: int


@dataclass(frozen=True)
class Partitions:
    """A divided history; partitions without an access have no file."""

    directory: Path
    count: int  # of partitions, those without an access included
    name: str
    metadata: Mapping[str, Any]
    parts: tuple[Partition, ...]

    @classmethod
    def open(cls, directory: str | os.PathLike[str]) -> Self:
        """The history in a directory.

        Raises:
            TraceFormatError: there is none, or its table of contents is damaged.
        """
        path = Path(directory) / NAME
        try:
            written = json.loads(path.read_text())
            parts = tuple(Partition(**part) for part in written.pop("parts"))
            return cls(directory=Path(directory), parts=parts, **written)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TraceFormatError(
                f"{path}: no divided history ({error}); make one: forecache history divide"
            ) from error

    @staticmethod
    def is_at(directory: str | os.PathLike[str]) -> bool:
        """Whether a directory holds a divided history."""
        return (Path(directory) / NAME).is_file()

    @cached_property
    def paths(self) -> tuple[Path, ...]:
        """The files, each a trace."""
        return tuple(self.directory / part.file for part in self.parts)

    def __len__(self) -> int:
        """Number of accesses."""
        return sum(part.accesses for part in self.parts)

    @property
    def unique(self) -> int:
        """Distinct keys: no key is in two partitions."""
        return sum(part.unique for part in self.parts)

    @property
    def unique_bytes(self) -> int:
        """Bytes of the distinct keys."""
        return sum(part.unique_bytes for part in self.parts)

    @property
    def has_sizes(self) -> bool:
        """Whether any size is known."""
        return any(part.has_sizes for part in self.parts)

    @property
    def span(self) -> int:
        """Time from the first access to the last, in the unit of the source."""
        return max(part.last for part in self.parts) - min(part.first for part in self.parts)


def partition(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    partitions: int | None = None,
    rows_at_once: int = ROWS_AT_ONCE,
    run: Run = in_turn,
) -> Partitions:
    """Divides a history by a hash of the key; memory is that of a block of rows, or of one partition, if that is more.

    Args:
        source: directory of cleaned logs, file of a log, or trace; only Parquet is read a block at a time.
        output: directory to write to, new or empty.
        partitions: into how many; by default so many that each has some two million rows, and at least 8.
        rows_at_once: rows held in memory while they are divided.
        run: engine for the second step, which makes traces of what was divided.

    Raises:
        TraceFormatError: the source cannot be read, or holds logs that were not cleaned.
        EmptyTraceError: there is no access.
        ConfigurationError: the output is not empty, or a number is below 1, or that of partitions above 10,000.
        MissingExtraError: polars is not installed.
    """
    from forecache.record.dividing import gather, rows_of, scatter

    directory = Path(output)
    if rows_at_once < 1 or (partitions is not None and not 1 <= partitions <= MOST):
        raise ConfigurationError(
            f"partitions is {partitions}, rows_at_once {rows_at_once}; expected 1 to {MOST:,}, and at least 1"
        )
    if directory.exists() and any(directory.iterdir()):
        raise ConfigurationError(f"{directory} is not empty; name a new directory for a divided history")
    rows = rows_of(Path(source))
    count = partitions or max(FEWEST, -(-rows.count // ROWS_EACH))
    directory.mkdir(parents=True, exist_ok=True)
    scatter(rows, directory, count, rows_at_once)
    parts = gather(rows, directory, count, run)
    about = {"name": rows.name, "count": count, "metadata": dict(rows.metadata)}
    unfinished = directory / f"unfinished-{NAME}"
    unfinished.write_text(json.dumps({**about, "parts": [asdict(part) for part in parts]}))
    unfinished.replace(directory / NAME)
    return Partitions.open(directory)


def place_of(key: npt.NDArray[np.uint64], count: int) -> npt.NDArray[np.uint64]:
    """The partition of each key, shape (accesses,): the same for ever, on every machine.

    Source: the finalizer of SplitMix64, Steele, Lea & Flood, OOPSLA 2014.
    """
    import numpy as np

    mixed = key ^ np.uint64(SALT)
    for shift, factor in ((30, 0xBF58_476D_1CE4_E5B9), (27, 0x94D0_49BB_1331_11EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return (mixed ^ (mixed >> np.uint64(31))) % np.uint64(count)


def whole(directory: Path) -> Trace:
    """A divided history as one trace, in memory.

    Raises:
        TraceFormatError: it cannot be read.
    """
    history = Partitions.open(directory)
    return merged([Trace.read(path) for path in history.paths], history.name, history.metadata)


def merged(parts: Sequence[Trace], name: str, metadata: Mapping[str, Any]) -> Trace:
    """Traces of different keys as one, in order of time; what happened at one time, in the order of the parts."""
    import numpy as np

    columns = {
        column: np.concatenate([getattr(part, column) for part in parts]) for column in ("time", "key", "size", "op")
    }
    order = np.argsort(columns["time"], kind="stable")
    return Trace.from_columns(
        **{column: values[order] for column, values in columns.items()}, name=name, metadata=metadata
    )
