"""Laws of key names: one for each key and none for two, readable, and of bounded length."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecache.errors import KeyTypeError
from forecache.keys import LONGEST, decode_key, encode_key

SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(), st.binary(), st.uuids()),
    *(st.decimals(allow_nan=False), st.dates(), st.datetimes(), st.datetimes(timezones=st.just(UTC))),
    st.characters(categories=["Cs"]),
)
KEYS = st.recursive(SCALARS, lambda items: st.lists(items, max_size=4).map(tuple), max_leaves=8)


def same(one: Any, other: Any) -> bool:
    """Equal, and of one type, at any depth: what a key of the cache is."""
    if type(one) is not type(other):
        return False
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@given(KEYS)
def test_a_name_tells_its_key(key: Any) -> None:
    name = encode_key(key)
    assert len(name) <= LONGEST
    if not name.startswith(b"#"):
        assert same(decode_key(name), key), name


@given(KEYS, KEYS)
def test_names_are_equal_only_if_keys_are(one: Any, other: Any) -> None:
    assert (encode_key(one) == encode_key(other)) == same(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.0, -0.0),
        (Decimal("1.50"), Decimal("1.5")),
        (Decimal("100"), Decimal("1E2")),
        (Decimal("-0"), Decimal("0.000")),
        (datetime(2026, 1, 1, 12, tzinfo=UTC), datetime(2026, 1, 1, 13, tzinfo=timezone(timedelta(hours=1)))),
    ],
)
def test_equal_keys_of_one_type_have_one_name(one: Any, other: Any) -> None:
    assert one == other
    assert encode_key(one) == encode_key(other)


def test_long_keys_are_told_apart_to_the_last_byte_and_never_taken_for_short_ones() -> None:
    long = [encode_key("x" * LONGEST + end) for end in ("", "a", "b", "aa")]
    assert len(set(long)) == 4
    assert all(len(name) <= LONGEST and name.startswith(b"#") for name in long)
    assert encode_key(long[0].decode()) not in long


def test_huge_ints_cost_no_quadratic_time() -> None:
    assert encode_key(10**100_000) != encode_key(10**100_000 + 1)


class Colour(IntEnum):
    RED = 1


NESTED: Any = ()
for _ in range(20):
    NESTED = (NESTED,)


@pytest.mark.parametrize("key", [Colour.RED, Fraction(1), [1], object(), (1, [2]), NESTED], ids=repr)
def test_other_keys_are_refused_with_what_is_expected(key: Any) -> None:
    with pytest.raises(KeyTypeError, match=r"cannot be shared between processes; expected one of NoneType, bool, int"):
        encode_key(key)


@given(st.one_of(st.binary(max_size=40), KEYS.map(encode_key).map(lambda name: name[:-1])))
def test_what_is_no_name_is_refused_or_read_and_nothing_else(name: bytes) -> None:
    try:
        key = decode_key(name)
    except ValueError:
        return
    hash(key)
