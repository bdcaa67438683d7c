"""A writer of the replication stream, as PostgreSQL's documentation has it."""

from __future__ import annotations

import struct

from forecache.coherence.postgresql.pgoutput import (
    Begin,
    Deleted,
    End,
    Inserted,
    Logged,
    Record,
    Relation,
    Truncated,
    Updated,
    Values,
)

__all__ = ["encode"]


def row(values: Values) -> bytes:
    parts = [struct.pack("!H", len(values))]
    for value in values:
        if isinstance(value, bytes):
            parts.append(b"t" + struct.pack("!i", len(value)) + value)
        else:
            parts.append(b"n" if value is None else b"u")
    return b"".join(parts)


def encode(record: Record) -> bytes:  # noqa: PLR0911 - one for each kind
    """As PostgreSQL's documentation has it."""
    match record:
        case Begin(xid):
            return b"B" + struct.pack("!QqI", 1, 2, xid)
        case End(position):
            return b"C" + struct.pack("!BQQq", 0, 1, position, 2)
        case Relation(oid, schema, name, columns):
            described = [
                struct.pack("!B", column.is_key) + column.name.encode() + b"\0" + struct.pack("!Ii", column.kind, -1)
                for column in columns
            ]
            head = struct.pack("!I", oid) + schema.encode() + b"\0" + name.encode() + b"\0d"
            return b"R" + head + struct.pack("!H", len(columns)) + b"".join(described)
        case Inserted(oid, new):
            return b"I" + struct.pack("!I", oid) + b"N" + row(new)
        case Updated(oid, old, new):
            before = b"" if old is None else b"K" + row(old)
            return b"U" + struct.pack("!I", oid) + before + b"N" + row(new)
        case Deleted(oid, old):
            return b"D" + struct.pack("!I", oid) + b"O" + row(old)
        case Truncated(oids):
            return b"T" + struct.pack(f"!IB{len(oids)}I", len(oids), 0, *oids)
        case Logged(is_transactional, position, prefix, content):
            head = struct.pack("!BQ", is_transactional, position) + prefix.encode() + b"\0"
            return b"M" + head + struct.pack("!I", len(content)) + content
