"""Laws of the policies, seen from Python: each is its naive twin, none beats perfect foresight, chance has a seed."""

from __future__ import annotations

from array import array
from collections.abc import Callable

import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

from forecache import POLICIES, Cache, _core
from tests.laws import naive
from tests.laws.naive_tinylfu import TinyLfu

ALL_POLICIES = (*POLICIES, *_core.OFFLINE_POLICIES)
BY_ID = {"tinylfu", "learned"}  # decide by the hash of a key, which is not that of the simulator
CHOOSY = {"learned"}  # do not admit every key
LEARNING = {"learned"}  # specified by what they learn to do, not step by step

TWINS: dict[str, Callable[[int, int, list[int]], naive.Twin]] = {
    "fifo": lambda capacity, seed, trace: naive.Fifo(capacity),
    "lru": lambda capacity, seed, trace: naive.Lru(capacity),
    "lfu": lambda capacity, seed, trace: naive.Lfu(capacity),
    "sieve": lambda capacity, seed, trace: naive.Sieve(capacity),
    "s3fifo": lambda capacity, seed, trace: naive.S3Fifo(capacity),
    "arc": lambda capacity, seed, trace: naive.Arc(capacity),
    "lirs": lambda capacity, seed, trace: naive.Lirs(capacity),
    "tinylfu": lambda capacity, seed, trace: TinyLfu(capacity, seed),
    "min": lambda capacity, seed, trace: naive.Min(capacity, trace),
}

seeds = st.integers(0, 2**64 - 1)
capacities = st.one_of(st.integers(1, 8), st.integers(1, 60))


@st.composite
def traces(draw: st.DrawFn, most: int = 400) -> list[int]:
    """Skewed, cyclic and unrelated accesses, one after the other."""
    space = draw(st.integers(1, 120))
    skew = draw(st.sampled_from([1, 1, 2, 4]))  # the higher, the more accesses go to the low keys
    lucky = st.floats(0, 1, exclude_max=True).map(lambda chance: int(space * chance**skew))
    trace = draw(st.lists(lucky, max_size=most // 2))
    loop = list(range(draw(st.integers(0, 30)))) * draw(st.integers(0, 6))
    return [*trace, *loop, *draw(st.lists(lucky, max_size=most // 4))]


def hits_of(policy: str, capacity: int, trace: list[int], seed: int = 0) -> list[bool]:
    accesses = _core.Accesses(array("Q", trace))
    return [hit == 1 for hit in _core.Simulation(accesses, policy, capacity, seed=seed).run_hits(len(trace))]


def test_every_policy_that_does_not_learn_has_a_twin() -> None:
    assert set(TWINS) == {*ALL_POLICIES} - LEARNING


@pytest.mark.parametrize("policy", TWINS)
@given(capacity=capacities, seed=seeds, trace=traces())
@settings(max_examples=150, deadline=None)
def test_a_policy_hits_where_its_naive_twin_hits(policy: str, capacity: int, seed: int, trace: list[int]) -> None:
    twin = TWINS[policy](capacity, seed, trace)
    assert hits_of(policy, capacity, trace, seed) == [twin.access(key) for key in trace]


@pytest.mark.parametrize("policy", sorted({*ALL_POLICIES} - BY_ID - {"min"}))
@given(capacity=capacities, trace=traces(200))
@settings(max_examples=60, deadline=None)
def test_a_live_cache_hits_where_its_simulation_hits(policy: str, capacity: int, trace: list[int]) -> None:
    cache: Cache[int, int] = Cache(capacity, policy=policy)

    def access(key: int) -> bool:
        hit = cache.get(key) is not None
        if not hit:
            cache.set(key, key)
        return hit

    assert [access(key) for key in trace] == hits_of(policy, capacity, trace)


@pytest.mark.parametrize("policy", POLICIES)
@given(capacity=capacities, seed=seeds, trace=traces())
@settings(max_examples=50, deadline=None)
def test_no_policy_beats_foresight(policy: str, capacity: int, seed: int, trace: list[int]) -> None:
    best = (naive.Foresight if policy in CHOOSY else naive.Min)(capacity, trace)
    assert sum(hits_of(policy, capacity, trace, seed)) <= sum(best.access(key) for key in trace)


@pytest.mark.parametrize("policy", ALL_POLICIES)
@given(capacity=capacities, seed=seeds, trace=traces(), step=st.integers(1, 50))
@settings(max_examples=30, deadline=None)
def test_the_same_trace_and_seed_hit_the_same_in_steps_or_at_once(
    policy: str, capacity: int, seed: int, trace: list[int], step: int
) -> None:
    accesses = _core.Accesses(array("Q", trace))
    stepped = _core.Simulation(accesses, policy, capacity, seed=seed)
    hits = b"".join(stepped.run_hits(step) for _ in range(0, len(trace), step))
    assert hits == _core.Simulation(accesses, policy, capacity, seed=seed).run_hits(len(trace))


@given(capacity=capacities, trace=traces())
@example(capacity=2, trace=[1, 2, 1, 3, 2])
@settings(deadline=None)
def test_lru_hits_iff_the_reuse_distance_is_below_capacity(capacity: int, trace: list[int]) -> None:
    def reuse_distance(at: int) -> float:
        before = trace[:at]
        if trace[at] not in before:
            return float("inf")
        last = at - 1 - before[::-1].index(trace[at])
        return len(set(trace[last + 1 : at]))

    assert hits_of("lru", capacity, trace) == [reuse_distance(at) < capacity for at in range(len(trace))]


@pytest.mark.parametrize("policy", ALL_POLICIES)
@given(trace=traces())
@settings(max_examples=30, deadline=None)
def test_what_fits_is_missed_once(policy: str, trace: list[int]) -> None:
    capacity = max(1, len(set(trace)))
    assert hits_of(policy, capacity, trace).count(False) == len(set(trace))
