"""Cleaning: the logs of many nodes made one history in order of time, each access once.

Rows are read a range of time at a time, each range small enough for memory, so that logs may be of any size. A row
delivered twice has one time, so its copies meet in one range.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from forecache import _core
from forecache.errors import ConfigurationError, TraceFormatError
from forecache.extras import TRACES, extra
from forecache.record.columnfile import METADATA_KEY
from forecache.record.contents import Contents
from forecache.record.history import metadata_of
from forecache.record.sources import (
    GRANULE,
    KEPT,
    Bounds,
    Paths,
    Source,
    census,
    files_below,
    ranges,
    rows_between,
    survey,
)
from forecache.units import parse_duration

with extra(TRACES):
    import polars as pl

__all__ = ["CleanReport", "clean"]

ROWS_AT_ONCE: Final = 1_000_000  # some 60 MB, and a few times as much to sort them
PER_FILE: Final = ("rows", "span", "crc32", "crc32_bytes")  # metadata of one file only


@dataclass(frozen=True, slots=True)
class CleanReport:
    """What was read, and what became of it: rows + reopened = damaged + late + sampled_out + duplicates + written."""

    files: int = 0  # read
    unreadable: Mapping[str, str] | None = None  # path of each file that was left out, and why
    rows: int = 0  # in the files read
    reopened: int = 0  # of the output of an earlier run: its last ones, among which a row may still have come
    damaged: int = 0  # a value is missing, or not possible
    late: int = 0  # older than what an earlier run sealed: they came too late, or once more
    sampled_out: int = 0  # of keys that another log does not sample
    duplicates: int = 0  # delivered again
    written: int = 0
    parts: int = 0  # files written
    sample: float | None = None  # share of the keys in the output; None if nothing was read
    sealed_until: int | None = None  # ms since the epoch; rows before it are late from now on

    def to_dict(self) -> dict[str, Any]:
        """The counts by name, as JSON can hold them."""
        return asdict(self)


def clean(
    paths: Paths,
    output: str | os.PathLike[str],
    *,
    lateness: str | float | timedelta = "1m",
    rows_at_once: int = ROWS_AT_ONCE,
    now: float | None = None,
) -> CleanReport:
    """Merges access logs into a directory that `Trace.read` reads.

    It may be run again and again on the same directories: what was written `lateness` before the newest row is
    sealed, and what comes later but is older is left out and counted; the rest is merged with rows to come. Runs
    into one output must follow each other.

    Args:
        paths: files of access logs, or directories with such at any depth.
        output: directory to write to, and nothing else; made if absent.
        lateness: time that the delivery of a row may take.
        rows_at_once: rows held in memory; but what happened within one second is never divided.
        now: seconds since the epoch, after which, but for the lateness, no access can have been; by default it is
            read from the system's clock.

    Returns:
        What became of every row.

    Raises:
        TraceFormatError: the logs, or they and the output, differ in their secret, so that no key is comparable.
        ConfigurationError: the output holds something else, a smaller or larger sample, or cannot be written.
        MissingExtraError: polars is not installed.
    """
    directory, wait = Path(output), int(parse_duration(lateness) * 1000)
    contents = Contents.opened(directory)
    sources, unreadable = survey(files_below(paths, directory))
    if not sources:
        return CleanReport(unreadable=unreadable, sealed_until=contents.sealed_until)
    metadata = common([source.metadata for source in sources], contents, directory)
    reopened = [Source(path, metadata_of(path)) for path in contents.unsealed(directory)]
    latest = int((time.time() if now is None else now) * 1000) + wait
    bounds = Bounds(contents.sealed_until or 0, latest, threshold_of(metadata["sample"]))
    fates, seconds = census([*sources, *reopened], bounds)
    seal = max(bounds.earliest, (seconds[-1][0] * GRANULE - wait) // GRANULE * GRANULE if seconds else 0)
    parts = [
        write_part(rows_between([*sources, *reopened], start, end, bounds), directory, contents.made + number, metadata)
        for number, (start, end) in enumerate(ranges(seconds, rows_at_once, seal))
    ]
    sealed = sum(part.end < seal for part in parts)
    contents.followed_by([part.name for part in parts], sealed, seal, metadata).write(directory)
    back, written = sum(source.metadata["rows"] for source in reopened), sum(part.rows for part in parts)
    return CleanReport(
        files=len(sources),
        unreadable=unreadable,
        rows=sum(fates.values()) - back,
        reopened=back,
        duplicates=fates.pop(KEPT, 0) - written,
        written=written,
        parts=len(parts),
        sample=metadata["sample"],
        sealed_until=seal,
        **fates,
    )


def common(described: Sequence[Mapping[str, Any]], contents: Contents, directory: Path) -> dict[str, Any]:
    """What can be told about all rows together.

    Raises:
        TraceFormatError: their secrets differ.
        ConfigurationError: their sample is not that of the output.
    """
    known = [contents.metadata] if contents.metadata else []
    if len({metadata["secret"] for metadata in (*described, *known)}) > 1:
        raise TraceFormatError(
            "these logs have several secrets, so that their keys cannot be compared; clean each apart"
        )
    sample = min(metadata["sample"] for metadata in described)
    if known and known[0]["sample"] != sample:
        message = f"{directory} holds a sample of {known[0]['sample']}, the logs one of {sample}"
        raise ConfigurationError(f"{message}; clean them into a new directory")
    shared = {name: value for name, value in described[0].items() if all(d.get(name) == value for d in described)}
    nodes = {metadata["node"] for metadata in described} | set(known[0]["nodes"] if known else ())
    about = {name: value for name, value in shared.items() if name not in PER_FILE}
    return {**about, "name": directory.name, "sample": sample, "nodes": sorted(nodes), "node": ", ".join(sorted(nodes))}


def threshold_of(sample: float) -> int:
    """Which fingerprints a sample holds."""
    return _core.Recorder(2, sample, bytes(16)).threshold


class Part(NamedTuple):
    """A file of cleaned rows."""

    name: str
    rows: int
    end: int  # ms; time of the last row


def write_part(rows: pl.DataFrame, directory: Path, number: int, metadata: Mapping[str, Any]) -> Part:
    """Writes rows in order to a file that does not count until the table of contents names it.

    Raises:
        ConfigurationError: it cannot be written.
    """
    name = f"part-{number:06d}.parquet"
    span = (rows["time"][0], rows["time"][-1])
    described = json.dumps({**metadata, "rows": rows.height, "span": span})
    try:
        rows.write_parquet(directory / name, compression="zstd", metadata={METADATA_KEY: described})
    except OSError as error:
        raise ConfigurationError(
            f"{directory / name} cannot be written: {error}; make room, or name another"
        ) from error
    return Part(name, rows.height, span[1])
