"""Laws of traces: slices, columns, and what is counted over them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecache.errors import TraceFormatError
from forecache.record.trace import Op, Trace

COLUMNS = ("time", "key", "size", "op")
CHILD = {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path))}  # environment of a second interpreter


def rows(trace: Trace) -> list[tuple[int, ...]]:
    return list(zip(*(getattr(trace, column).tolist() for column in COLUMNS), strict=True))


@given(trace=st.from_type(Trace), n=st.integers(-5, 40))
def test_head_is_the_first_accesses(trace: Trace, n: int) -> None:
    assert rows(trace.head(n)) == rows(trace)[: max(n, 0)]


@given(trace=st.from_type(Trace), start=st.integers(0, 30), stop=st.integers(0, 30), step=st.integers(1, 3))
def test_a_slice_is_the_same_rows_of_every_column(trace: Trace, start: int, stop: int, step: int) -> None:
    part = trace[start:stop:step]
    assert rows(part) == rows(trace)[start:stop:step]
    assert (part.name, part.metadata) == (trace.name, trace.metadata)


@given(trace=st.from_type(Trace))
def test_columns_cannot_be_written_to(trace: Trace) -> None:
    for column in COLUMNS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(trace, column)[0] = 1


def test_locking_the_columns_leaves_the_callers_array_writable() -> None:
    keys = np.arange(3, dtype=np.uint64)
    Trace.from_columns(keys)
    keys[0] = 7


@given(trace=st.from_type(Trace))
def test_stats_are_what_a_plain_count_gives(trace: Trace) -> None:
    stats, counts = trace.stats(), Counter(trace.key.tolist())
    first_sizes = dict(reversed(list(zip(trace.key.tolist(), trace.size.tolist(), strict=True))))
    assert stats.requests == len(trace) == stats.gets + stats.sets
    assert stats.unique == trace.unique == len(counts)
    assert stats.seen_once == sum(count == 1 for count in counts.values())
    assert stats.sets == trace.op.tolist().count(Op.SET)
    assert stats.span == max(trace.time.tolist()) - min(trace.time.tolist())
    assert stats.bytes == sum(trace.size.tolist())
    assert stats.unique_bytes == trace.unique_bytes == sum(first_sizes.values())
    assert stats.top_key_requests == max(counts.values())


@given(trace=st.from_type(Trace))
def test_median_reuse_interval_counts_the_accesses_between(trace: Trace) -> None:
    last: dict[int, int] = {}
    intervals = []
    for index, key in enumerate(trace.key.tolist()):
        if key in last:
            intervals.append(index - last[key] - 1)
        last[key] = index
    assert trace.stats().median_reuse_interval == (median(intervals) if intervals else None)


@given(trace=st.from_type(Trace))
def test_stats_can_be_shown_and_be_written_as_json(trace: Trace) -> None:
    assert all(label and value for label, value in trace.stats().rows())
    assert json.loads(json.dumps(trace.stats().to_dict()))["requests"] == len(trace)


def test_ratios_are_none_where_nothing_was_counted() -> None:
    stats = Trace.from_columns([]).stats()
    assert (stats.requests, stats.unique, stats.span) == (0, 0, 0)
    ratios = ("seen_once_share", "set_share", "mean_size", "top_key_share", "compulsory_miss_ratio")
    assert all(stats.to_dict()[name] is None for name in (*ratios, "median_reuse_interval", "zipf_exponent"))


def test_mean_size_is_none_without_sizes() -> None:
    assert Trace.from_columns([1, 2]).stats().mean_size is None
    assert Trace.from_columns([1, 2], size=[10, 20]).stats().mean_size == 15


@settings(max_examples=10, deadline=None)
@given(exponent=st.floats(0.6, 1.2), seed=st.integers(0, 2**32))
def test_zipf_exponent_is_that_of_the_generator(exponent: float, seed: int) -> None:
    weights = np.arange(1, 2_001, dtype=float) ** -exponent
    keys = np.random.default_rng(seed).choice(2_000, 200_000, p=weights / weights.sum())
    assert Trace.from_columns(keys).stats().zipf_exponent == pytest.approx(exponent, abs=0.1)


@pytest.mark.parametrize(
    ("columns", "wrong"),
    [
        ({"key": [-1]}, "'key'"),
        ({"key": [0.5]}, "'key'"),
        ({"key": ["a"]}, "'key'"),
        ({"key": [1], "time": [2**63]}, "'time'"),
        ({"key": [1], "size": [0]}, "at least 1 byte"),
        ({"key": [1], "op": [2]}, "0 \\(get\\) or 1 \\(set\\)"),
        ({"key": [1], "size": [1, 2]}, "shape"),
        ({"key": [[1]]}, "shape"),
    ],
)
def test_a_column_that_cannot_be_held_is_refused(columns: dict[str, list[object]], wrong: str) -> None:
    with pytest.raises(TraceFormatError, match=wrong):
        Trace.from_columns(**columns)  # type: ignore[arg-type]


def test_a_single_row_is_refused_with_the_way_to_write_it() -> None:
    with pytest.raises(TypeError, match=r"trace\[10:20\]"):
        Trace.from_columns([1])[0]  # type: ignore[index]


def test_repr_names_and_measures() -> None:
    assert repr(Trace.from_columns(range(1000), name="shop")) == "Trace('shop', 1,000 accesses)"


def test_importing_the_module_imports_no_optional_package() -> None:
    code = (
        "import sys, forecache.record.trace, forecache.record.formats; "
        "sys.exit(bool({'numpy', 'polars', 'zstandard'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, env=CHILD).returncode == 0


@pytest.mark.parametrize("package", ["numpy", "polars"])
def test_a_missing_package_is_reported_with_the_command_that_installs_it(tmp_path: Path, package: str) -> None:
    (tmp_path / "t.csv").write_text("key\n1\n")
    code = f"import sys; sys.modules[{package!r}] = None; from forecache.record.trace import Trace; Trace.read('t.csv')"
    run = subprocess.run(
        [sys.executable, "-c", code], check=False, cwd=tmp_path, env=CHILD, capture_output=True, text=True
    )
    assert "MissingExtraError" in run.stderr
    assert run.stderr.strip().endswith("pip install 'forecache[cli]'")


def test_real_traces_have_the_counts_of_their_readme(real_traces: Path) -> None:
    cells = [line.split("|") for line in (real_traces / "README.md").read_text().splitlines()]
    table = {
        row[1].strip(): row for row in cells if (real_traces / f"{row[min(1, len(row) - 1)].strip()}.parquet").is_file()
    }
    assert table
    for name, row in table.items():
        stats = Trace.read(real_traces / f"{name}.parquet").stats()
        found = f"{stats.requests:,}", f"{stats.unique:,}", f"{stats.seen_once_share:.3f}"
        assert found == (row[4].strip(), row[5].strip(), row[6].strip()), name
