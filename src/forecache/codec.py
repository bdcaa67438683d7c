"""Codec: rows of one shape as bytes, and back; what cannot be read is no row, and no error.

A payload is a header and a body: version, how the body is packed, the shape that the row has, and a checksum of it
all. Payloads of other versions, other shapes and other programs, and damaged ones, are counted and read as missing.
The body is the row's values in the order of its columns, without their names (`wire.py`), compressed if that helps.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Final

from forecache.errors import MissingExtraError
from forecache.extras import extra
from forecache.wire import Refused, pack, unpack

__all__ = ["UNREADABLE", "Codec", "CodecStats", "Unreadable"]

VERSION: Final = 1
PLAIN, ZSTD = 0, 1  # how a body is packed
HEADER: Final = struct.Struct(">BB8sI")  # version, packing, shape, checksum of the rest
SIZE: Final = struct.Struct(">I")  # bytes of a compressed body once it is unpacked
COMPRESS_FROM: Final = 512  # bytes; below it zstd saves less than a third, see docs/decisions/0041
LEVEL: Final = 1  # of zstd; 3 takes longer and is no smaller on rows
LARGEST: Final = 16 * 1024 * 1024  # bytes of a body: more is a slip, or made to exhaust memory


class Unreadable:
    """The type of `UNREADABLE`."""

    __slots__ = ()

    def __repr__(self) -> str:
        """Its name."""
        return "UNREADABLE"


UNREADABLE: Final = Unreadable()  # in place of a row: these bytes are none


@dataclass(frozen=True, slots=True)
class CodecStats:
    """What a codec could not do."""

    unreadable: int = 0  # payloads that were no row of this shape
    refused: int = 0  # rows that would not come back as they are, or are too large: kept in their process only


class Codec:
    """Rows of one table as bytes.

    >>> codec = Codec(["id", "price"])
    >>> codec.decode(codec.encode({"id": 7, "price": 19.5}))
    {'id': 7, 'price': 19.5}
    >>> codec.decode(b"something else"), codec.decode(codec.encode(None))
    (UNREADABLE, None)
    """

    def __init__(self, columns: Sequence[str], row: type = dict, *, largest: int = LARGEST) -> None:
        """Rows with these columns; two codecs understand each other if columns and row type are the same.

        Args:
            columns: names, in their order; at least one.
            row: dict, or a msgspec.Struct that has them as fields.
            largest: bytes of a row before compression, beyond which it is refused.
        """
        self._columns = tuple(columns)
        self._shape = shape_of(self._columns, row)
        self._values_of, self._row_of = makers(self._columns, row)
        self._largest = largest
        self._zstd = Zstd.installed()
        self._unreadable = 0
        self._refused = 0

    def encode(self, row: Any) -> bytes | None:
        """The payload of a row, or of None, which says that there is no such row.

        Returns:
            Bytes, or None if the row is too large, has other columns, or holds what would not come back as it is.
        """
        try:
            body = pack([] if row is None else self._values_of(row))
        except (Refused, KeyError, AttributeError, TypeError):
            body = None
        if body is None or len(body) > self._largest:
            self._refused += 1
            return None
        packing, body = self._compressed(body)
        return HEADER.pack(VERSION, packing, self._shape, self._checksum(packing, body)) + body

    def decode(self, payload: bytes) -> Any:
        """The row of a payload, None if it says that there is none, or `UNREADABLE`."""
        try:
            values = unpack(self._body(payload))
            return self._row_of(*values) if values else None
        except MissingExtraError:
            raise
        except Exception:  # noqa: BLE001 - foreign bytes may fail in any way, and none may fail a request
            self._unreadable += 1
            return UNREADABLE

    def stats(self) -> CodecStats:
        """What could not be done so far."""
        return CodecStats(self._unreadable, self._refused)

    def _compressed(self, body: bytes) -> tuple[int, bytes]:
        if len(body) < COMPRESS_FROM or self._zstd is None:
            return PLAIN, body
        smaller = SIZE.pack(len(body)) + self._zstd.compress(body)
        return (ZSTD, smaller) if len(smaller) < len(body) else (PLAIN, body)

    def _body(self, payload: bytes) -> bytes:
        version, packing, shape, checksum = HEADER.unpack_from(payload)
        body = payload[HEADER.size :]
        if version != VERSION or shape != self._shape or checksum != self._checksum(packing, body):
            raise ValueError("another version, another shape, or damaged")
        if packing == PLAIN:
            return body
        if packing != ZSTD or self._zstd is None:
            raise ValueError("packed in an unknown way, or zstandard is not installed")
        (size,) = SIZE.unpack_from(body)
        return self._zstd.decompress(body[SIZE.size :], min(size, self._largest))

    def _checksum(self, packing: int, body: bytes) -> int:
        return zlib.crc32(body, zlib.crc32(self._shape, packing))


def shape_of(columns: tuple[str, ...], row: type) -> bytes:
    """Eight bytes that tell rows of different columns or row types apart."""
    kind = "dict" if row is dict else f"{row.__module__}.{row.__qualname__}"
    return blake2b(pack([kind, *columns]), digest_size=8).digest()


def makers(columns: tuple[str, ...], row: type) -> tuple[Callable[[Any], list[Any]], Callable[..., Any]]:
    """How to get the values of a row, and how to make a row of them."""
    if row is not dict:
        return lambda made: [getattr(made, column) for column in columns], lambda *values: row(
            **dict(zip(columns, values, strict=True))
        )

    def values_of(made: Mapping[str, Any]) -> list[Any]:
        if len(made) != len(columns):
            raise KeyError("the row has other columns")
        return [made[column] for column in columns]

    return values_of, lambda *values: dict(zip(columns, values, strict=True))


class Zstd(threading.local):
    """Zstandard's contexts, which no two threads may share."""

    def __init__(self) -> None:
        """Makes those of this thread."""
        import zstandard

        self._content_size = zstandard.frame_content_size
        self.compress = zstandard.ZstdCompressor(level=LEVEL).compress
        self._decompress = zstandard.ZstdDecompressor().decompress

    @classmethod
    def installed(cls) -> Zstd | None:
        """None where the package is not installed: values then travel as they are."""
        try:
            with extra("valkey"):
                return cls()
        except MissingExtraError:
            return None

    def decompress(self, body: bytes, size: int) -> bytes:
        """The body of a known size; what claims another is not unpacked, since it may be made to exhaust memory."""
        if self._content_size(body) != size:
            raise ValueError("not the size it should have")
        return self._decompress(body)
