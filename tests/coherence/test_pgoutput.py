"""Laws of the decoder: it reads what an encoder wrote, and refuses everything else with one error."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from forecache.coherence.postgresql import pgoutput
from forecache.coherence.postgresql.pgoutput import (
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
    decode,
    widen,
)
from forecache.errors import ChangeLogError
from tests.coherence.stream import encode

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


@settings(deadline=None)
@given(RECORDS)
def test_what_is_written_is_read(record: Record) -> None:
    assert decode(encode(record)) == record


@settings(deadline=None)
@given(RECORDS, st.data())
def test_a_part_is_refused(record: Record, data: st.DataObject) -> None:
    whole = encode(record)
    with pytest.raises(ChangeLogError):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


@settings(deadline=None)
@given(RECORDS, st.binary(min_size=1, max_size=4))
def test_a_rest_is_refused(record: Record, rest: bytes) -> None:
    with pytest.raises(ChangeLogError):
        decode(encode(record) + rest)


@settings(deadline=None)
@given(st.sampled_from(sorted(pgoutput.READERS)), st.binary(max_size=60))
@example(ord("T"), b"\xff\xff\xff\xff\0")
@example(ord("I"), b"\0\0\0\1N\0\1t\xff\xff\xff\xff")
def test_any_bytes_are_a_record_or_refused(kind: int, rest: bytes) -> None:
    with suppress(ChangeLogError):
        decode(bytes([kind]) + rest)


@settings(deadline=None)
@given(st.binary(max_size=4))
def test_unknown_kinds_are_refused(data: bytes) -> None:
    if data[:1] not in {bytes([kind]) for kind in pgoutput.READERS}:
        with pytest.raises(ChangeLogError, match="not understood"):
            decode(data)


@settings(deadline=None)
@given(st.integers(2**31, 2**60), st.integers(-(2**31), 2**31 - 1))
@example(2**32, -1)
@example(2**32 - 1, 1)
@example(2**33 + 5, 2**31 - 1)
def test_a_number_is_widened_to_that_nearby(near: int, distance: int) -> None:
    xid = near + distance
    assert widen(xid % 2**32, near) == xid
