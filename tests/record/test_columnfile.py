"""Laws of the files of a log: Polars reads what was written, and only whole files are whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecache import _core
from forecache.record.columnfile import COLUMNS, METADATA_KEY, ColumnFile, is_whole
from forecache.record.history import SCHEMA
from forecache.record.thrift import varint, vector, zigzag
from tests.record.logs import Directories, in_a_directory

UINT64 = st.integers(0, 2**64 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
rows = st.tuples(
    INT64, UINT64, INT64, st.integers(0, len(_core.OPS) - 1), st.booleans(), UINT64, UINT64, st.integers(0, 2**16 - 1)
)


def columns(group: list[tuple[Any, ...]]) -> dict[str, bytes]:
    time, key, size, op, hit, sequence, node, context = zip(*group, strict=True)
    bits = sum(bit << at for at, bit in enumerate(hit))
    words = {"time": time, "key": key, "size": size, "sequence": sequence, "node": node}
    packed = {name: b"".join((n % 2**64).to_bytes(8, "little") for n in values) for name, values in words.items()}
    packed["context"] = b"".join(value.to_bytes(4, "little") for value in context)
    return {**packed, "op": bytes(op), "hit": bits.to_bytes(-(-len(hit) // 8), "little")}


@in_a_directory
@given(groups=st.lists(st.lists(rows, min_size=1, max_size=20), min_size=1, max_size=20))
def test_polars_reads_what_was_written(directories: Directories, groups: list[list[tuple[Any, ...]]]) -> None:
    path = directories.new()
    file = ColumnFile(path)
    for group in groups:
        times = [row[0] for row in group]
        file.append(len(group), (min(times), max(times)), columns(group))
    file.finish({"note": "ä"})
    expected = [(*row[:3], _core.OPS[row[3]], *row[4:]) for group in groups for row in group]
    table = pl.read_parquet(path)
    assert dict(table.schema) == SCHEMA
    assert table.rows() == expected
    assert file.rows == len(expected)
    assert file.size == path.stat().st_size
    metadata = json.loads(pl.read_parquet_metadata(path)[METADATA_KEY])
    assert metadata["note"] == "ä"
    assert is_whole(path, metadata)
    middle = sorted(row[0] for row in expected)[len(expected) // 2]
    found = pl.scan_parquet(path).filter(pl.col("time") >= middle).collect()
    assert found.rows() == [row for row in expected if row[0] >= middle]


def test_columns_are_those_that_are_read() -> None:
    assert list(COLUMNS) == list(SCHEMA)


def test_a_file_that_exists_is_not_written_over(tmp_path: Path) -> None:
    ColumnFile(tmp_path / "a").abandon()
    with pytest.raises(FileExistsError):
        ColumnFile(tmp_path / "a")


@pytest.mark.parametrize(
    ("encoded", "expected"),
    [
        (varint(0), b"\x00"),
        (varint(127), b"\x7f"),
        (varint(300), b"\xac\x02"),
        (zigzag(0), b"\x00"),
        (zigzag(-1), b"\x01"),
        (zigzag(1), b"\x02"),
        (zigzag(-(2**31)), b"\xff\xff\xff\xff\x0f"),
        (vector(5, [b"\x02"]), b"\x15\x02"),
        (vector(5, [b"\x02"] * 15), b"\xf5\x0f" + b"\x02" * 15),
    ],
)
def test_thrift_encodes_as_its_specification_says(encoded: bytes, expected: bytes) -> None:
    assert encoded == expected
