"""Formats of trace files: one table, and how the format of a file is found."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, cast

from forecache.errors import EmptyTraceError, TraceFormatError

if TYPE_CHECKING:
    from forecache.record.trace import Trace

__all__ = ["FORMATS", "Format", "read", "write"]


class Codec(Protocol):
    """The module of one format; a format that is only read has no `encode`."""

    def decode(self, data: bytes, path: Path) -> Trace:
        """The trace in the uncompressed content of `path`.

        Raises:
            TraceFormatError: the content is not of this format.
        """

    def encode(self, trace: Trace) -> bytes:
        """The content of a file that holds `trace`.

        Raises:
            TraceFormatError: this format cannot hold the trace.
        """


@dataclass(frozen=True, slots=True)
class Format:
    """A row of the table of formats."""

    name: str
    suffixes: tuple[str, ...]  # lower case, the one to write first; `.zst` may follow
    holds: str
    decides: bool = True  # the suffix decides when reading; otherwise the content has to agree
    writable: bool = True

    def codec(self) -> Codec:
        """The module of the format, imported only now."""
        return cast("Codec", import_module(f"{__name__}.{self.name}"))


FORMATS: Final = {
    row.name: row
    for row in (
        Format("parquet", (".parquet", ".pq"), "columns time, key, size, op; schema metadata `trace` as JSON"),
        Format("csv", (".csv", ".tsv"), "columns by name; without a header: key | time,key | time,key,size | and op"),
        Format("oraclegeneral", (".oraclegeneral", ".oraclegeneral.bin"), "libCacheSim's packed 24-byte records"),
        Format("arc", (".lis",), "lines `start count ignored request`, count accesses each", writable=False),
        Format("text", (".txt", ".keys"), "one key per line", decides=False),
    )
}
NAMES: Final = ", ".join(FORMATS)


def read(path: Path, format: str | None = None) -> Trace:
    """The trace in a file, or in a directory of access logs.

    The format of a file is the one given, or that of the suffix, or what the content shows.

    Raises:
        TraceFormatError: the file cannot be read, its format cannot be found, or it is not of that format.
        EmptyTraceError: the file holds no access.
    """
    from forecache.record.formats import content

    if format is not None and format not in FORMATS:
        raise TraceFormatError(f"{path}: format {format!r} is unknown; expected one of {NAMES}")
    if path.is_dir():
        from forecache.record import history, partitions

        return partitions.whole(path) if partitions.Partitions.is_at(path) else history.read(path)
    data = content.load(path)
    if not data or data.isspace():
        raise EmptyTraceError(f"{path}: the file is empty; expected at least one access; record or fetch it again")
    name = format or _by_suffix(path) or content.recognise(data)
    if name is None:
        if _format_of_suffix(path) is not None:
            content.utf8(data, path)
        raise TraceFormatError(
            f"{path}: neither the suffix nor the content tells the format; "
            f"say it with format= or --format, one of {NAMES}"
        )
    trace = FORMATS[name].codec().decode(data, path)
    if len(trace) == 0:
        raise EmptyTraceError(f"{path}: no access in this {name} file; expected at least one; record or fetch it again")
    return trace


def write(trace: Trace, path: Path) -> None:
    """Writes a trace in the format of the suffix; compressed with zstd when `.zst` follows.

    Raises:
        TraceFormatError: no format to write has this suffix, it cannot hold the trace, or the file is not writable.
        EmptyTraceError: there is no access to write.
    """
    from forecache.record.formats import content

    found = _format_of_suffix(path)
    if found is None or not found.writable:
        suffixes = ", ".join(suffix for row in FORMATS.values() if row.writable for suffix in row.suffixes)
        raise TraceFormatError(f"{path}: no format to write has this suffix; expected one of {suffixes}")
    if len(trace) == 0:
        raise EmptyTraceError(f"{path}: the trace has no access to write; expected at least one")
    content.save(path, found.codec().encode(trace))


def stem(path: Path) -> str:
    """Name of a trace whose file does not tell: that of the file, without the suffixes of its format."""
    found = _format_of_suffix(path)
    bare = _without_zst(path)
    endings = [suffix for suffix in found.suffixes if bare.lower().endswith(suffix)] if found else [""]
    return bare[: len(bare) - max(map(len, endings))] or path.name


def _without_zst(path: Path) -> str:
    return path.name[:-4] if path.suffix.lower() == ".zst" else path.name


def _format_of_suffix(path: Path) -> Format | None:
    bare = _without_zst(path).lower()
    return next((row for row in FORMATS.values() if bare.endswith(row.suffixes)), None)


def _by_suffix(path: Path) -> str | None:
    found = _format_of_suffix(path)
    return found.name if found is not None and found.decides else None
