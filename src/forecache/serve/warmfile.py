"""Warm file: the hottest keys of a cache in their order, and what its policy learned, for the next process.

| bytes | what |
|---|---|
| 8 | the mark; like PNG's, it does not survive a transfer as text |
| 2 | version of the format |
| 4 | CRC-32 of all after |
| 4 + … | length of what was learned, and that: a model file |
| 2, then 2 + … each | number of tables, and their names in UTF-8 |
| 4, then 2 + 2 + … each | number of keys; of each its table, and length and bytes of its name (`keys.py`) |

All numbers are big-endian. It holds no values, and nothing in it is ever executed.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

from forecache.errors import KeyTypeError
from forecache.keys import decode_key, encode_key

__all__ = ["MOST_KEYS", "WarmList", "read_list", "write_list"]

MARK: Final = b"\x89FCW\r\n\x1a\n"
VERSION: Final = 1
HEAD: Final = struct.Struct(">8sHI")
LARGEST: Final = 64 * 2**20  # bytes of a file; more is none of ours
MOST_KEYS: Final = 100_000  # 2 MB of short keys; at 1,000 a second they take a minute and a half


class WarmList(NamedTuple):
    """What a process leaves to the next."""

    keys: tuple[tuple[str, Any], ...] = ()  # pairs of a table and a key, those that are needed soonest first
    lore: bytes = b""  # what the policy learned; empty if that is nothing


def write_list(path: Path, found: WarmList) -> None:
    """Replaces the file as a whole, or not at all; keys that have no name of their own are left out.

    Raises:
        OSError: it cannot be written.
    """
    body = encoded(found)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(HEAD.pack(MARK, VERSION, zlib.crc32(body)) + body)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_list(path: Path) -> WarmList:
    """What a file holds.

    Raises:
        OSError: it cannot be read.
        ValueError: it is damaged, of another version, or not of this kind; the message says which.
    """
    with path.open("rb") as file:
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST or data[: len(MARK)] != MARK:
        raise ValueError("it was not written by forecache")
    try:
        _, version, checksum = HEAD.unpack_from(data)
        if version != VERSION:
            raise ValueError(f"it is of format {version}, and this version reads {VERSION}")
        if zlib.crc32(data[HEAD.size :]) != checksum:
            raise ValueError("it is damaged")
        return decoded(data[HEAD.size :])
    except (struct.error, IndexError):
        raise ValueError("it is incomplete") from None


def encoded(found: WarmList) -> bytes:
    """The file without its head."""
    tables = list(dict.fromkeys(table for table, _ in found.keys))
    numbers = {table: number for number, table in enumerate(tables)}
    keys = [
        struct.pack(">HH", numbers[table], len(name)) + name
        for table, key in found.keys[:MOST_KEYS]
        if (name := name_of(key))
    ]
    names = [table.encode() for table in tables]
    return b"".join(
        (
            struct.pack(">I", len(found.lore)),
            found.lore,
            struct.pack(">H", len(names)),
            *(struct.pack(">H", len(name)) + name for name in names),
            struct.pack(">I", len(keys)),
            *keys,
        )
    )


def decoded(body: bytes) -> WarmList:
    """What the file without its head says."""
    rest = Rest(body)
    lore = rest.take(*rest.numbers(">I"))
    tables = [rest.take(*rest.numbers(">H")).decode() for _ in range(*rest.numbers(">H"))]
    pairs = (rest.numbers(">HH") for _ in range(*rest.numbers(">I")))
    return WarmList(tuple((tables[table], decode_key(rest.take(length))) for table, length in pairs), lore)


class Rest:
    """Bytes that are read from their beginning."""

    def __init__(self, data: bytes) -> None:
        """All of them."""
        self._data = data
        self._at = 0

    def take(self, count: int) -> bytes:
        """The next ones."""
        taken = self._data[self._at : self._at + count]
        if len(taken) < count:
            raise IndexError(count)
        self._at += count
        return taken

    def numbers(self, form: str) -> Iterable[Any]:
        """The next ones as numbers."""
        return struct.unpack(form, self.take(struct.calcsize(form)))


def name_of(key: Any) -> bytes:
    """What a key is called in the file; empty if it has no name from which it can be told."""
    try:
        name = encode_key(key)
    except KeyTypeError:
        return b""
    return b"" if name.startswith(b"#") else name
