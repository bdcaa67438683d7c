"""A live cache tells what other sizes and policies would bring: what its log says, from a bounded memory."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forecache import Cache
from forecache.errors import CapacityError, EmptyTraceError, UnknownPolicyError
from forecache.record.trace import Trace
from forecache.study.curves import miss_ratio_curve
from forecache.study.sizing import optimal_size

CAPACITIES = [10, 50, 200, 800]


def zipf(accesses: int, keys: int, exponent: float = 0.9) -> list[int]:
    weights = np.arange(1, keys + 1) ** -exponent
    return np.random.default_rng(1).choice(keys, accesses, p=weights / weights.sum()).tolist()  # type: ignore[no-any-return]


def serve(cache: Cache[Any, Any], keys: list[int]) -> None:
    for key in keys:
        cache.get_or_load(key, lambda key: key)


def test_while_all_accesses_are_kept_the_curve_is_that_of_the_log(tmp_path: Path) -> None:
    with Cache[int, int](capacity=100, policy="lru", record=tmp_path) as cache:
        serve(cache, zipf(10_000, 2_000))
        for key in list(cache)[::7]:
            cache.delete(key)
        serve(cache, zipf(5_000, 2_000))
        cache["written"] = 1  # type: ignore[index]
    for policy in ("lru", "fifo", "min"):
        live = cache.curve(policy, CAPACITIES)
        log = miss_ratio_curve(Trace.read(tmp_path), CAPACITIES, policy=policy)
        assert live.hit_ratios == pytest.approx(log.hit_ratios, abs=1e-12)
        assert (live.accesses, live.keys, live.errors) == (log.accesses, log.keys, (0.0,) * 4)


def test_it_is_the_curve_of_the_cache_itself_by_default() -> None:
    cache = Cache[int, int](capacity=100, policy="sieve")
    serve(cache, zipf(10_000, 2_000))
    curve = cache.curve()
    assert (curve.policy, curve.weights) == ("sieve", "unit")
    assert (curve.capacities[0], curve.capacities[-1]) == (3, 400)
    assert curve.hit_ratio(100) == pytest.approx(cache.stats().hit_ratio)


def test_by_size_capacities_are_bytes() -> None:
    cache = Cache[int, bytes](max_bytes=50_000, policy="lru")
    for key in zipf(10_000, 1_000):
        cache.get_or_load(key, lambda key: b"x" * (key % 300))
    curve = cache.curve(capacities=[25_000, 50_000])
    assert curve.weights == "size"
    assert curve.hit_ratios[1] == pytest.approx(cache.stats().hit_ratio, abs=0.005)
    assert curve.hit_ratios[0] < curve.hit_ratios[1]


@pytest.mark.parametrize(("keys", "capacity"), [(3_000, 300), (60_000, 6_000)])
def test_when_the_room_is_full_it_tells_of_a_stretch(tmp_path: Path, keys: int, capacity: int) -> None:
    accesses = zipf(250_000, keys, 0.8)
    with Cache[int, int](capacity=capacity, policy="lru", curve_bytes="256KiB") as cache:
        serve(cache, accesses)
    sizes = [capacity // 4, capacity // 2, capacity]
    live = cache.curve(capacities=sizes)
    truth = miss_ratio_curve(Trace.from_columns(accesses), sizes)
    for told, ratio, error in zip(live.hit_ratios, truth.hit_ratios, live.errors, strict=True):
        assert told == pytest.approx(ratio, abs=0.01 + 4 * error)
        assert error < 0.03
    assert live.accesses < len(accesses) or live.samples[0] < 1


@pytest.mark.parametrize("policy", ["arc", "s3fifo", "min"])
def test_what_a_stretch_tells_is_what_a_policy_does_after_a_long_time(policy: str) -> None:
    accesses = zipf(250_000, 10_000)
    cache = Cache[int, int](capacity=500, policy="lru", curve_bytes="256KiB")
    serve(cache, accesses)
    live = cache.curve(policy)
    truth = miss_ratio_curve(Trace.from_columns(accesses), live.capacities, policy=policy)
    assert np.abs(np.subtract(live.hit_ratios, truth.hit_ratios)).mean() < 0.015
    assert live.accesses < len(accesses) / 4


@pytest.mark.parametrize("policy", ["lirs", "s3fifo", "sieve"])
def test_a_stretch_that_was_served_before_is_not_taken_for_news(policy: str) -> None:
    """At 4 times the size, the second of two replays has more hits than the truth: it has seen what is to come."""
    accesses = zipf(250_000, 10_000)
    cache = Cache[int, int](capacity=500, policy="lru", curve_bytes="256KiB")
    serve(cache, accesses)
    live = cache.curve(policy, [2_000])
    truth = miss_ratio_curve(Trace.from_columns(accesses), [2_000], policy=policy)
    assert live.hit_ratios == pytest.approx(truth.hit_ratios, abs=0.007)


def test_memory_is_bounded_and_nothing_is_kept_where_none_is_given() -> None:
    cache = Cache[int, int](capacity=500, curve_bytes="10KiB")
    serve(cache, zipf(20_000, 3_000))
    kept = cache._window(0)
    assert kept is not None
    assert 7 * 1024 < sum(len(kept[name]) for name in ("rows", "weights")) <= 10 * 1024
    silent = Cache[int, int](capacity=500, curve_bytes=0)
    serve(silent, [1, 2, 3])
    with pytest.raises(EmptyTraceError, match="no access was kept"):
        silent.curve()


def test_shards_are_replayed_each_by_itself() -> None:
    cache = Cache[int, int](capacity=400, policy="lru", shards=4)
    serve(cache, zipf(9_000, 2_000))
    assert cache.curve(capacities=[400]).hit_ratios[0] == pytest.approx(cache.stats().hit_ratio)


def test_what_was_cleared_is_forgotten() -> None:
    cache = Cache[int, int](capacity=10, policy="lru")
    serve(cache, [1, 2, 1, 2])
    cache.clear()
    serve(cache, [1, 1])
    assert cache.curve(capacities=[5]).accesses == 2


def test_looking_changes_nothing() -> None:
    one, other = (Cache[int, int](capacity=50, policy="lru") for _ in range(2))
    for part in (zipf(2_000, 300), zipf(1_000, 200)):
        serve(one, part)
        serve(other, part)
        one.curve("min")
    assert one.stats().hits == other.stats().hits
    assert list(one) == list(other)


def test_it_is_what_a_size_is_recommended_from() -> None:
    cache = Cache[int, int](capacity=300, policy="lru")
    serve(cache, zipf(20_000, 3_000))
    curve = cache.curve()
    assert curve.requests_per_second is not None
    assert not any(math.isnan(error) for error in curve.errors)
    found = optimal_size(curve, cost_per_miss="2ms", price_per_gib_month=3.5, entry_bytes="2KiB")
    assert found.size > 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("best",), UnknownPolicyError, "unknown policy 'best'"),
        ((None, [0]), CapacityError, "each above 0"),
        ((None, []), CapacityError, "expected one or more"),
    ],
)
def test_what_cannot_be_told_is_refused(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    cache = Cache[int, int](capacity=10)
    serve(cache, [1, 1])
    with pytest.raises(error, match=message):
        cache.curve(*arguments)
