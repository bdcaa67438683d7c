"""Laws of units: what is written can be read, and what is ambiguous is refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from math import floor, inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecache.errors import CapacityError, DurationError, ForecacheError
from forecache.units import Capacity, format_duration, format_size, parse_duration, parse_size

SECONDS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}


@dataclass
class Held:
    """A footprint."""

    unique: int = 2_500
    unique_bytes: int = 10_000
    has_sizes: bool = True


@given(seconds=st.floats(0, 1e11))
def test_a_formatted_duration_is_the_same_duration(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == seconds


@given(counts=st.lists(st.integers(0, 999), min_size=5, max_size=5), gap=st.sampled_from(["", " "]))
def test_a_duration_is_the_sum_of_its_parts(counts: list[int], gap: str) -> None:
    text = gap.join(f"{count}{unit}" for count, unit in zip(counts, SECONDS, strict=True))
    assert parse_duration(text) == sum(count * SECONDS[unit] for count, unit in zip(counts, SECONDS, strict=True))


@given(microseconds=st.integers(0, 10**15))
def test_a_timedelta_is_its_seconds(microseconds: int) -> None:
    delta = timedelta(microseconds=microseconds)
    assert parse_duration(delta) == delta.total_seconds()


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        ("5m", 300),
        ("250ms", 0.25),
        ("1h30m", 5400),
        ("1.5h", 5400),
        (" 2d ", 172_800),
        ("300", 300),
        (7, 7),
        (0.5, 0.5),
    ],
)
def test_durations_as_people_write_them(duration: str | float, seconds: float) -> None:
    assert parse_duration(duration) == seconds


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (0.25, "250ms"), (5400, "1h30m"), (90.5, "1m30.5s"), (3e-6, "3us")]
)
def test_durations_as_people_read_them(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("duration", "wrong"),
    [
        ("", "is empty"),
        ("5M", "not understood at '5M'"),
        ("5 minutes", "'5 minutes'"),
        ("30m1h", "'h' twice or after a smaller unit"),
        ("1h1h", "'h' twice"),
        ("1h30", "at '30'"),
        ("-5m", "at '-5m'"),
        (-1, "out of range"),
        (nan, "out of range"),
        (inf, "out of range"),
        (10**400, "out of range"),
        (timedelta(days=-1), "out of range"),
        (True, "type bool"),
        (None, "type NoneType"),
    ],
)
def test_what_is_no_duration_is_refused(duration: object, wrong: str) -> None:
    with pytest.raises(DurationError, match=wrong):
        parse_duration(duration)  # type: ignore[arg-type]


@given(size=st.integers(0, 2**63))
def test_a_formatted_size_is_the_same_size_to_four_digits(size: int) -> None:
    assert abs(parse_size(format_size(size)) - size) <= size / 1000


@given(count=st.integers(0, 1023), power=st.integers(0, 5))
def test_a_whole_number_of_units_is_formatted_exactly(count: int, power: int) -> None:
    assert parse_size(format_size(count * 1024**power)) == count * 1024**power


@given(count=st.integers(0, 9_000), unit=st.sampled_from(["KB", "MB", "GB", "TB"]), gap=st.sampled_from(["", " "]))
def test_case_does_not_matter_and_the_i_means_1024(count: int, unit: str, gap: str) -> None:
    power = "KMGT".index(unit[0]) + 1
    assert parse_size(f"{count}{gap}{unit.lower()}") == parse_size(f"{count}{unit}") == count * 1000**power
    assert parse_size(f"{count}{gap}{unit[0]}ib") == count * 1024**power


@pytest.mark.parametrize(
    ("size", "count"), [("256MiB", 2**28), ("1.5GB", 1_500_000_000), ("4096", 4096), ("7 B", 7), (9, 9)]
)
def test_sizes_as_people_write_them(size: str | int, count: int) -> None:
    assert parse_size(size) == count


@pytest.mark.parametrize(
    ("size", "wrong"),
    [
        ("64k", "ambiguous: 'k' may be 1000 or 1024 bytes; write 'KB' or 'KiB'"),
        ("2G", "write 'GB' or 'GiB'"),
        ("64Kbit", "unknown unit 'Kbit'"),
        ("", "not understood"),
        ("-5MB", "not understood"),
        ("1_000", "not understood"),
        (-1, "out of range"),
        ("9EiB", "expected 0 to 8EiB"),
        (1.5, "type float"),
        ("1.5", "fraction of a byte"),
        (True, "type bool"),
    ],
)
def test_what_is_no_size_is_refused(size: object, wrong: str) -> None:
    with pytest.raises(CapacityError, match=wrong):
        parse_size(size)  # type: ignore[arg-type]


@given(thousandths=st.integers(1, 100_000), unique=st.integers(0, 10**12))
def test_a_share_is_rounded_down_and_is_at_least_one(thousandths: int, unique: int) -> None:
    capacity = Capacity.parse(f"{thousandths / 1000:.3f}%")
    expected = max(1, floor(Fraction(thousandths, 100_000) * unique))
    assert capacity.resolve(Held(unique=unique)) == expected
    assert capacity.resolve(Held(unique_bytes=unique), weights="size") == expected


@given(count=st.integers(1, 2**63 - 1))
def test_a_plain_number_is_in_the_unit_of_the_weights(count: int) -> None:
    for capacity in (Capacity.parse(count), Capacity.parse(str(count))):
        assert capacity.resolve(Held()) == capacity.resolve(Held(), weights="size") == count


@given(
    st.one_of(
        st.integers(1, 2**63 - 1).map(str),
        st.integers(1, 2**63 - 1).map("{}B".format),
        st.integers(1, 99).map("{}MiB".format),
        st.integers(1, 100_000).map(lambda thousandths: f"{thousandths / 1000}%"),
    )
)
def test_a_capacity_is_written_as_it_is_read(text: str) -> None:
    assert Capacity.parse(str(Capacity.parse(text))) == Capacity.parse(text)


def test_bytes_need_sizes_as_weights() -> None:
    assert Capacity.parse("64MiB").resolve(Held(), weights="size") == 2**26
    with pytest.raises(CapacityError, match="64MiB is in bytes while every entry weighs 1; use --weights size"):
        Capacity.parse("64MiB").resolve(Held())
    with pytest.raises(CapacityError, match=r"no sizes.*--weights unit"):
        Capacity.parse("64MiB").resolve(Held(has_sizes=False), weights="size")
    with pytest.raises(CapacityError, match="expected one of unit, size"):
        Capacity.parse("1").resolve(Held(), weights="bytes")  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["0", "0%", "100.1%", "-1%", "0MB", "0.5", "5k", "many", "", "%", 0, -1, 1.5, True])
def test_what_is_no_capacity_is_refused(text: object) -> None:
    with pytest.raises(CapacityError):
        Capacity.parse(text)  # type: ignore[arg-type]


@given(st.text())
def test_arbitrary_text_raises_nothing_foreign(text: str) -> None:
    for parse in (parse_duration, parse_size, Capacity.parse):
        try:
            parse(text)
        except ForecacheError as error:
            assert "write it" in str(error) or "expected" in str(error) or "ambiguous" in str(error)
