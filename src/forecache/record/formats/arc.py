"""ARC traces, `.lis`: a line `start count ignored request` is an access to each of `count` blocks from `start` on.

Blocks are keys, the request is the time, and sizes are unknown: the block size differs between these files.
Source: Megiddo & Modha, "ARC: a self-tuning, low overhead replacement cache", FAST 2003.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from forecache.errors import TraceFormatError
from forecache.extras import TRACES, extra
from forecache.record.formats import stem
from forecache.record.formats.text import line_frame
from forecache.record.trace import Trace

with extra(TRACES):
    import numpy as np
    import polars as pl

__all__ = ["decode"]

LINE: Final = r"^(?<start>[0-9]+)\s+(?<count>[0-9]+)\s+[0-9]+\s+(?<request>[0-9]+)$"
MOST_BLOCKS: Final = 1 << 20  # of one request: 512 MiB of sectors; above it the line is damaged
LARGEST: Final = 2**63 - 1 - MOST_BLOCKS


def decode(data: bytes, path: Path) -> Trace:
    """The accesses to single blocks in an ARC file.

    Raises:
        TraceFormatError: a line is not four integers, or asks for more blocks than a request can.
    """
    lines = line_frame(data, path)
    fields = lines["line"].str.extract_groups(LINE).struct.unnest().cast(pl.Int64, strict=False)
    fits = (pl.col("start") <= LARGEST) & (pl.col("count") <= MOST_BLOCKS) & pl.col("request").is_not_null()
    wrong = fields.select(~fits.fill_null(value=False)).to_series()
    if wrong.any():
        number, line = lines.row(int(wrong.arg_max() or 0))
        raise TraceFormatError(
            f"{path}, line {number}: {line[:80]!r}; expected four integers `start count ignored request` with "
            f"count at most {MOST_BLOCKS}; say the format if this is no ARC trace"
        )
    start, count, request = (fields[name].to_numpy() for name in ("start", "count", "request"))
    offset = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
    return Trace.from_columns(np.repeat(start, count) + offset, time=np.repeat(request, count), name=stem(path))
