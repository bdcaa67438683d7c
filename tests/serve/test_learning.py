"""A cache learns while it serves, tells what it learned, and can be told not to."""

from __future__ import annotations

import logging
import multiprocessing
import os
import threading
import time
from typing import Any

import numpy as np
import pytest

from forecache import POLICIES, Cache, Explanation, Learning
from forecache.errors import ConfigurationError

CAPACITY = 200
PATIENCE = 60.0  # seconds


def requests(count: int, seed: int = 0) -> list[int]:
    """Some keys often, more keys seldom, and a scan now and then."""
    random = np.random.default_rng(seed)
    skewed = (random.random(count) * random.random(count) * 2000).astype(int)
    scan = np.arange(count) % 1000 < 300
    return np.where(scan, 10_000 + np.arange(count), skewed).tolist()


def serve(cache: Cache[int, int], keys: list[int]) -> None:
    for key in keys:
        cache.get_or_load(key, lambda key: key)


def learned(cache: Cache[int, int]) -> Learning:
    found = cache.learning()
    assert found is not None
    return found


def serve_until_fitted(cache: Cache[int, int], fits: int) -> Learning:
    deadline = time.monotonic() + PATIENCE
    while learned(cache).fits < fits:
        assert time.monotonic() < deadline, learned(cache)
        serve(cache, requests(2000))
    return learned(cache)


def fitted_in_child(cache: Cache[int, int], before: int) -> None:
    serve_until_fitted(cache, before + 2)
    os._exit(0)


def test_a_cache_learns_unless_told_otherwise() -> None:
    assert "learned" in repr(Cache[int, int](CAPACITY))
    found = serve_until_fitted(Cache(CAPACITY), 3)
    assert found.failed_fits == 0
    assert found.samples > 400
    assert found.residual_trees > 0
    assert found.prior_trees > 0
    assert found.mean_fit_seconds is not None
    assert 0 < found.mean_fit_seconds < PATIENCE
    assert 0 < found.memory_bytes < 16 * 2**20


def test_predictions_are_judged_by_what_came() -> None:
    found = serve_until_fitted(Cache(CAPACITY), 3)
    assert found.judged_samples > 0
    assert found.concordance is not None
    assert 0.5 < found.concordance <= 1
    predicted = [group[0] for group in found.calibration]
    assert predicted == sorted(predicted)
    assert 1 <= len(predicted) <= 10
    assert set(found.hit_ratios) < set(POLICIES)
    assert all(ratio is not None and 0 <= ratio <= 1 for ratio in found.hit_ratios.values())
    assert found.decides in found.hit_ratios


def test_stats_tell_how_far_learning_is_and_differences_keep_the_later() -> None:
    cache: Cache[int, int] = Cache(CAPACITY)
    before = cache.stats()
    learning = serve_until_fitted(cache, 1)
    after = cache.stats()
    assert after.learning == (after - before).learning == learning
    assert (after - before).lookups == after.lookups
    assert Cache[int, int](CAPACITY, policy="lru").stats().learning is None


def test_an_entry_is_explained_and_looking_changes_nothing() -> None:
    cache: Cache[int, int] = Cache(CAPACITY)
    serve(cache, list(range(CAPACITY)))
    before = cache.stats(), cache.explain(7), cache.learning()
    assert (cache.stats(), cache.explain(7), cache.learning()) == before
    found = cache.explain(7)
    assert isinstance(found, Explanation)
    assert found.resident
    assert found.age_accesses == CAPACITY - 1 - 7
    assert found.reuse_accesses == pytest.approx(found.reuse_capacities * CAPACITY)
    assert found.decides == "learned"
    assert found.fits == 0
    assert all(0 <= value <= 255 for value in found.features.values())
    assert "age" in found.features


