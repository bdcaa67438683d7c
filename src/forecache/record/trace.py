"""Trace: recorded accesses in order, as columns; every access counts, and inserts on a miss.

The columns are those of the access log: a log is a trace you wrote, a trace is a log you read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from forecache import _core
from forecache.errors import TraceFormatError
from forecache.extras import TRACES, extra

if TYPE_CHECKING:
    import os

    import numpy as np
    import numpy.typing as npt

    from forecache.record.summary import TraceStats

__all__ = ["COLUMNS", "UNKNOWN_SIZE", "Op", "Trace"]

COLUMNS: Final = {"time": "int64", "key": "uint64", "size": "int64", "op": "uint8"}
CONTEXT: Final = "uint16"  # of the column that a trace may lack
UNKNOWN_SIZE: Final = 1  # bytes; a trace in which every size is 1 has no sizes


class Op(IntEnum):
    """What an access did, as the column `op` holds it."""

    GET = 0
    SET = 1


@dataclass(frozen=True, eq=False, repr=False)
class Trace:
    """Accesses in order; all columns have shape (accesses,) and cannot be written to."""

    time: npt.NDArray[np.int64]  # in the unit of the source; the index of the access when it has none
    key: npt.NDArray[np.uint64]  # identity only: the numbers of some sources grow with first appearance
    size: npt.NDArray[np.int64]  # bytes, at least 1; 1 is unknown
    op: npt.NDArray[np.uint8]  # values of `Op`
    name: str = "trace"
    metadata: Mapping[str, Any] = field(default_factory=dict)  # source, domain, licence, note; what JSON can hold
    context: npt.NDArray[np.uint16] | None = None  # kinds of the keys, a byte for each view; None where not known

    def __post_init__(self) -> None:
        """Checks the columns, and locks views of them.

        Raises:
            TraceFormatError: a column has another type, shape or range.
        """
        known = COLUMNS if self.context is None else {**COLUMNS, "context": CONTEXT}
        for column, dtype in known.items():
            values = getattr(self, column)
            if values.dtype != dtype or values.shape != self.key.shape or values.ndim != 1:
                raise TraceFormatError(
                    f"column {column!r} is {values.dtype} of shape {values.shape}; expected {dtype} of "
                    f"shape ({self.key.size},), as of 'key'; Trace.from_columns converts and fills columns"
                )
            view = values.view()
            view.flags.writeable = False
            object.__setattr__(self, column, view)
        if len(self) and self.size.min() < UNKNOWN_SIZE:
            raise TraceFormatError(f"a size is {self.size.min()}; expected at least 1 byte, and 1 where it is unknown")
        if len(self) and self.op.max() > Op.SET:
            raise TraceFormatError(f"an op is {self.op.max()}; expected 0 (get) or 1 (set)")

    @classmethod
    def from_columns(
        cls,
        key: npt.ArrayLike,
        *,
        time: npt.ArrayLike | None = None,
        size: npt.ArrayLike | None = None,
        op: npt.ArrayLike | None = None,
        context: npt.ArrayLike | None = None,
        name: str = "trace",
        metadata: Mapping[str, Any] | None = None,
    ) -> Trace:
        """A trace of these keys; what is not given is filled.

        Args:
            key: integers in [0, 2^64), shape (accesses,).
            time: integers; the index of the access when not given.
            size: bytes, each at least 1; 1, unknown, when not given.
            op: values of `Op`; all `Op.GET` when not given.
            context: what kinds of key they are, as the learned policy of a live cache is told: a hash from 1 to 255,
                or 0 for none, in each of the two bytes. `forecache._core.context` makes one of a key.
            name: what reports call it.
            metadata: source, domain, licence, note.

        Raises:
            TraceFormatError: a column has a value that its type cannot hold, or another length.
            MissingExtraError: numpy is not installed.
        """
        with extra(TRACES):
            import numpy as np
        keys = _converted("key", key)
        return cls(
            time=np.arange(keys.size, dtype=np.int64) if time is None else _converted("time", time),
            key=keys,
            size=np.full(keys.size, UNKNOWN_SIZE, dtype=np.int64) if size is None else _converted("size", size),
            op=np.full(keys.size, Op.GET, dtype=np.uint8) if op is None else _converted("op", op),
            name=name,
            metadata=dict(metadata or {}),
            context=None if context is None else _converted("context", context),
        )

    @classmethod
    def read(cls, path: str | os.PathLike[str], format: str | None = None) -> Trace:
        """The trace in a file, or in the directory of an access log.

        Args:
            path: any format of `forecache.record.formats.FORMATS`; all but Parquet may be compressed, as `.zst`.
            format: name of the format; by default the suffix tells, then the content.

        Raises:
            TraceFormatError: the file cannot be read, or is not what its format says.
            EmptyTraceError: it holds no access.
            MissingExtraError: numpy, polars or zstandard is not installed.
        """
        from forecache.record.formats import read

        return read(Path(path), format)

    def write(self, path: str | os.PathLike[str]) -> None:
        """Writes the trace in the format that the suffix names.

        Parquet keeps everything, CSV all but the context, oracleGeneral time, key and size, text the keys.

        Raises:
            TraceFormatError: the suffix names no format, the format cannot hold the trace, or the file is not writable.
            EmptyTraceError: there is no access to write.
            MissingExtraError: numpy, polars or zstandard is not installed.
        """
        from forecache.record.formats import write

        write(self, Path(path))

    def __len__(self) -> int:
        """Number of accesses."""
        return int(self.key.size)

    def __getitem__(self, rows: slice) -> Trace:
        """The accesses of a slice, without copying them."""
        if not isinstance(rows, slice):
            raise TypeError(f"a trace is indexed by a slice, not by {type(rows).__name__}; write trace[10:20]")
        return self.take(rows)

    def take(self, rows: slice | npt.NDArray[np.int64]) -> Trace:
        """The accesses at these positions; of a slice without copying them."""
        context = None if self.context is None else self.context[rows]
        columns = (self.time[rows], self.key[rows], self.size[rows], self.op[rows])
        return Trace(*columns, self.name, self.metadata, context)

    def accesses(self) -> _core.Accesses:
        """The trace as the core replays it."""
        with extra(TRACES):
            import numpy as np
        sizes = np.ascontiguousarray(self.size).view(np.uint64)
        context = None if self.context is None else np.ascontiguousarray(self.context).data
        return _core.Accesses(np.ascontiguousarray(self.key).data, sizes.data, context)

    def head(self, n: int) -> Trace:
        """The first `n` accesses, or all if there are fewer."""
        return self[: max(n, 0)]

    def __repr__(self) -> str:
        """Name and length; counts nothing."""
        return f"Trace({self.name!r}, {len(self):,} accesses)"

    @property
    def unique(self) -> int:
        """Distinct keys."""
        return self._stats.unique

    @property
    def unique_bytes(self) -> int:
        """Bytes of the distinct keys, each at its first size."""
        return self._stats.unique_bytes

    @cached_property
    def has_sizes(self) -> bool:
        """Whether any size is known."""
        return len(self) > 0 and int(self.size.max()) != UNKNOWN_SIZE

    def stats(self) -> TraceStats:
        """What the trace holds, counted once and then remembered."""
        return self._stats

    @cached_property
    def _stats(self) -> TraceStats:
        from forecache.record.summary import summarize

        return summarize(self)


def _converted(column: str, values: npt.ArrayLike) -> npt.NDArray[Any]:
    with extra(TRACES):
        import numpy as np
    dtype = COLUMNS.get(column, CONTEXT)
    exact = isinstance(values, list) and all(isinstance(value, int) for value in values)
    given = np.asarray(values, dtype=object if exact else None)  # numpy makes floats of integers around 2^63
    if given.size == 0:
        return given.astype(dtype)
    limits = np.iinfo(dtype)
    if not (exact or given.dtype.kind in "iu") or given.min() < limits.min or given.max() > limits.max:
        raise TraceFormatError(
            f"column {column!r} is {given.dtype}, or has values outside [{limits.min}, {limits.max}]; "
            "expected integers within; scale or hash the values first"
        )
    return given.astype(dtype, copy=False)
