"""Text traces: one key per line, blank lines passed over; the time is the index, sizes are unknown."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

from forecache.extras import TRACES, extra
from forecache.record.formats import stem
from forecache.record.formats.columns import accesses
from forecache.record.formats.content import utf8
from forecache.record.trace import Trace

with extra(TRACES):
    import polars as pl

__all__ = ["decode", "encode", "line_frame"]


def line_frame(data: bytes, path: Path) -> pl.DataFrame:
    """Lines of a text that are not blank: column number, from 1, and column line.

    Raises:
        TraceFormatError: it is not UTF-8.
    """
    lines = pl.read_lines(utf8(data, path).encode(), row_index_name="number", row_index_offset=1)
    return lines.with_columns(pl.col("line").str.strip_chars()).filter(pl.col("line") != "")


def decode(data: bytes, path: Path) -> Trace:
    """The trace in a text file: keys are integers if all lines are, and otherwise hashed.

    Raises:
        TraceFormatError: it is not UTF-8.
    """
    lines = line_frame(data, path)
    columns = accesses(lines.select(key="line"), lambda row: f"{path}, line {lines['number'][row or 0]}")
    return Trace.from_columns(**columns, name=stem(path))


def encode(trace: Trace) -> bytes:
    """A text file of the keys."""
    file = BytesIO()
    pl.DataFrame({"key": trace.key}).write_csv(file, include_header=False)
    return file.getvalue()
