"""Laws of recorders: fingerprints, samples, bounds and the order of what is recorded."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecache import Cache, _core
from forecache.errors import ConfigurationError
from forecache.record.log import AccessLog
from tests.record.logs import Directories, environment, in_a_directory, keys, rows_in
from tests.record.naive_fingerprint import fingerprint, siphash13


@given(key=keys, other=keys)
def test_fingerprints_differ_where_keys_do(key: Any, other: Any) -> None:
    recorder = _core.Recorder(2, 1.0, bytes(16))
    same = (type(key), key) == (type(other), other)
    assert (recorder.fingerprint(key) == recorder.fingerprint(other)) == same


@given(
    key=keys | st.text() | st.binary() | st.floats(allow_nan=False) | st.integers(),
    secret=st.binary(min_size=16, max_size=16),
)
def test_a_fingerprint_is_that_of_its_description(key: Any, secret: bytes) -> None:
    assert _core.Recorder(2, 1.0, secret).fingerprint(key) == fingerprint(secret, key)


def test_siphash_of_the_twin_is_that_of_its_authors() -> None:
    # The first vectors of SipHash-1-3 in the reference implementation's key 00 01 .. 0f, as CPython and Rust use it.
    assert [siphash13(bytes(range(16)), bytes(range(length))) for length in range(2)] == [
        0xABAC0158050FC4DC,
        0xC9F49BF37D57CA93,
    ]


def test_a_fingerprint_does_not_depend_on_the_process() -> None:
    code = "from forecache import _core; print(_core.Recorder(2, 1.0, bytes(16)).fingerprint(('user', 7)))"
    runs = {
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, env=environment(seed)).stdout
        for seed in ("0", "1")
    }
    assert {int(run) for run in runs} == {fingerprint(bytes(16), ("user", 7))}


@pytest.mark.parametrize(
    "key", [frozenset({1}), "\ud800", float("nan"), (1, object()), ((((((((((1,),),),),),),),),),)]
)
def test_a_key_without_fingerprint_is_served_and_counted(tmp_path: Path, key: Any) -> None:
    with Cache[Any, int](capacity=10, record=tmp_path) as cache:
        for _ in range(3):
            assert cache.get_or_load(key, lambda key: 1) == 1
        assert cache._log is not None
        assert cache._log.stats().unrecordable == 4  # three gets, one load
        assert cache._log.fingerprint(key) is None
    assert cache.stats().hits == 2


def test_a_secret_hides_keys_and_tells_itself_by_nothing_but_a_witness(tmp_path: Path) -> None:
    logs = [AccessLog(tmp_path / name, secret=secret) for name, secret in [("a", None), ("b", "x"), ("c", b"x")]]
    plain, text, data = (log.fingerprint("user:7") for log in logs)
    assert plain != text == data
    for wrong in ("", b"", 7):
        with pytest.raises(ConfigurationError, match="secret"):
            AccessLog(tmp_path, secret=wrong)  # type: ignore[arg-type]


@in_a_directory
@given(sample=st.floats(0.05, 1), count=st.integers(1, 300))
def test_a_kept_key_has_its_complete_history_and_a_smaller_sample_is_part_of_a_larger(
    directories: Directories, sample: float, count: int
) -> None:
    logs = [AccessLog(directories.new(), sample=share) for share in (1.0, sample, sample / 2)]
    for log in logs:
        with Cache[int, int](capacity=20, policy="lru", record=log) as cache:
            for step in range(count):
                cache.get_or_load(step * step % 97, lambda key: key)
            cache.clear()
    whole, part, less = (rows_in(log.directory).select("key", "op", "hit") for log in logs)
    kept, fewer = set(part["key"]), set(less["key"])
    assert fewer <= kept
    assert part.equals(whole.filter(pl.col("key").is_in(list(kept))))
    assert less.equals(whole.filter(pl.col("key").is_in(list(fewer))))


def test_sampling_keeps_about_its_share_of_the_keys() -> None:
    recorder = _core.Recorder(2, 0.1, bytes(16))
    prints = [recorder.fingerprint(f"user:{number}") or 0 for number in range(20_000)]
    kept = sum(fingerprint % _core.MODULUS < recorder.threshold for fingerprint in prints)
    assert 1_800 < kept < 2_200


def test_what_finds_the_buffer_full_is_dropped_and_leaves_a_gap() -> None:
    recorder = _core.Recorder(4, 1.0, bytes(16))
    store = _core.Store[int, int](10, "lru", recorder=recorder)
    for key in range(6):
        store.get(key)
    assert (recorder.pending, recorder.dropped) == (4, 2)
    assert recorder.drain()[0] == 4
    store.get(7)
    sequence = recorder.drain()[2]["sequence"]
    assert int.from_bytes(sequence, "little") == 6


def test_the_recorder_wakes_at_the_first_access_and_when_half_full() -> None:
    woken: list[int] = []
    recorder = _core.Recorder(8, 1.0, bytes(16), wake=lambda: woken.append(recorder.pending))
    store = _core.Store[int, int](10, "lru", recorder=recorder)
    for key in range(8):
        store.get(key)
    assert woken == [1, 4]


def test_times_are_of_the_clock_and_never_fall(tmp_path: Path) -> None:
    moments = iter([5.0, 7.5, 7.0, 9.0])
    log = AccessLog(tmp_path, clock=lambda: next(moments))
    with Cache[int, int](capacity=10, record=log) as cache:
        for key in range(4):
            cache.get(key)
    assert rows_in(tmp_path)["time"].to_list() == [5000, 7500, 7500, 9000]


def test_threads_share_a_log_and_no_access_is_lost_or_counted_twice(tmp_path: Path) -> None:
    with Cache[int, int](capacity=50, policy="lru", record=tmp_path) as cache:
        threads = [
            threading.Thread(target=lambda: [cache.get_or_load(key * key % 101, int) for key in range(2000)])
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    rows, stats = rows_in(tmp_path), cache.stats()
    assert rows["sequence"].to_list() == list(range(rows.height))
    assert Counter(rows.filter(pl.col("op") == "get")["hit"]) == {True: stats.hits, False: stats.misses}
