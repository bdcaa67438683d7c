"""History: the files of access logs read back as a trace.

Of the rows of a log, gets and sets are accesses. A load is no access of its own: it tells the size of the value that
its get missed, and the context of its key. What follows a deletion of a key is another key, since no policy could have
served it: a replay misses where the live cache had to. What was deleted keeps its room in a replay until it is evicted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from forecache.errors import EmptyTraceError, TraceFormatError
from forecache.extras import TRACES, extra
from forecache.record.columnfile import METADATA_KEY
from forecache.record.contents import Contents
from forecache.record.formats.parquet import readable
from forecache.record.trace import UNKNOWN_SIZE, Op, Trace

with extra(TRACES):
    import numpy as np
    import numpy.typing as npt
    import polars as pl

__all__ = ["ORDER", "SCHEMA", "files_in", "fold", "metadata_of", "read", "timetable_of"]

SCHEMA: Final = {
    "time": pl.Int64,
    "key": pl.UInt64,
    "size": pl.Int64,
    "op": pl.String,
    "hit": pl.Boolean,
    "sequence": pl.UInt64,
    "node": pl.UInt64,
    "context": pl.UInt16,
}
ORDER: Final = ("time", "node", "sequence")  # of accesses; on one node, that of its sequence
GOLDEN: Final = 0x9E37_79B9_7F4A_7C15  # 2^64 / golden ratio: multiples of it differ in all bits
ACCESSES: Final = {"get": Op.GET, "set": Op.SET}


def read(directory: Path) -> Trace:
    """The trace of all files of a directory, of one node or of several; what was delivered twice counts once.

    Raises:
        TraceFormatError: a file is no access log, or their secrets or samples differ.
        EmptyTraceError: there is no access.
    """
    files = files_in(directory)
    if not files:
        raise TraceFormatError(
            f"{directory}: this is a directory without access logs; name a file, or a log's directory"
        )
    metadata = merged([metadata_of(path) for path in files], directory)
    with readable(directory):
        rows = pl.scan_parquet(files, schema=SCHEMA).unique(["node", "sequence"]).sort(ORDER).collect()
    return fold(rows, metadata, directory)


def files_in(directory: Path) -> list[Path]:
    """Files of a directory in the order of their names; of cleaned rows, those that count.

    Raises:
        TraceFormatError: the table of contents of cleaned rows is damaged.
    """
    contents = Contents.read(directory)
    return sorted(directory.glob("*.parquet")) if contents is None else [directory / name for name in contents.parts]


def metadata_of(path: Path) -> dict[str, Any]:
    """What a file of a log tells about itself.

    Raises:
        TraceFormatError: it cannot be read, or is no access log.
    """
    with readable(path):
        schema = pl.read_parquet_schema(path)
        metadata = json.loads(pl.read_parquet_metadata(path).get(METADATA_KEY, "{}"))
    if not isinstance(metadata, dict) or "log" not in metadata:
        raise TraceFormatError(f"{path}: this is no access log; read it as a trace by its own path")
    if dict(schema) != SCHEMA:
        raise TraceFormatError(f"{path}: columns {', '.join(schema)}; expected {', '.join(SCHEMA)}")
    return metadata


def merged(described: Sequence[Mapping[str, Any]], where: Path) -> dict[str, Any]:
    """Metadata of a trace from several files.

    Raises:
        TraceFormatError: the fingerprints of keys, or the samples of them, differ.
    """
    for setting in ("secret", "sample"):
        if len({metadata.get(setting) for metadata in described}) > 1:
            raise TraceFormatError(f"{where}: logs of several {setting}s; clean them first, or read one at a time")
    nodes = sorted({str(metadata.get("node")) for metadata in described})
    of_a_file = {"span", "rows", "crc32", "crc32_bytes", *(["timetable"] if len(nodes) > 1 else [])}
    last = {name: value for name, value in described[-1].items() if name not in of_a_file}
    return {**last, "node": ", ".join(nodes)}


def timetable_of(metadata: Mapping[str, Any], setting: Mapping[str, Any]) -> list[tuple[int, int | None]] | None:
    """When a recorded cache learned, so that a replay can repeat it; None unless it had the same setting."""
    is_same = all(metadata.get(name) == value for name, value in setting.items())
    turns = metadata.get("timetable") if is_same and metadata.get("model") == "shipped" else None
    return [(begun, used) for begun, used in turns] if turns else None


def fold(rows: pl.DataFrame, metadata: Mapping[str, Any], where: Path) -> Trace:
    """The accesses among the rows of a log.

    Raises:
        EmptyTraceError: there is none.
    """
    deleted = pl.col("op") == "delete"
    rows = rows.with_columns(
        size=pl.when(pl.col("size") > UNKNOWN_SIZE).then("size").backward_fill().forward_fill().over("key"),
        context=pl.when(pl.col("context") > 0).then("context").backward_fill().forward_fill().over("key"),
        deletions=(deleted & pl.col("hit")).cum_sum().over("key") + (pl.col("op") == "clear").cum_sum(),
    )
    accesses = rows.filter(pl.col("op").is_in(list(ACCESSES)))
    if accesses.height == 0:
        raise EmptyTraceError(f"{where}: no get and no set in this log; record some first")
    gets = accesses.filter(pl.col("op") == "get")
    context = accesses["context"].fill_null(0).to_numpy()
    live = {"gets": gets.height, "hits": int(gets["hit"].sum()), "deletes": int(rows.select(deleted.sum()).item())}
    return Trace.from_columns(
        renamed(accesses["key"].to_numpy(), accesses["deletions"].to_numpy()),
        time=accesses["time"].to_numpy(),
        size=accesses["size"].fill_null(UNKNOWN_SIZE).to_numpy(),
        op=accesses["op"].replace_strict(ACCESSES, return_dtype=pl.UInt8).to_numpy(),
        context=context if context.any() else None,
        name=str(metadata.get("name", where.stem)),
        metadata={**metadata, "source": f"access log, version {metadata['log']}", "live": live},
    )


def renamed(key: npt.NDArray[np.uint64], deletions: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Keys, each another one after each of its deletions."""
    return key ^ (deletions.astype(np.uint64) * np.uint64(GOLDEN))
