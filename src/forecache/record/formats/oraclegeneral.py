"""libCacheSim's oracleGeneral traces: packed little-endian records of 24 bytes that know their next access.

A record is uint32 time, uint64 key, uint32 size, int64 next access. The next access is the position, counted
from 1, of the key's next record, or -1; reading leaves it out, because the keys tell it.
Source: github.com/1a1a11a/libCacheSim, traceReader/customizedReader/oracle/oracleGeneralBin.h.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from forecache.errors import TraceFormatError
from forecache.extras import TRACES, extra
from forecache.record.formats import stem
from forecache.record.trace import UNKNOWN_SIZE, Trace

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt

__all__ = ["decode", "encode"]

RECORD: Final = np.dtype([("time", "<u4"), ("key", "<u8"), ("size", "<u4"), ("next", "<i8")])
UINT32: Final = np.iinfo(np.uint32)
NEVER: Final = -1


def decode(data: bytes, path: Path) -> Trace:
    """The trace in an oracleGeneral file; a size of 0 is unknown.

    Raises:
        TraceFormatError: the content is no whole number of records.
    """
    if len(data) % RECORD.itemsize:
        raise TraceFormatError(
            f"{path}: {len(data):,} bytes are {len(data) // RECORD.itemsize:,} records and "
            f"{len(data) % RECORD.itemsize} bytes; expected whole records of {RECORD.itemsize} bytes; "
            "the file is cut, or of another format: fetch it again or say its format"
        )
    records = np.frombuffer(data, dtype=RECORD)
    sizes = np.maximum(records["size"].astype(np.int64), UNKNOWN_SIZE)
    return Trace.from_columns(records["key"], time=records["time"], size=sizes, name=stem(path))


def encode(trace: Trace) -> bytes:
    """An oracleGeneral file of a trace; it does not hold the ops.

    Raises:
        TraceFormatError: a time or a size does not fit 32 bits.
    """
    for column, values in (("time", trace.time), ("size", trace.size)):
        if values.min() < 0 or values.max() > UINT32.max:
            raise TraceFormatError(
                f"{column} spans [{values.min()}, {values.max()}]; oracleGeneral holds [0, {UINT32.max}]; "
                "shift or scale it, or write Parquet"
            )
    records = np.empty(len(trace), dtype=RECORD)
    records["time"], records["key"], records["size"] = trace.time, trace.key, trace.size
    records["next"] = _next_accesses(trace.key)
    return records.tobytes()


def _next_accesses(key: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Position, from 1, of the next access to the same key; `NEVER` if there is none."""
    order = np.argsort(key, kind="stable")
    again = key[order[1:]] == key[order[:-1]]
    following = np.full(key.size, NEVER, dtype=np.int64)
    following[order[:-1][again]] = order[1:][again] + 1
    return following
