"""Parquet traces: columns time, key, size, op, and context where known; metadata `trace` as JSON; files of access logs.

A cut file or a damaged footer is refused; some damage within a page makes polars abort the process, which cannot be
caught here. Read files of unknown origin in a process of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from forecache.errors import TraceFormatError
from forecache.extras import TRACES, extra
from forecache.record.columnfile import METADATA_KEY
from forecache.record.formats import stem
from forecache.record.formats.columns import accesses, choose
from forecache.record.trace import Op, Trace

with extra(TRACES):
    import polars as pl

__all__ = ["decode", "described", "encode", "readable"]

OP_NAMES: Final = [op.name.lower() for op in Op]


def decode(data: bytes, path: Path) -> Trace:
    """The trace in a Parquet file; only the key is required.

    Raises:
        TraceFormatError: the file is damaged, or a column is missing, of another type, or holds what it may not.
    """
    with readable(path):
        names = list(pl.read_parquet_schema(BytesIO(data)))
    metadata = described(path, data)
    if "log" in metadata:
        return _log(data, metadata, path)
    chosen = choose(names, str(path))
    with readable(path):
        table = pl.read_parquet(BytesIO(data), columns=[names[position] for position in chosen.values()])
    table = table.rename({names[position]: column for column, position in chosen.items()})
    name = str(metadata.pop("name", stem(path)))
    columns = accesses(table, lambda row: str(path) if row is None else f"{path}, row {row}")
    return Trace.from_columns(**columns, name=name, metadata=metadata)


def _log(data: bytes, metadata: Mapping[str, Any], path: Path) -> Trace:
    from forecache.record import history

    with readable(path):
        rows = pl.read_parquet(BytesIO(data), schema=history.SCHEMA)
    return history.fold(rows, metadata, path)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Translates what the Parquet reader raises on damaged files, which includes panics."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError) as error:
        first = (str(error).splitlines() or ["no reason given"])[0]
        raise TraceFormatError(f"{path}: not readable as Parquet ({first}); the file is damaged or cut") from error


def described(path: Path, data: bytes | None = None) -> dict[str, Any]:
    """What a Parquet file, or its content, tells about its trace.

    Raises:
        TraceFormatError: it cannot be read, or tells no JSON object.
    """
    with readable(path):
        written = pl.read_parquet_metadata(path if data is None else BytesIO(data)).get(METADATA_KEY, "{}")
    return _metadata(written, path)


def _metadata(written: str, path: Path) -> dict[str, Any]:
    try:
        metadata = json.loads(written)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise TraceFormatError(f"{path}: schema metadata {METADATA_KEY!r} is no JSON object; write it anew or leave it")
    return metadata


def encode(trace: Trace) -> bytes:
    """A Parquet file of a trace, compressed with zstd.

    Raises:
        TraceFormatError: JSON cannot hold the metadata.
    """
    try:
        about = {name: value for name, value in trace.metadata.items() if name != "log"}  # it is one no longer
        metadata = json.dumps({**about, "name": trace.name})
    except (TypeError, ValueError, RecursionError) as error:
        raise TraceFormatError(f"metadata of {trace.name!r} is not what JSON can hold ({error}); use text") from error
    columns: dict[str, Any] = {"time": trace.time, "key": trace.key, "size": trace.size}
    if trace.context is not None:
        columns["context"] = trace.context
    op = pl.Series("op", trace.op).replace_strict(dict(enumerate(OP_NAMES)), return_dtype=pl.Enum(OP_NAMES))
    file = BytesIO()
    pl.DataFrame(columns).with_columns(op).write_parquet(file, compression="zstd", metadata={METADATA_KEY: metadata})
    return file.getvalue()
