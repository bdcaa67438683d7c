"""Laws of divided histories: nothing is lost, keys stay together, and what is read back is what was divided."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecache import Cache
from forecache.errors import ConfigurationError, EmptyTraceError, TraceFormatError
from forecache.record.clean import clean
from forecache.record.log import AccessLog
from forecache.record.partitions import Partitions, partition, place_of
from forecache.record.trace import Trace


def some_trace(accesses: int = 5_000, keys: int = 700, seed: int = 0) -> Trace:
    rng = np.random.default_rng(seed)
    chosen = rng.zipf(1.2, accesses) % keys
    about = {"time_unit": "ms", "source": "drawn"}
    op = rng.integers(0, 2, accesses)
    return Trace.from_columns(chosen, time=np.arange(accesses) * 3, size=chosen + 5, op=op, name="some", metadata=about)


def same(first: Trace, second: Trace) -> bool:
    return all((getattr(first, name) == getattr(second, name)).all() for name in ("time", "key", "size", "op"))


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
@pytest.mark.parametrize("rows_at_once", [700, 10**6])
def test_a_divided_trace_is_the_trace(tmp_path: Path, suffix: str, rows_at_once: int) -> None:
    trace, file = some_trace(), tmp_path / f"some.{suffix}"
    trace.write(file)
    history = partition(file, tmp_path / "divided", partitions=6, rows_at_once=rows_at_once)
    assert same(Trace.read(tmp_path / "divided"), trace)
    assert (len(history), history.unique, history.unique_bytes) == (len(trace), trace.unique, trace.unique_bytes)
    assert (history.name, history.has_sizes, history.span) == ("some", True, trace.stats().span)
    assert history == Partitions.open(tmp_path / "divided")
    if suffix == "parquet":
        assert dict(history.metadata) == dict(trace.metadata)


def test_no_key_is_in_two_partitions_and_each_keeps_its_order(tmp_path: Path) -> None:
    trace = some_trace()
    trace.write(tmp_path / "some.parquet")
    history = partition(tmp_path / "some.parquet", tmp_path / "divided", partitions=5, rows_at_once=999)
    found = [Trace.read(path) for path in history.paths]
    for number, part in enumerate(found):
        others = np.concatenate([other.key for place, other in enumerate(found) if place != number])
        assert not np.isin(part.key, others).any()
        mine = np.isin(trace.key, part.key)
        assert (part.key == trace.key[mine]).all()
        assert (part.time == trace.time[mine]).all()
    assert max(len(part) for part in found) < len(trace)


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50), st.integers(1, 40))
def test_places_are_those_of_splitmix(keys: list[int], count: int) -> None:
    def mixed(key: int) -> int:
        key ^= 0x5851_F42D_4C95_7F2D
        key = (key ^ key >> 30) * 0xBF58_476D_1CE4_E5B9 % 2**64
        key = (key ^ key >> 27) * 0x94D0_49BB_1331_11EB % 2**64
        return key ^ key >> 31

    assert place_of(np.array(keys, np.uint64), count).tolist() == [mixed(key) % count for key in keys]


def test_keys_in_a_row_are_spread_evenly() -> None:
    counts = np.bincount(place_of(np.arange(64_000, dtype=np.uint64), 64).astype(int), minlength=64)
    assert 800 < counts.min() < counts.max() < 1_200


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    log = AccessLog(tmp_path / "log", secret="of tests")  # noqa: S106
    with Cache[int, str](capacity=50, policy="lru", record=log) as cache:
        for number in range(3_000):
            key = number * number % 97
            cache.get_or_load(key, str)
            if number % 500 == 499:
                cache.delete(key)
            if number == 1_700:
                cache.clear()
    return tmp_path / "log"


def test_a_divided_log_is_the_log_with_its_deletions(logs: Path, tmp_path: Path) -> None:
    clean(logs, tmp_path / "clean")
    whole = Trace.read(tmp_path / "clean")
    history = partition(tmp_path / "clean", tmp_path / "divided", partitions=4, rows_at_once=257)
    divided = Trace.read(tmp_path / "divided")
    assert (len(history), history.unique) == (len(whole), whole.unique)
    assert sorted(zip(divided.time, divided.key, divided.size, strict=True)) == sorted(
        zip(whole.time, whole.key, whole.size, strict=True)
    )
    assert whole.unique > 60  # what was deleted and cleared came back as other keys
    assert history.metadata["time_unit"] == "ms"


def test_logs_that_were_not_cleaned_are_refused(logs: Path, tmp_path: Path) -> None:
    with pytest.raises(TraceFormatError, match="clean them: forecache history clean"):
        partition(logs, tmp_path / "divided")


def test_a_log_without_accesses_is_refused(tmp_path: Path) -> None:
    with Cache[int, str](capacity=50, record=AccessLog(tmp_path / "log")) as cache:
        cache.delete(1)
        cache.clear()
    clean(tmp_path / "log", tmp_path / "clean")
    with pytest.raises(EmptyTraceError, match="no get and no set"):
        partition(tmp_path / "clean", tmp_path / "divided")


def test_a_trace_read_from_a_log_can_be_written_and_read(logs: Path, tmp_path: Path) -> None:
    trace = Trace.read(logs)
    trace.write(tmp_path / "trace.parquet")
    assert same(Trace.read(tmp_path / "trace.parquet"), trace)


def test_what_cannot_be_divided_is_refused(tmp_path: Path) -> None:
    some_trace(50).write(tmp_path / "some.parquet")
    for arguments in ({"partitions": 0}, {"partitions": 10_001}, {"rows_at_once": 0}):
        with pytest.raises(ConfigurationError, match="expected 1 to 10,000, and at least 1"):
            partition(tmp_path / "some.parquet", tmp_path / "new", **arguments)
    with pytest.raises(ConfigurationError, match="is not empty"):
        partition(tmp_path / "some.parquet", tmp_path)
    with pytest.raises(TraceFormatError, match="make one: forecache history divide"):
        Partitions.open(tmp_path)
    assert not Partitions.is_at(tmp_path)
