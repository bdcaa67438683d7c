"""Laws of payloads: a row comes back equal and of the same types, or it was refused; anything else is no row."""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from datetime import UTC, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecache.codec import HEADER, UNREADABLE, ZSTD, Codec

ZONES = st.sampled_from([None, UTC, ZoneInfo("Europe/Berlin"), timezone(timedelta(hours=-3, minutes=-30))])
SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.uuids(), st.decimals()),
    *(
        st.dates(),
        st.datetimes(timezones=ZONES),
        st.times(timezones=ZONES),
        st.timedeltas(),
        st.characters(categories=["Cs"]),
    ),
    st.integers(-(2**70), 2**70),
)


def is_hashable(value: Any) -> bool:
    return not (isinstance(value, Decimal) and value.is_snan())


VALUES = st.recursive(
    SCALARS,
    lambda items: (
        st.lists(items, max_size=4)
        | st.lists(items, max_size=4).map(tuple)
        | st.dictionaries(st.text(), items, max_size=4)
        | st.frozensets(SCALARS.filter(is_hashable), max_size=3)
        | st.sets(st.integers(), max_size=3)
    ),
    max_leaves=10,
)
COLUMNS = ["id", "name", "größe"]


class Product(msgspec.Struct):
    id: int
    name: Any
    price: Any = None


def shape(value: Any) -> Any:
    """What tells values apart that Python holds for equal: their types at any depth, and the sign of zero."""
    if isinstance(value, dict):
        return dict, {key: shape(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return type(value), Counter(repr(shape(item)) for item in value)  # in any order
    if isinstance(value, (list, tuple)):
        return type(value), [shape(item) for item in value]
    if isinstance(value, datetime):
        return datetime, value.isoformat(), value.fold, type(value.tzinfo), str(value.tzinfo)
    return type(value), repr(value)  # a float's sign of zero, a time's zone and fold


@given(st.lists(VALUES, min_size=3, max_size=3))
def test_rows_come_back_as_they_were(values: list[Any]) -> None:
    codec, row = Codec(COLUMNS), dict(zip(COLUMNS, values, strict=True))
    payload = codec.encode(row)
    if payload is None:  # half a character as the name of a field of a nested dict
        assert codec.stats().refused == 1
    else:
        assert shape(codec.decode(payload)) == shape(row)
        assert codec.stats().unreadable == 0


@given(VALUES, VALUES)
def test_structs_come_back_as_they_were(name: Any, price: Any) -> None:
    codec, product = Codec(["id", "name", "price"], Product), Product(7, name, price)
    payload = codec.encode(product)
    if payload is not None:
        back = codec.decode(payload)
        assert type(back) is Product
        assert shape(msgspec.structs.astuple(back)) == shape(msgspec.structs.astuple(product))


def test_that_there_is_no_row_is_a_payload_too() -> None:
    codec = Codec(["id"])
    assert codec.decode(codec.encode(None) or b"") is None


class Colour(IntEnum):
    RED = 1


class Zone(tzinfo):
    def utcoffset(self, _when: datetime | None) -> timedelta:
        return timedelta(0)


class Text(str):
    __slots__ = ()


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    "value",
    [
        *(Colour.RED, Text("a"), Fraction(1, 2), object(), {1: 2}, {("a",): 1}, ENDLESS, b"x" * 3000, 1j),
        *(time(1, tzinfo=Zone()), datetime(2026, 1, 1, tzinfo=Zone()), bytearray(b"a"), Product(1, "a")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_would_not_come_back_as_it_is_is_refused_and_counted(value: Any) -> None:
    codec = Codec(["id"], largest=2000)
    assert codec.encode({"id": value}) is None
    assert codec.stats().refused == 1


@pytest.mark.parametrize("row", [{}, {"id": 1, "more": 2}, {"other": 1}, 7, [1]], ids=repr)
def test_rows_of_other_columns_are_refused(row: Any) -> None:
    assert Codec(["id"]).encode(row) is None


@pytest.mark.parametrize(
    "other", [Codec(["id", "n"]), Codec(["name"]), Codec(["id", "name"], Product), Codec(["name", "id"])]
)
def test_rows_of_another_shape_are_no_rows(other: Codec) -> None:
    codec = Codec(["id", "name"])
    payload = codec.encode({"id": 1, "name": "a"})
    assert payload is not None
    assert other.decode(payload) is UNREADABLE
    assert other.stats().unreadable == 1


ROW = {"id": uuid4(), "name": "lamp " * 500, "größe": Decimal("1.50")}


@pytest.mark.parametrize("row", [ROW, ROW | {"name": "lamp"}], ids=["compressed", "plain"])
def test_any_change_of_a_byte_is_noticed(row: dict[str, Any]) -> None:
    codec = Codec(COLUMNS)
    payload = codec.encode(row) or b""
    for at in range(len(payload)):
        for flip in (1, 0x80, 0xFF):
            damaged = payload[:at] + bytes([payload[at] ^ flip]) + payload[at + 1 :]
            assert codec.decode(damaged) is UNREADABLE, (at, flip)
        assert codec.decode(payload[:at]) is UNREADABLE, at
    assert codec.decode(payload) == row


def test_large_rows_are_compressed_and_small_ones_are_not() -> None:
    codec = Codec(COLUMNS)
    large, small = codec.encode(ROW), codec.encode(ROW | {"name": "lamp"})
    assert large is not None
    assert small is not None
    assert (large[1], small[1]) == (ZSTD, 0)
    assert len(large) < 300


@pytest.mark.parametrize("claimed", [64 * 1024 * 1024, 2**32 - 1])
def test_a_payload_that_claims_to_be_huge_is_not_unpacked(claimed: int) -> None:
    import zstandard

    codec = Codec(["id"], largest=1000)
    bomb = struct.pack(">I", claimed) + zstandard.ZstdCompressor().compress(bytes(64 * 1024 * 1024))
    shape_bytes = HEADER.unpack_from(codec.encode(None) or b"")[2]
    header = HEADER.pack(1, ZSTD, shape_bytes, zlib.crc32(bomb, zlib.crc32(shape_bytes, ZSTD)))
    assert codec.decode(header + bomb) is UNREADABLE
