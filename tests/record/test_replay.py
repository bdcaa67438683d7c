"""Laws of replays: what a cache did is what its log says, and a replay of the log does the same."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecache import POLICIES, Cache
from forecache.errors import TraceFormatError
from forecache.record.log import AccessLog
from forecache.record.trace import Op, Trace
from forecache.study.simulate import simulate
from tests.record.logs import Directories, in_a_directory, replay, rows_in, run, steps


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


def learned(cache: Cache[int, int]) -> int:
    learning = cache.learning()
    assert learning is not None
    return learning.fits


def test_what_a_cache_learned_in_its_own_thread_is_repeated_by_the_replay(tmp_path: Path) -> None:
    cache = Cache[int, int](capacity=200, policy="learned", seed=3, record=AccessLog(tmp_path, buffer=2**20))
    for step in range(10_000_000):
        cache.get_or_load(int((step * 2654435761 % 2**32 / 2**32) ** 3 * 2000), lambda key: key)
        if step % 10_000 == 0 and learned(cache) >= 2:
            break
    cache.close()
    trace = Trace.read(tmp_path)
    live = (cache.stats().hits, len(trace))
    assert len(trace.metadata["timetable"]) >= 2
    rows = simulate(trace, ["learned", "lru"], ["200"], seed=3)
    assert (rows[0].hits, rows[0].accesses) == live
    assert simulate(trace, ["learned"], ["200"], seed=4)[0].hits != rows[0].hits


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
