"""Content of trace files: bytes in and out, compressed or not, and the formats that bytes alone betray."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path
from struct import iter_unpack
from typing import TYPE_CHECKING, Final

from forecache.errors import TraceFormatError
from forecache.extras import TRACES, extra

if TYPE_CHECKING:
    from zstandard import ZstdDecompressionObj

__all__ = ["load", "lookahead", "recognise", "save", "utf8"]

ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
PARQUET_MAGIC: Final = b"PAR1"
CHUNK: Final = 1 << 20  # bytes
LOOKAHEAD: Final = 100  # lines or records that have to agree before a format is taken for granted
NEVER: Final = (-1, 2**63 - 1)  # both are found in oracleGeneral files

ARC_LINE: Final = re.compile(r"\s*\d+\s+\d+\s+0\s+\d+\s*")
SEPARATED: Final = re.compile(r"[\s,;|]")
NUMBERS: Final = re.compile(r"\d+(,\d+){1,2}")


def load(path: Path) -> bytes:
    """Content of a file, decompressed if it begins as zstd does.

    Raises:
        TraceFormatError: it is missing, no file, not readable, or its compression is damaged.
    """
    try:
        with path.open("rb") as file:
            chunks = iter(lambda: file.read(CHUNK), b"")
            first = next(chunks, b"")
            if first and path.suffix.lower() == ".zst" and ZSTD_MAGIC.startswith(first):
                raise TraceFormatError(
                    f"{path}: the zstd compression ends where it begins; the file is cut: fetch it again"
                )
            if not first.startswith(ZSTD_MAGIC):
                return b"".join((first, *chunks))
            return b"".join(_decompressed(path, first, chunks))
    except FileNotFoundError as error:
        raise TraceFormatError(f"{path}: there is no such file; check the path") from error
    except IsADirectoryError as error:
        raise TraceFormatError(f"{path}: this is a directory; expected a trace file; name a file in it") from error
    except (OSError, ValueError) as error:
        raise TraceFormatError(f"{path}: the file cannot be read ({error}); check its path and rights") from error


def _decompressed(path: Path, first: bytes, chunks: Iterator[bytes]) -> Iterator[bytes]:
    with extra(TRACES):
        from zstandard import ZstdDecompressor, ZstdError
    frame: ZstdDecompressionObj | None = None
    try:
        for chunk in chain((first,), chunks):
            rest = chunk
            while rest:
                frame = frame or ZstdDecompressor().decompressobj()
                yield frame.decompress(rest)
                rest, frame = (frame.unused_data, None) if frame.eof else (b"", frame)
    except ZstdError as error:
        raise TraceFormatError(f"{path}: the zstd compression is damaged ({error}); fetch the file again") from error
    if frame is not None:
        raise TraceFormatError(f"{path}: the zstd compression ends within a frame; the file is cut: fetch it again")


def save(path: Path, data: bytes) -> None:
    """Writes the content of a file, compressed when its name ends in `.zst`.

    Raises:
        TraceFormatError: the file is not writable.
    """
    if path.suffix.lower() == ".zst":
        with extra(TRACES):
            from zstandard import ZstdCompressor
        data = ZstdCompressor(write_checksum=True).compress(data)
    try:
        path.write_bytes(data)
    except (OSError, ValueError) as error:
        raise TraceFormatError(f"{path}: the file cannot be written ({error}); check its directory") from error


def utf8(data: bytes, path: Path) -> str:
    """Text of a file, without a byte order mark.

    Raises:
        TraceFormatError: it is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise TraceFormatError(
            f"{path}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8 text; "
            "convert the file to UTF-8, or name its format if it is binary"
        ) from error


def lookahead(data: bytes) -> list[str]:
    """The first whole lines of a text that are not blank; none if it is not text."""
    head = data[:CHUNK]
    whole = head if len(head) == len(data) else head[: head.rfind(b"\n") + 1]
    try:
        lines = whole.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        return []
    return [] if b"\0" in whole else [line for line in lines[: 2 * LOOKAHEAD] if line.strip()][:LOOKAHEAD]


def recognise(data: bytes) -> str | None:
    """Name of the only format that content like this can have; None if there may be several, or none."""
    if data.startswith(PARQUET_MAGIC):
        return "parquet"
    lines = lookahead(data)
    if not lines:
        return "oraclegeneral" if _looks_like_oracle_general(data) else None
    if all(ARC_LINE.fullmatch(line) for line in lines):
        return "arc"
    if not any(SEPARATED.search(line.strip()) for line in lines):
        return "text"
    return "csv" if _looks_like_csv(lines) else None


def _looks_like_oracle_general(data: bytes) -> bool:
    """Whether time does not fall, and each next access lies ahead."""
    if len(data) % 24:
        return False
    records = list(iter_unpack("<IQIq", data[: 24 * LOOKAHEAD]))
    ahead = all(record[3] in NEVER or record[3] > index for index, record in enumerate(records))
    return ahead and all(before[0] <= after[0] for before, after in pairwise(records))


def _looks_like_csv(lines: list[str]) -> bool:
    """Whether the first line names the key, or all lines are two or three integers between commas."""
    from forecache.record.formats.columns import canonical
    from forecache.record.formats.csv import fields

    return "key" in map(canonical, fields(lines[0])[0]) or all(NUMBERS.fullmatch(line.strip()) for line in lines)
