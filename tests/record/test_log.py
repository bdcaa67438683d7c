"""Laws of access logs: what a cache did is what its log says, and a replay of it does the same."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forecache import POLICIES, Cache, _core
from forecache.errors import ConfigurationError, ForecacheError, TraceFormatError
from forecache.record.log import AccessLog
from forecache.record.trace import Op, Trace
from tests.record.naive_fingerprint import fingerprint, siphash13

in_a_directory = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
keys = st.one_of(st.integers(0, 12), st.sampled_from(["a", "b", "ä", b"a", (1, "a"), (), None, True, 1.0, -1, 2**70]))
steps = st.lists(
    st.tuples(st.sampled_from(["load", "aside", "set", "get_many", "peek"]), keys), min_size=1, max_size=120
)


class Directories:
    """A new directory for each example of a test."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.count = 0

    def new(self) -> Path:
        self.count += 1
        return self.root / f"log{self.count}"


@pytest.fixture
def directories(tmp_path: Path) -> Directories:
    return Directories(tmp_path)


def run(cache: Cache[Any, Any], step: str, key: Any) -> None:
    """One step of a client that fills what it missed before it goes on."""
    match step:
        case "load":
            cache.get_or_load(key, lambda key: key)
        case "aside" if cache.get(key) is None:
            cache.set(key, 1)
        case "set":
            cache[key] = 1
        case "get_many":
            for missed in {key} - cache.get_many([key]).keys():
                cache[missed] = 1
        case "peek":
            _ = cache.peek(key), key in cache, len(cache), cache.stats(), list(cache.items())
        case "delete":
            cache.delete(key)
        case "clear":
            cache.clear()
        case "tag":
            cache.set(key, 1, tags=["t"])
            cache.invalidate_tag("t")


def rows_in(directory: Path) -> pl.DataFrame:
    return pl.read_parquet(sorted(directory.glob("*.parquet"))).sort("sequence")


def replay(trace: Trace, policy: str, capacity: int, seed: int = 0) -> tuple[int, list[bool]]:
    """Gets that hit, and whether each access hit."""
    simulation = _core.Simulation(_core.Accesses(trace.key, None), policy, capacity, seed=seed)
    hits = [bool(hit) for hit in simulation.run_hits(len(trace))]
    return sum(hit for hit, op in zip(hits, trace.op, strict=True) if op == Op.GET), hits


@pytest.mark.parametrize("policy", POLICIES)
@in_a_directory
@given(steps=steps, capacity=st.integers(1, 10), seed=st.integers(0, 5))
def test_the_replay_of_a_complete_log_hits_exactly_where_the_live_cache_did(
    directories: Directories, policy: str, steps: list[tuple[str, Any]], capacity: int, seed: int
) -> None:
    log = AccessLog(directories.new())
    with Cache(capacity=capacity, policy=policy, seed=seed, record=log) as cache:
        cache["first"] = 1
        for step, key in steps:
            run(cache, step, key)
    stats, trace = cache.stats(), Trace.read(log.directory)
    accesses = rows_in(log.directory).filter(pl.col("op").is_in(["get", "set"]))
    hits, each = replay(trace, policy, capacity, seed)
    assert each == accesses["hit"].to_list()
    assert hits == stats.hits == trace.metadata["live"]["hits"]
    assert stats.lookups == trace.metadata["live"]["gets"]
    assert (log.stats().dropped, log.stats().unrecordable, log.stats().lost) == (0, 0, 0)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_long_log_of_many_files_replays_exactly(tmp_path: Path, policy: str) -> None:
    log = AccessLog(tmp_path / "log", buffer=1000, rotate="8KiB", flush_interval="50ms")
    cache = Cache[int, int](capacity=200, policy=policy, seed=7, record=log)
    for step in range(30_000):
        cache.get_or_load(int((step * 2654435761 % 2**32 / 2**32) ** 3 * 2000), lambda key: key)
        if log.stats().pending > 900:
            log.flush()
    cache.close()
    trace = Trace.read(tmp_path / "log")
    assert log.stats().files > 3
    assert log.stats().dropped == 0
    assert replay(trace, policy, 200, 7)[0] == cache.stats().hits


