"""Dividing: the rows of a history scattered over partitions block by block, and made traces partition by partition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from forecache.errors import EmptyTraceError, TraceFormatError
from forecache.extras import TRACES, extra
from forecache.record.contents import Contents
from forecache.record.engines import Run
from forecache.record.formats.columns import accesses, choose
from forecache.record.formats.parquet import described, readable
from forecache.record.history import SCHEMA, fold
from forecache.record.partitions import Partition, place_of
from forecache.record.trace import COLUMNS, Trace

with extra(TRACES):
    import polars as pl

__all__ = ["Rows", "gather", "rows_of", "scatter"]

TO_ALL: Final = "clear"  # the operation whose row belongs to every key


@dataclass(frozen=True)
class Rows:
    """What is to be divided: files that are read a block at a time, or a trace in memory."""

    name: str
    metadata: Mapping[str, Any]
    is_log: bool  # rows of a log, with loads and deletions; otherwise accesses
    count: int
    files: tuple[Path, ...] = ()
    trace: Trace | None = None

    def blocks(self, rows_at_once: int) -> Iterator[pl.DataFrame]:
        """All rows in order; of a trace the columns of `COLUMNS`, of a log those of `SCHEMA`."""
        if self.trace is not None:
            for start in range(0, len(self.trace), rows_at_once):
                yield frame_of(self.trace[start : start + rows_at_once])
        for file in self.files:
            with readable(file):
                rows = pl.scan_parquet(file, low_memory=True)
                length = int(rows.select(pl.len()).collect().item())
            for start in range(0, length, rows_at_once):
                with readable(file):
                    block = rows.slice(start, rows_at_once).collect()
                yield block.select(list(SCHEMA)) if self.is_log else as_accesses(block, file, start)


def rows_of(source: Path) -> Rows:
    """What there is to divide.

    Raises:
        TraceFormatError: it cannot be read, or holds logs that were not cleaned.
        EmptyTraceError: there is no row.
    """
    if source.is_dir():
        contents = Contents.read(source)
        if contents is None:
            message = f"{source}: no cleaned logs, whose rows are in order; clean them: forecache history clean"
            raise TraceFormatError(message)
        return of_files(tuple(source / name for name in contents.parts), contents.metadata, source)
    if source.suffix in {".parquet", ".pq"}:
        metadata = described(source)
        with readable(source):
            names = pl.read_parquet_schema(source)
        key = names[list(names)[choose(list(names), str(source))["key"]]]
        if "log" in metadata or key.is_integer():
            return of_files((source,), metadata, source)
    trace = Trace.read(source)
    return Rows(trace.name, trace.metadata, is_log=False, count=len(trace), trace=trace)


def of_files(files: tuple[Path, ...], metadata: Mapping[str, Any], source: Path) -> Rows:
    """Parquet files, which are read when they are divided."""
    with readable(source):
        count = int(pl.scan_parquet(list(files)).select(pl.len()).collect().item()) if files else 0
    if count == 0:
        raise EmptyTraceError(f"{source}: there is no row; record or fetch it again")
    about = {name: value for name, value in metadata.items() if name != "name"}
    return Rows(str(metadata.get("name", source.stem)), about, "log" in metadata, count, files)


def frame_of(trace: Trace) -> pl.DataFrame:
    """The columns of a trace."""
    return pl.DataFrame({column: getattr(trace, column) for column in COLUMNS})


def as_accesses(block: pl.DataFrame, file: Path, start: int) -> pl.DataFrame:
    """A block of a trace's file as its columns; what it lacks is filled."""
    chosen = {block.columns[position]: column for column, position in choose(block.columns, str(file)).items()}
    columns = accesses(
        block.select(list(chosen)).rename(chosen),
        lambda row: f"{file}, row {start + row}" if row is not None else str(file),
    )
    if "time" not in columns:
        columns["time"] = pl.int_range(start, start + block.height, eager=True).to_numpy()
    return frame_of(Trace.from_columns(**columns))


def scatter(rows: Rows, directory: Path, count: int, rows_at_once: int) -> None:
    """Writes the rows of every block to a file for each partition; a row that belongs to all keys goes to all."""
    for number, block in enumerate(rows.blocks(rows_at_once)):
        placed = block.with_columns(place=pl.Series(place_of(block["key"].to_numpy(), count), dtype=pl.UInt32))
        if rows.is_log:
            placed = everywhere(placed, count)
        for (place,), group in placed.partition_by(
            "place", maintain_order=True, include_key=False, as_dict=True
        ).items():
            group.write_ipc(directory / f"{place:06d}-{number:06d}.arrow", compression="lz4")


def everywhere(placed: pl.DataFrame, count: int) -> pl.DataFrame:
    """The rows, those that belong to every key repeated for each partition, in their order."""
    common = placed["op"] == TO_ALL
    if not common.any():
        return placed
    numbered = placed.with_row_index("row")
    places = pl.DataFrame({"place": pl.int_range(count, dtype=pl.UInt32, eager=True)})
    repeated = numbered.filter(common).drop("place").join(places, how="cross").select(numbered.columns)
    return pl.concat([numbered.filter(~common), repeated]).sort("row", maintain_order=True).drop("row")


def gather(rows: Rows, directory: Path, count: int, run: Run) -> list[Partition]:
    """Makes a trace of what was scattered to each partition.

    Raises:
        EmptyTraceError: there is no access.
    """
    make = partial(gathered, directory, rows.name, dict(rows.metadata), rows.is_log)
    parts = [part for part in run(make, range(count)) if part is not None]
    if not parts:
        raise EmptyTraceError(f"{rows.name}: no get and no set in this history; record some first")
    return parts


def gathered(directory: Path, name: str, metadata: dict[str, Any], is_log: bool, place: int) -> Partition | None:
    """The trace of one partition, written in place of its scattered rows; None if no access is in it."""
    files = sorted(directory.glob(f"{place:06d}-*.arrow"))
    trace = None
    if files:
        rows = pl.concat([pl.read_ipc(file) for file in files])
        trace = as_trace(rows, name, metadata, directory) if is_log else traced(rows, name, metadata)
    for file in files:
        file.unlink()
    if trace is None:
        return None
    path = directory / f"part-{place:06d}.parquet"
    trace.write(path)
    return Partition(
        path.name,
        len(trace),
        trace.unique,
        trace.unique_bytes,
        trace.has_sizes,
        int(trace.time.min()),
        int(trace.time.max()),
    )


def as_trace(rows: pl.DataFrame, name: str, metadata: Mapping[str, Any], directory: Path) -> Trace | None:
    """The accesses among the rows of a log; None if there is none."""
    try:
        return fold(rows, {**metadata, "name": name}, directory)
    except EmptyTraceError:
        return None


def traced(rows: pl.DataFrame, name: str, metadata: Mapping[str, Any]) -> Trace:
    """Rows that are accesses already."""
    columns = {column: rows[column].to_numpy() for column in COLUMNS}
    return Trace.from_columns(**columns, name=name, metadata=metadata)
