"""Sources: the files that cleaning reads, which of their rows it keeps, and these rows a range of time at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from forecache import _core
from forecache.errors import TraceFormatError
from forecache.extras import TRACES, extra
from forecache.record.columnfile import is_whole
from forecache.record.history import ORDER, SCHEMA, metadata_of
from forecache.record.trace import UNKNOWN_SIZE

with extra(TRACES):
    import polars as pl

__all__ = ["GRANULE", "KEPT", "Bounds", "Paths", "Source", "census", "files_below", "ranges", "rows_between", "survey"]

Paths = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]

GRANULE: Final = 1000  # ms; ranges of time begin and end at whole seconds
KEPT: Final = "kept"


class Source(NamedTuple):
    """A file that can be read, and what it tells about itself."""

    path: Path
    metadata: dict[str, Any]

    def overlaps(self, start: int, end: int) -> bool:
        """Whether it may hold rows of a range of time."""
        first, last = self.metadata.get("span", (start, start))
        return bool(first < end and last >= start)


class Bounds(NamedTuple):
    """Which rows are to be kept."""

    earliest: int  # ms; what is older is late
    latest: int  # ms; what is newer cannot be
    threshold: int  # of the fingerprints that are sampled

    def fate(self) -> pl.Expr:
        """What becomes of a row, but for its copies: a word of the report, or `KEPT`."""
        time, key, op = pl.col("time"), pl.col("key"), pl.col("op")
        possible = time.is_between(1, self.latest) & (pl.col("size") >= UNKNOWN_SIZE) & op.is_in(list(_core.OPS))
        complete = ~pl.any_horizontal(pl.col(list(SCHEMA)).is_null())
        is_sampled = (key % _core.MODULUS < self.threshold) | (op == "clear")
        damaged = ~(complete & possible).fill_null(value=False)
        late = pl.when(time < self.earliest).then(pl.lit("late"))
        fate = late.when(~is_sampled).then(pl.lit("sampled_out")).otherwise(pl.lit(KEPT))
        return pl.when(damaged).then(pl.lit("damaged")).otherwise(fate)


def files_below(paths: Paths, output: Path) -> Iterator[Path]:
    """The files named, and the Parquet files in the directories named; none of the output."""
    given = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    for path in map(Path, given):
        found = sorted(path.rglob("*.parquet")) if path.is_dir() else [path]
        yield from (file for file in found if output.resolve() not in file.resolve().parents)


def survey(files: Iterable[Path]) -> tuple[list[Source], dict[str, str]]:
    """The files that can be read, and why others cannot."""
    sources: list[Source] = []
    unreadable: dict[str, str] = {}
    for path in files:
        try:
            source = Source(path, metadata_of(path))
            if is_whole(path, source.metadata):
                sources.append(source)
            else:
                unreadable[str(path)] = "the rows are not those that were written: their checksum differs"
        except (TraceFormatError, OSError) as error:
            unreadable[str(path)] = str(error)
    return sources, unreadable


def census(sources: list[Source], bounds: Bounds) -> tuple[dict[str, int], list[tuple[int, int]]]:
    """How many rows meet each fate, and how many are kept in each second that has any, in order."""
    fate = bounds.fate()
    second = pl.when(fate == KEPT).then(pl.col("time") // GRANULE).otherwise(0)
    counted = scan(sources).group_by(fate=fate, second=second).len().sort("second").collect(engine="streaming")
    fates = dict(counted.group_by("fate").agg(pl.col("len").sum()).iter_rows())
    return fates, list(counted.filter(pl.col("fate") == KEPT).select("second", "len").iter_rows())


def ranges(seconds: list[tuple[int, int]], most: int, seal: int) -> Iterator[tuple[int, int]]:
    """Ranges of time in ms, their end not included, of at most so many rows each; none reaches across the seal."""
    start, rows, last = None, 0, 0
    for second, count in seconds:
        if start is not None and (rows + count > most or start * GRANULE < seal <= second * GRANULE):
            yield start * GRANULE, (last + 1) * GRANULE
            start, rows = None, 0
        start, rows, last = second if start is None else start, rows + count, second
    if start is not None:
        yield start * GRANULE, (last + 1) * GRANULE


def rows_between(sources: list[Source], start: int, end: int, bounds: Bounds) -> pl.DataFrame:
    """The rows of a range of time that are kept, each once, in order."""
    near = scan([source for source in sources if source.overlaps(start, end)])
    rows = near.filter(pl.col("time").is_between(start, end, closed="left")).filter(bounds.fate() == KEPT)
    return rows.unique(["node", "sequence"]).sort(ORDER).collect(engine="streaming")


def scan(sources: list[Source]) -> pl.LazyFrame:
    """All rows of some files, read when they are asked for."""
    return pl.scan_parquet([source.path for source in sources], schema=SCHEMA, low_memory=True)
