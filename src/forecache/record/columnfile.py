"""ColumnFile: a Parquet file of access rows, written one group of rows at a time.

Written without Polars, whose threads do not survive a fork: a child of a process that used it would hang, and a
server must not. The rows come as the bytes that Parquet wants, so what is left is framing.
Source: the Apache Parquet format 2.11, parquet.thrift.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from struct import pack
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from forecache import _core
from forecache.record.thrift import BINARY, I32, I64, LIST, STRUCT, binary, struct, varint, vector, zigzag

if TYPE_CHECKING:
    from zstandard import ZstdCompressor

__all__ = ["METADATA_KEY", "ColumnFile", "is_whole", "new_compressor"]

MAGIC: Final = b"PAR1"
METADATA_KEY: Final = "trace"
LEVEL: Final = 3  # of zstd
CHUNK: Final = 1 << 20  # bytes

BOOLEAN, INT32, INT64, BYTE_ARRAY = 0, 1, 2, 6  # physical types
UTF8, UINT_16, UINT_64, INT_64 = 0, 12, 14, 18  # converted types
PLAIN, RLE, RLE_DICTIONARY = 0, 3, 8  # encodings
ZSTD: Final = 6
DATA_PAGE, DICTIONARY_PAGE = 0, 2


class Column(NamedTuple):
    """How the values of a column are stored."""

    type: int
    converted: int | None


COLUMNS: Final = {
    "time": Column(INT64, INT_64),  # milliseconds since the epoch
    "key": Column(INT64, UINT_64),  # fingerprint
    "size": Column(INT64, INT_64),  # weight; 1 where unknown
    "op": Column(BYTE_ARRAY, UTF8),  # of `_core.OPS`
    "hit": Column(BOOLEAN, None),  # whether the key was there
    "sequence": Column(INT64, UINT_64),  # position in what the node recorded; gaps were dropped
    "node": Column(INT64, UINT_64),  # drawn by chance for each recorder
    "context": Column(INT32, UINT_16),  # what kind of key it is, of values that are stored; else 0
}


class ColumnFile:
    """A file that is whole only after `finish`; every write goes to the system at once, none waits in the process."""

    def __init__(self, path: Path) -> None:
        """Begins a new file.

        Raises:
            OSError: it exists, or cannot be made.
            MissingExtraError: zstandard is not installed.
        """
        self.path = path
        self.rows = 0
        self.size = 0
        self._checksum = 0
        self._groups: list[bytes] = []
        self._compressor = new_compressor()
        self._file = path.open("xb", buffering=0)
        self._write(MAGIC)

    def append(self, rows: int, span: tuple[int, int], columns: Mapping[str, bytes]) -> None:
        """Adds a group of at least one row.

        Args:
            rows: how many.
            span: times of the first and of the last of them; none lies outside.
            columns: values of each column as Parquet's PLAIN encoding has them; those of op are one byte each.

        Raises:
            OSError: they cannot be written.
        """
        start, chunks = self.size, []
        for name, column in COLUMNS.items():
            bounds = span if name == "time" else None
            chunks.append(self._chunk(name, column, rows, columns[name], bounds))
        self._groups.append(struct((1, LIST, vector(STRUCT, chunks)), (2, I64, self.size - start), (3, I64, rows)))
        self.rows += rows

    def finish(self, metadata: Mapping[str, Any]) -> None:
        """Ends the file with its table of contents, and waits until it is on the disk.

        Args:
            metadata: what JSON can hold; the checksum of the rows is added to it.

        Raises:
            OSError: it cannot be written.
        """
        checked = {**metadata, "crc32": self._checksum, "crc32_bytes": self.size}
        entry = struct((1, BINARY, METADATA_KEY.encode()), (2, BINARY, json.dumps(checked).encode()))
        footer = struct(
            (1, I32, 2),
            (2, LIST, vector(STRUCT, schema())),
            (3, I64, self.rows),
            (4, LIST, vector(STRUCT, self._groups)),
            (5, LIST, vector(STRUCT, [entry])),
            (6, BINARY, b"forecache"),
        )
        self._write(footer + pack("<I", len(footer)) + MAGIC)
        os.fsync(self._file.fileno())
        self._file.close()

    def abandon(self) -> None:
        """Closes the file as it is."""
        self._file.close()

    def _chunk(self, name: str, column: Column, rows: int, values: bytes, bounds: tuple[int, int] | None) -> bytes:
        start, raw, dictionary = self.size, 0, None
        if column.type == BYTE_ARRAY:
            words = b"".join(pack("<I", len(word)) + word.encode() for word in _core.OPS)
            dictionary, raw = start, self._page(DICTIONARY_PAGE, len(_core.OPS), PLAIN, words)
            values = byte_indices(values)
        data, encoding = self.size, PLAIN if dictionary is None else RLE_DICTIONARY
        raw += self._page(DATA_PAGE, rows, encoding, values)
        statistics = bounds and struct((5, BINARY, pack("<q", bounds[1])), (6, BINARY, pack("<q", bounds[0])))
        described = struct(
            (1, I32, column.type),
            (2, LIST, vector(I32, [zigzag(encoding), zigzag(PLAIN)])),
            (3, LIST, vector(BINARY, [binary(name.encode())])),
            (4, I32, ZSTD),
            (5, I64, rows),
            (6, I64, raw),
            (7, I64, self.size - start),
            (9, I64, data),
            (11, I64, dictionary),
            (12, STRUCT, statistics),
        )
        return struct((2, I64, start), (3, STRUCT, described))

    def _page(self, kind: int, values: int, encoding: int, content: bytes) -> int:
        """Writes a page; returns its bytes uncompressed, the header included."""
        packed = self._compressor.compress(content)
        if kind == DATA_PAGE:
            head = (5, STRUCT, struct((1, I32, values), (2, I32, encoding), (3, I32, RLE), (4, I32, RLE)))
        else:
            head = (7, STRUCT, struct((1, I32, values), (2, I32, encoding)))
        header = struct((1, I32, kind), (2, I32, len(content)), (3, I32, len(packed)), head)
        self._write(header + packed)
        return len(header) + len(content)

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]
        self._checksum = zlib.crc32(data, self._checksum)
        self.size += len(data)


def new_compressor() -> ZstdCompressor:
    """A compressor.

    Raises:
        MissingExtraError: zstandard is not installed.
    """
    from forecache.extras import TRACES, extra

    with extra(TRACES):
        from zstandard import ZstdCompressor
    return ZstdCompressor(level=LEVEL)


def schema() -> Iterable[bytes]:
    """The root of the schema, and its columns, none of which may be null."""
    yield struct((4, BINARY, b"trace"), (5, I32, len(COLUMNS)))
    for name, column in COLUMNS.items():
        yield struct((1, I32, column.type), (3, I32, 0), (4, BINARY, name.encode()), (6, I32, column.converted))


def byte_indices(indices: bytes) -> bytes:
    """Indices of one byte each as a single bit-packed run of Parquet's hybrid encoding, 8 bits wide."""
    groups = -(-len(indices) // 8)
    return b"\x08" + varint(groups << 1 | 1) + indices.ljust(groups * 8, b"\0")


def is_whole(path: Path, metadata: Mapping[str, Any]) -> bool:
    """Whether the rows of a file are those that were written, as far as its metadata has their checksum.

    Raises:
        OSError: it cannot be read.
    """
    checksum, rest = 0, int(metadata.get("crc32_bytes", 0))
    with path.open("rb") as file:
        while rest > 0 and (chunk := file.read(min(rest, CHUNK))):
            checksum, rest = zlib.crc32(chunk, checksum), rest - len(chunk)
    return rest == 0 and checksum == metadata.get("crc32", 0)