@in_a_directory
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["load", "set", "delete", "clear", "tag"]), st.integers(0, 5)),
        min_size=1,
        max_size=60,
    )
)
def test_without_evictions_a_log_with_deletions_replays_exactly(
    directories: Directories, steps: list[tuple[str, int]]
) -> None:
    log = AccessLog(directories.new())
    with Cache[int, int](capacity=1000, policy="lru", record=log) as cache:
        cache["first"] = 1  # type: ignore[index]
        for step, key in steps:
            run(cache, step, key)
    assert replay(Trace.read(log.directory), "lru", 1000)[0] == cache.stats().hits


def test_loads_tell_the_sizes_of_what_was_missed(tmp_path: Path) -> None:
    with Cache[str, bytes](max_bytes="1MiB", weigher=lambda key, value: len(value), record=tmp_path) as cache:
        for key in ("a", "b", "a", "c"):
            cache.get_or_load(key, lambda key: b"x" * ord(key))
        cache["d"] = b"x" * 7
        cache.get("absent")
    trace = Trace.read(tmp_path)
    assert trace.size.tolist() == [97, 98, 97, 99, 7, 1]
    assert trace.op.tolist() == [Op.GET] * 4 + [Op.SET, Op.GET]
    assert trace.metadata["unit"] == "bytes"


def test_a_set_that_follows_a_miss_of_its_key_is_a_load_whatever_came_between(tmp_path: Path) -> None:
    with Cache[int, int](capacity=10, record=tmp_path) as cache:
        for key in (1, 2):
            cache.get(key)
        for key in (1, 2, 2):
            cache[key] = 1
        cache.delete(1)
        cache[1] = 1
    assert rows_in(tmp_path)["op"].to_list() == ["get", "get", "load", "load", "set", "delete", "set"]


def test_a_load_that_an_invalidation_overtook_does_not_hit_in_the_replay(tmp_path: Path) -> None:
    with Cache[int, int](capacity=10, policy="lru", record=tmp_path) as cache:
        cache.get_or_load(1, lambda key: (cache.delete(key), 1)[1])
        cache.get_or_load(1, lambda key: 2)
        cache.get_or_load(1, lambda key: 3)
    assert cache.stats().hits == 1
    assert replay(Trace.read(tmp_path), "lru", 10)[0] == 1


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


def environment(seed: str) -> dict[str, str]:
    return {"PYTHONPATH": os.pathsep.join(map(os.path.abspath, sys.path)), "PYTHONHASHSEED": seed}


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