def test_what_left_is_remembered_and_what_never_came_is_not() -> None:
    cache: Cache[int, int] = Cache(CAPACITY)
    serve(cache, list(range(2 * CAPACITY)))
    found = [cache.explain(key) for key in range(2 * CAPACITY)]
    assert sum(each.resident for each in found if each is not None) == CAPACITY
    assert any(each is not None and not each.resident for each in found)
    assert cache.explain(-1) is None


def test_what_expired_is_not_resident() -> None:
    now = [0.0]
    cache: Cache[int, int] = Cache(CAPACITY, ttl=1, clock=lambda: now[0])
    serve(cache, [1])
    now[0] = 2.0
    found = cache.explain(1)
    assert found is None or not found.resident


@pytest.mark.parametrize("policy", sorted({*POLICIES} - {"learned"}))
def test_classical_policies_have_nothing_to_tell(policy: str) -> None:
    cache: Cache[int, int] = Cache(CAPACITY, policy=policy)
    cache[1] = 1
    assert cache.explain(1) is None
    assert cache.learning() is None


def test_each_shard_learns_by_itself() -> None:
    cache: Cache[int, int] = Cache(CAPACITY, shards=2)
    assert cache.learning(1) is not None
    for shard in (-1, 2):
        with pytest.raises(ConfigurationError, match="shard is"):
            cache.learning(shard)


def test_the_environment_switches_learning_off(monkeypatch: Any, caplog: Any) -> None:
    monkeypatch.setenv("FORECACHE_LEARNING", "off")
    with caplog.at_level(logging.DEBUG, "forecache"):
        assert Cache[int, int](CAPACITY).learning() is None
        assert Cache[int, int](CAPACITY, policy="learned").learning() is None
    assert "tinylfu in place of learned" in caplog.text
    assert "lru" in repr(Cache[int, int](CAPACITY, policy="lru"))
    monkeypatch.setenv("FORECACHE_LEARNING", "on")
    assert Cache[int, int](CAPACITY).learning() is not None
    monkeypatch.setenv("FORECACHE_LEARNING", "maybe")
    with pytest.raises(ConfigurationError, match="expected 'on' or 'off'"):
        Cache(CAPACITY)


def test_the_objective_is_a_question_of_bytes() -> None:
    learning = Cache[int, int](max_bytes="64KiB", objective="bytes").learning()
    assert learning is not None
    assert list(learning.hit_ratios) == ["learned"], "nobody else is watched"
    with pytest.raises(ConfigurationError, match="without max_bytes"):
        Cache(CAPACITY, objective="bytes")
    with pytest.raises(ConfigurationError, match="expected 'objects' or 'bytes'"):
        Cache(max_bytes="1MiB", objective="hits")  # type: ignore[arg-type]


def test_bytes_as_the_objective_keep_what_is_large() -> None:
    def large_kept(objective: Any) -> int:
        cache: Cache[int, int] = Cache(max_bytes=100_000, weigher=lambda key, _: 1 + key % 2 * 999, objective=objective)
        serve(cache, requests(20_000))
        return sum(key % 2 for key in cache)

    assert large_kept("bytes") > large_kept("objects")


def test_sixteen_threads_share_a_cache_that_learns() -> None:
    cache: Cache[int, int] = Cache(CAPACITY)
    threads = [threading.Thread(target=serve, args=(cache, requests(20_000, seed))) for seed in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.stats().lookups == 16 * 20_000
    assert len(cache) <= CAPACITY
    serve_until_fitted(cache, 1)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_learning_goes_on_in_parent_and_child_after_a_fork() -> None:
    cache: Cache[int, int] = Cache(CAPACITY)
    for _ in range(5):
        serve(cache, requests(3000))  # likely to leave a fit under way
        before = learned(cache).fits
        child = multiprocessing.get_context("fork").Process(target=fitted_in_child, args=(cache, before))
        child.start()
        child.join(PATIENCE)
        assert child.exitcode == 0
    serve_until_fitted(cache, learned(cache).fits + 1)


def test_caches_come_and_go_while_they_learn() -> None:
    for _ in range(20):
        serve(Cache(CAPACITY), requests(3000))
