"""Laws of cleaning: every row is accounted for, and the history is that of the nodes, each access once."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecache import Cache
from forecache.errors import ConfigurationError, TraceFormatError
from forecache.record.clean import CleanReport, clean
from forecache.record.columnfile import METADATA_KEY
from forecache.record.history import ORDER, SCHEMA, files_in
from forecache.record.log import AccessLog
from forecache.record.trace import Trace
from tests.record.logs import Directories, in_a_directory

Row = tuple[int, int, int, str, bool, int, int, int]
LATEST = 10_000.0  # seconds; `now` of these tests


def write(path: Path, rows: list[Row], **metadata: Any) -> Path:
    """A file as a log writes it, of any rows."""
    about = {"log": 1, "node": "n", "sample": 1.0, "secret": "0", **metadata}
    if rows:
        about["span"] = (min(row[0] for row in rows), max(row[0] for row in rows))
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    table.write_parquet(path, metadata={METADATA_KEY: json.dumps(about)})
    return path


def cleaned(directory: Path) -> list[Row]:
    return pl.concat([pl.read_parquet(path) for path in files_in(directory)]).rows() if files_in(directory) else []


def accounted(report: CleanReport) -> None:
    fates = report.damaged + report.late + report.sampled_out + report.duplicates + report.written
    assert report.rows + report.reopened == fates


def row(sequence: int, node: int = 1, seconds: float | None = None) -> Row:
    return int(1000 * (sequence + 1 if seconds is None else seconds)), sequence % 7, 1, "get", False, sequence, node, 0


rows = st.lists(st.builds(row, st.integers(0, 200), st.integers(1, 3), st.none()), min_size=1, max_size=60)


@in_a_directory
@given(files=st.lists(rows, min_size=1, max_size=4), at_once=st.integers(1, 50), lateness=st.integers(0, 300))
def test_the_history_is_every_row_once_in_order(
    directories: Directories, files: list[list[Row]], at_once: int, lateness: int
) -> None:
    directory, output = directories.new(), directories.new()
    for number, file in enumerate(files):
        write(directory / f"{number}" / "log.parquet", file)
    report = clean(directory, output, lateness=lateness, rows_at_once=at_once, now=LATEST)
    expected = sorted({each for file in files for each in file}, key=lambda each: (each[0], each[6], each[5]))
    assert cleaned(output) == expected
    assert report.rows == sum(map(len, files))
    assert (report.files, report.written, report.parts) == (len(files), len(expected), len(files_in(output)))
    accounted(report)
    assert Trace.read(output).key.tolist() == [each[1] for each in expected]


@in_a_directory
@given(deliveries=st.lists(rows, min_size=1, max_size=5), lateness=st.integers(0, 250), at_once=st.integers(1, 50))
def test_cleaning_in_steps_loses_only_what_came_too_late(
    directories: Directories, deliveries: list[list[Row]], lateness: int, at_once: int
) -> None:
    directory, output = directories.new(), directories.new()
    known: set[Row] = set()
    for number, delivery in enumerate(deliveries):
        path = write(directory / f"{number}.parquet", delivery)
        sealed = clean([], output).sealed_until or 0
        report = clean(path, output, lateness=lateness, rows_at_once=at_once, now=LATEST)
        assert report.late == sum(each[0] < sealed for each in delivery)
        known |= {each for each in delivery if each[0] >= sealed}
        assert cleaned(output) == sorted(known, key=lambda each: (each[0], each[6], each[5]))
        accounted(report)
    again = clean(directory, output, lateness=lateness, now=LATEST)
    assert set(cleaned(output)) >= known
    accounted(again)


def test_what_is_sealed_does_not_change(tmp_path: Path) -> None:
    write(tmp_path / "logs" / "a.parquet", [row(sequence) for sequence in range(100)])
    report = clean(tmp_path / "logs", tmp_path / "out", lateness="20s", rows_at_once=25, now=LATEST)
    before = {path.name: path.read_bytes() for path in files_in(tmp_path / "out") if cleaned_end(path) < 80_000}
    assert report.sealed_until == 80_000
    assert before
    write(tmp_path / "logs" / "b.parquet", [row(sequence, node=2) for sequence in (10, 90, 150)])
    report = clean(tmp_path / "logs", tmp_path / "out", lateness="20s", now=LATEST)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in before} == before
    assert report.late == 79 + 1  # once more, and too late
    assert {(2, 90), (2, 150)} == {(each[6], each[5]) for each in cleaned(tmp_path / "out") if each[6] == 2}
    assert {path.name for path in (tmp_path / "out").glob("part-*")} == {
        path.name for path in files_in(tmp_path / "out")
    }


def cleaned_end(path: Path) -> int:
    return int(pl.read_parquet(path)["time"].max())  # type: ignore[arg-type]


DAMAGED: list[tuple[Any, ...]] = [
    (None, 1, 1, "get", True, 7, 1, 0),
    (5000, None, 1, "get", True, 7, 1, 0),
    (5000, 1, 0, "get", True, 7, 1, 0),
    (5000, 1, -4, "get", True, 7, 1, 0),
    (5000, 1, 1, "touch", True, 7, 1, 0),
    (5000, 1, 1, None, True, 7, 1, 0),
    (5000, 1, 1, "get", None, 7, 1, 0),
    (5000, 1, 1, "get", True, None, 1, 0),
    (0, 1, 1, "get", True, 7, 1, 0),
    (-1, 1, 1, "get", True, 7, 1, 0),
    (int(LATEST * 1000) + 60_001, 1, 1, "get", True, 7, 1, 0),
    (2**63 - 1, 1, 1, "get", True, 7, 1, 0),
    (5000, 1, 1, "get", True, 7, 1, None),
]


@pytest.mark.parametrize("damaged", DAMAGED)
def test_a_damaged_row_is_dropped_and_counted(tmp_path: Path, damaged: Row) -> None:
    good = row(3)
    write(tmp_path / "a.parquet", [good])
    table = pl.DataFrame([damaged], schema=SCHEMA, orient="row")
    about = json.dumps({"log": 1, "node": "n", "sample": 1.0, "secret": "0"})
    table.write_parquet(tmp_path / "b.parquet", metadata={METADATA_KEY: about})
    report = clean([tmp_path / "a.parquet", tmp_path / "b.parquet"], tmp_path / "out", now=LATEST)
    assert (report.damaged, report.written) == (1, 1)
    assert cleaned(tmp_path / "out") == [good]


def recorded(directory: Path, count: int = 300, **settings: Any) -> Path:
    log = AccessLog(directory, **settings)
    with Cache[int, int](capacity=20, policy="lru", record=log) as cache:
        for step in range(count):
            cache.get_or_load(step * step % 97, lambda key: key)
    return next(directory.glob("*.parquet"))


def test_a_file_that_cannot_be_read_is_left_out_and_named(tmp_path: Path) -> None:
    good = recorded(tmp_path / "logs")
    for name, damage in {"cut": lambda data: data[:-20], "text": lambda _: b"hello", "empty": lambda _: b""}.items():
        (tmp_path / "logs" / f"{name}.parquet").write_bytes(damage(good.read_bytes()))
    pl.DataFrame({"key": [1]}).write_parquet(tmp_path / "logs" / "trace.parquet")
    report = clean([tmp_path / "logs", tmp_path / "absent.parquet"], tmp_path / "out")
    assert report.unreadable is not None
    assert {Path(name).stem for name in report.unreadable} == {"cut", "text", "empty", "trace", "absent"}
    assert (report.files, report.written) == (1, pl.read_parquet(good).height)


def test_a_flipped_bit_in_the_rows_is_found_before_they_are_read(tmp_path: Path) -> None:
    path = recorded(tmp_path / "logs")
    whole = path.read_bytes()
    footer = int.from_bytes(whole[-8:-4], "little") + 8
    chance = random.Random(1)
    for _ in range(50):
        data = bytearray(whole)
        data[chance.randrange(len(data) - footer)] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        report = clean(path, tmp_path / "out")
        assert report.unreadable is not None
        assert "checksum" in report.unreadable[str(path)]
        assert report.files == 0


def test_a_file_delivered_twice_counts_once_and_replays_the_same(tmp_path: Path) -> None:
    first = recorded(tmp_path / "a")
    trace = Trace.read(tmp_path / "a")
    shutil.copy(first, tmp_path / "a" / "again.parquet")
    report = clean(tmp_path / "a", tmp_path / "out", lateness="0s")
    assert report.duplicates == report.written == report.rows // 2
    again = Trace.read(tmp_path / "out")
    assert (again.key.tolist(), again.op.tolist()) == (trace.key.tolist(), trace.op.tolist())
    assert again.metadata["live"] == trace.metadata["live"]


def test_samples_of_several_sizes_become_the_smallest(tmp_path: Path) -> None:
    for name, sample in {"a": 1.0, "b": 0.5}.items():
        recorded(tmp_path / "logs" / name, sample=sample)
    recorded(tmp_path / "small", sample=0.5)
    report = clean(tmp_path / "logs", tmp_path / "out")
    accounted(report)
    assert report.sample == 0.5
    assert report.sampled_out > 0
    expected = set(pl.read_parquet(sorted((tmp_path / "small").glob("*.parquet")))["key"])
    assert {each[1] for each in cleaned(tmp_path / "out")} == expected
    with pytest.raises(ConfigurationError, match="new directory"):
        clean(tmp_path / "logs" / "a", tmp_path / "out")


def test_keys_under_several_secrets_are_not_mixed(tmp_path: Path) -> None:
    recorded(tmp_path / "a")
    recorded(tmp_path / "b", secret="x")  # noqa: S106
    with pytest.raises(TraceFormatError, match="several secrets"):
        clean([tmp_path / "a", tmp_path / "b"], tmp_path / "out")


def test_an_output_that_holds_other_files_is_not_touched(tmp_path: Path) -> None:
    path = recorded(tmp_path / "a")
    with pytest.raises(ConfigurationError, match="other files"):
        clean(path, tmp_path / "a")
    assert path.exists()


def test_the_output_may_lie_within_the_input(tmp_path: Path) -> None:
    recorded(tmp_path / "logs")
    reports = [clean(tmp_path / "logs", tmp_path / "logs" / "clean") for _ in range(2)]
    assert [report.files for report in reports] == [1, 1]
    assert reports[0].written == reports[1].written


def test_nothing_to_read_is_no_failure(tmp_path: Path) -> None:
    report = clean([], tmp_path / "out")
    assert (report.files, report.rows, report.sample) == (0, 0, None)
    assert json.dumps(report.to_dict())


def test_the_order_is_by_time_then_node_then_sequence() -> None:
    assert ORDER == ("time", "node", "sequence")
