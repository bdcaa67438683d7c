"""Laws of the decoder: it reads what an encoder wrote, and refuses everything else with one error."""

from __future__ import annotations

import struct
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from forecache.coherence import pgoutput
from forecache.coherence.pgoutput import (
    UNCHANGED,
    Begin,
    Column,
    Deleted,
    End,
    Inserted,
    Logged,
    Record,
    Relation,
    Truncated,
    Updated,
    Values,
    decode,
    widen,
)
from forecache.errors import ChangeLogError

OIDS = st.integers(0, 2**32 - 1)
POSITIONS = st.integers(0, 2**64 - 1)
NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
ROWS = st.lists(st.one_of(st.none(), st.just(UNCHANGED), st.binary(max_size=6)), max_size=5)
COLUMNS = st.builds(Column, NAMES, st.booleans(), OIDS)
RECORDS = st.one_of(
    st.builds(Begin, OIDS),
    st.builds(End, POSITIONS),
    st.builds(Relation, OIDS, NAMES, NAMES, st.lists(COLUMNS, max_size=5).map(tuple)),
    st.builds(Inserted, OIDS, ROWS),
    st.builds(Updated, OIDS, st.none() | ROWS, ROWS),
    st.builds(Deleted, OIDS, ROWS),
    st.builds(Truncated, st.lists(OIDS, max_size=4).map(tuple)),
    st.builds(Logged, st.booleans(), POSITIONS, NAMES, st.binary(max_size=20)),
)


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


@given(RECORDS)
def test_what_is_written_is_read(record: Record) -> None:
    assert decode(encode(record)) == record


@given(RECORDS, st.data())
def test_a_part_is_refused(record: Record, data: st.DataObject) -> None:
    whole = encode(record)
    with pytest.raises(ChangeLogError):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(RECORDS, st.binary(min_size=1, max_size=4))
def test_a_rest_is_refused(record: Record, rest: bytes) -> None:
    with pytest.raises(ChangeLogError):
        decode(encode(record) + rest)


@given(st.sampled_from(sorted(pgoutput.READERS)), st.binary(max_size=60))
@example(ord("T"), b"\xff\xff\xff\xff\0")
@example(ord("I"), b"\0\0\0\1N\0\1t\xff\xff\xff\xff")
def test_any_bytes_are_a_record_or_refused(kind: int, rest: bytes) -> None:
    with suppress(ChangeLogError):
        decode(bytes([kind]) + rest)


@given(st.binary(max_size=4))
def test_unknown_kinds_are_refused(data: bytes) -> None:
    if data[:1] not in {bytes([kind]) for kind in pgoutput.READERS}:
        with pytest.raises(ChangeLogError, match="not understood"):
            decode(data)


@given(st.integers(2**31, 2**60), st.integers(-(2**31), 2**31 - 1))
@example(2**32, -1)
@example(2**32 - 1, 1)
@example(2**33 + 5, 2**31 - 1)
def test_a_number_is_widened_to_that_nearby(near: int, distance: int) -> None:
    xid = near + distance
    assert widen(xid % 2**32, near) == xid
