"""How entries of a shard's log look, there and as they are published; keys of rows are named as `keys.py` does."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from forecache.coherence.beacons.shard import Entry
from forecache.coherence.changes import EVERY, Change

__all__ = ["packed", "said", "saying", "unpacked"]

HEAD: Final = struct.Struct(">HI")  # bytes of a table's name, bytes of a key's
EPOCH_BYTES: Final = 32
SAID: Final = struct.Struct(">QII")  # number of an entry, bytes of what ends, bytes of what is held
WHOLE: Final = 0xFFFF_FFFF  # in place of the latter: any row of the table


def packed(changes: Iterable[Change]) -> bytes:
    """Tables and names of keys, as bytes."""
    parts = []
    for table, key in changes:
        name = table.encode("utf-8", "surrogatepass")
        row: bytes = b"" if key is EVERY else key  # type: ignore[assignment]
        parts += [HEAD.pack(len(name), WHOLE if key is EVERY else len(row)), name, row]
    return b"".join(parts)


def unpacked(data: bytes) -> tuple[Change, ...]:
    """The same back."""
    changes, at = [], 0
    while at < len(data):
        table_bytes, key_bytes = HEAD.unpack_from(data, at)
        at += HEAD.size
        table = data[at : at + table_bytes].decode("utf-8", "surrogatepass")
        at += table_bytes
        if key_bytes == WHOLE:
            changes.append(Change(table, EVERY))
        else:
            changes.append(Change(table, data[at : at + key_bytes]))
            at += key_bytes
    return tuple(changes)


def saying(epoch: str, entries: Iterable[Entry]) -> bytes:
    """What `MARK` publishes: entries of an epoch's log, of which the last is the mark."""
    parts = [epoch.encode()]
    for number, changes, held in entries:
        ended, kept = packed(changes), packed(held)
        parts += [SAID.pack(number, len(ended), len(kept)), ended, kept]
    return b"".join(parts)


def said(content: bytes) -> tuple[str, list[Entry]]:
    """The same back."""
    at, entries = EPOCH_BYTES, []
    while at < len(content):
        number, ended, kept = SAID.unpack_from(content, at)
        middle = at + SAID.size + ended
        at = middle + kept
        entries.append(Entry(number, unpacked(content[middle - ended : middle]), unpacked(content[middle:at])))
    return content[:EPOCH_BYTES].decode(), entries