def test_a_child_begins_an_empty_log_of_its_own(tmp_path: Path) -> None:
    code = """
import os, sys, warnings
warnings.simplefilter("ignore")
import polars as pl
from forecache import Cache
cache = Cache(capacity=10, record=sys.argv[1])
pl.DataFrame({"a": range(9)}).write_parquet(sys.argv[1] + "/.warm")  # its threads do not survive the fork
for key in range(5): cache.get(key)
if os.fork() == 0:
    for key in range(3): cache.get(key)
    sys.exit()
assert os.wait()[1] == 0
cache.get(9)
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=60, env=environment("0"))
    rows = pl.read_parquet(sorted(tmp_path.glob("*.parquet")))
    assert sorted(rows.group_by("node").len()["len"]) == [3, 6]
    assert sorted(rows["sequence"]) == [0, 0, 1, 1, 2, 2, 3, 4, 5]


def test_an_exit_writes_what_was_recorded_and_a_kill_loses_only_what_was_not_flushed(tmp_path: Path) -> None:
    code = "import os, sys; from forecache import Cache; c = Cache(capacity=9, record=sys.argv[1]); c.get(1); {}"
    for end in ("", "c._log.flush(); c.get(2); os.kill(os.getpid(), 9)"):
        subprocess.run([sys.executable, "-c", code.format(end), str(tmp_path)], check=False, env=environment("0"))
    files = sorted(tmp_path.iterdir())
    assert [path.suffix for path in files] == [".parquet", ".parquet"]
    assert rows_in(tmp_path).height == 2


def test_the_oldest_files_go_first_and_crashed_writers_leave_nothing_for_ever(tmp_path: Path) -> None:
    stale, young = tmp_path / "access-1.parquet.part", tmp_path / "access-2.parquet.part"
    for path in (stale, young):
        path.write_bytes(b"PAR1")
    os.utime(stale, (0, 0))
    moments = iter(range(1, 100))
    log = AccessLog(tmp_path, max_bytes="10KiB", clock=lambda: float(next(moments)))
    cache = Cache[int, int](capacity=10, record=log)
    for key in range(20):
        cache.get(key)
        log.flush()
    files = sorted(tmp_path.glob("*.parquet"))
    assert sum(path.stat().st_size for path in files) <= 10 * 1024
    assert rows_in(tmp_path)["sequence"].to_list() == list(range(20 - len(files), 20))
    assert (stale.exists(), young.exists()) == (False, True)


def test_a_directory_that_cannot_be_written_costs_the_log_but_no_request(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "forecache")
    directory = tmp_path / "log"
    with Cache[int, int](capacity=10, record=directory) as cache:
        log = cache._log
        assert log is not None
        directory.rmdir()
        directory.write_text("in the way")
        for key in range(3):
            assert cache.get_or_load(key, int) == key
            log.flush()
        assert (log.stats().lost, log.stats().written) == (6, 0)
        assert log.stats().error is not None
        directory.unlink()
        cache.get(7)
    assert (log.stats().lost, log.stats().written, log.stats().error) == (6, 1, None)
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_full_disk_costs_the_file_but_no_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Cache[int, int](capacity=10, record=tmp_path) as cache:
        cache.get(1)
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", full)
            assert cache._log is not None
            cache._log.flush()
            assert list(tmp_path.iterdir()) == []
            assert cache._log.stats().lost == 1
        cache.get(2)
    assert rows_in(tmp_path)["sequence"].to_list() == [1]


def full(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_what_is_closed_records_nothing_more_and_may_be_closed_again(tmp_path: Path) -> None:
    cache = Cache[int, int](capacity=10, record=tmp_path)
    cache.get(1)
    for _ in range(2):
        cache.close()
    cache[1] = 1
    assert cache.get(1) == 1
    assert rows_in(tmp_path).height == 1


def test_a_log_that_nobody_holds_is_closed(tmp_path: Path) -> None:
    cache = Cache[int, int](capacity=10, record=tmp_path)
    cache.get(1)
    del cache
    import gc

    gc.collect()
    assert rows_in(tmp_path).height == 1


def test_a_log_records_one_cache(tmp_path: Path) -> None:
    log = AccessLog(tmp_path)
    Cache[int, int](capacity=1, record=log)
    with pytest.raises(ConfigurationError, match="another cache"):
        Cache[int, int](capacity=1, record=log)


@pytest.mark.parametrize(
    "wrong",
    [{"sample": 0}, {"sample": 1.1}, {"buffer": 1}, {"rotate": 0}, {"max_bytes": "x"}, {"flush_interval": "0s"}],
)
def test_a_setting_that_cannot_be_used_is_refused(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(ForecacheError):
        AccessLog(tmp_path, **wrong)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="directory"):
        AccessLog(tmp_path / "file")


def test_a_missing_package_is_named_before_the_first_access(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(ForecacheError, match=r"forecache\[cli\]"):
        AccessLog(tmp_path)


def test_logs_of_several_secrets_or_samples_are_no_trace(tmp_path: Path) -> None:
    different: list[Callable[[], AccessLog]] = [
        lambda: AccessLog(tmp_path),
        lambda: AccessLog(tmp_path, secret="x"),  # noqa: S106
    ]
    for make in different:
        with Cache[int, int](capacity=1, record=make()) as cache:
            cache.get(1)
    with pytest.raises(TraceFormatError, match="several secrets"):
        Trace.read(tmp_path)


def test_importing_the_log_imports_no_optional_package() -> None:
    code = "import sys, forecache.record.log; sys.exit(bool({'numpy', 'polars', 'zstandard'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False, env=environment("0")).returncode == 0
