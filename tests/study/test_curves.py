"""Laws of curves: exact ones are those of simulations, sampled ones come near and say how near."""

from __future__ import annotations

import math
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecache import _core
from forecache.curve import MissRatioCurve
from forecache.errors import CapacityError, ConfigurationError, EmptyTraceError, UnknownPolicyError
from forecache.record.trace import Trace
from forecache.study import miniature
from forecache.study.curves import (
    Footprint,
    default_capacities,
    default_sample,
    miss_ratio_curve,
    seconds_of,
)
from forecache.study.in_threads import STEPS, replayed
from forecache.study.miniature import LEAST_ENTRIES, Miniature, sampled
from forecache.study.simulate import known_policies, simulate

CAPACITIES = [5, 20, 80, 300]


def zipf(accesses: int = 60_000, keys: int = 20_000, seed: int = 0, exponent: float = 0.7) -> Trace:
    rng = np.random.default_rng(seed)
    weights = np.arange(1, keys + 1) ** -exponent
    chosen = rng.choice(keys, size=accesses, p=weights / weights.sum())
    return Trace.from_columns(chosen, size=chosen % 90 + 10, name="zipf")


@pytest.mark.parametrize("policy", known_policies())
def test_without_a_sample_a_curve_is_that_of_simulations(policy: str) -> None:
    trace = zipf(4_000, 800)
    curve = miss_ratio_curve(trace, CAPACITIES, policy=policy)
    rows = simulate(trace, [policy], CAPACITIES)
    assert curve.hit_ratios == pytest.approx([row.hit_ratio for row in rows], abs=0)
    assert (curve.errors, curve.samples) == ((0.0,) * 4, (1.0,) * 4)
    assert (curve.accesses, curve.keys, curve.capacities) == (4_000, trace.unique, tuple(CAPACITIES))


def test_by_size_lru_is_that_of_simulations() -> None:
    trace = zipf(4_000, 800)
    specs = ["1KiB", "5%", "20KiB"]
    curve = miss_ratio_curve(trace, specs, weights="size")
    rows = simulate(trace, ["lru"], specs, weights="size")
    expected = {row.capacity: row.hit_ratio for row in rows}
    assert dict(zip(curve.capacities, curve.hit_ratios, strict=True)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("policy", ["lru", "tinylfu", "min"])
def test_samples_come_within_their_errors(policy: str) -> None:
    trace, capacities = zipf(), [200, 1_000, 5_000]
    exact = miss_ratio_curve(trace, capacities, policy=policy)
    some = miss_ratio_curve(trace, capacities, policy=policy, sample=0.3, seeds=6, seed=11)
    for truth, ratio, error in zip(exact.hit_ratios, some.hit_ratios, some.errors, strict=True):
        assert abs(ratio - truth) <= 5 * error + 0.002
        assert 0 < error < 0.03


def hot(accesses: int = 300_000) -> Trace:
    """Forty keys make a quarter of the accesses: a sample of the keys has them or has them not."""
    rng = np.random.default_rng(3)
    weights = np.arange(1, 40_001) ** -0.6
    keys = rng.choice(40_000, size=accesses, p=weights / weights.sum()) + 40
    to_hot = rng.random(accesses) < 0.25
    keys[to_hot] = rng.integers(0, 40, int(to_hot.sum()))
    return Trace.from_columns(keys)


@pytest.mark.parametrize("settings", [{"sample": 0.05}, {"most_keys": 3_000}])
def test_a_few_keys_that_make_much_of_the_traffic_are_not_left_to_chance(settings: dict[str, float]) -> None:
    trace = hot()
    exact = miss_ratio_curve(trace)
    covered = []
    for seed in range(6):
        some = miss_ratio_curve(trace, seed=seed, **settings)  # type: ignore[arg-type]
        differences = np.abs(np.subtract(some.hit_ratios, exact.hit_ratios))
        assert differences.mean() < 0.01
        covered.append((differences <= 2 * np.array(some.errors)).mean())
    assert np.mean(covered) > 0.7


def test_a_sample_of_fixed_size_has_no_more_keys() -> None:
    trace = zipf()
    curve = miss_ratio_curve(trace, [1_000], most_keys=4_000, seed=3)
    assert 0.1 < curve.samples[0] < 0.4
    assert curve.hit_ratios[0] == pytest.approx(miss_ratio_curve(trace, [1_000]).hit_ratios[0], abs=0.03)


def test_the_log_of_a_sample_has_the_curve_of_the_whole() -> None:
    trace, share = zipf(), 0.5
    part = sampled(trace, share, 5)
    log = Trace(part.time, part.key, part.size, part.op, "log", {"sample": share})
    for policy in ("lru", "tinylfu"):
        whole, of_log = (miss_ratio_curve(one, ["2%", 3_000], policy=policy) for one in (trace, log))
        assert of_log.capacities == pytest.approx(whole.capacities, rel=0.05)
        assert of_log.hit_ratios == pytest.approx(whole.hit_ratios, abs=0.05)  # three standard deviations
        assert of_log.accesses == pytest.approx(len(trace), rel=0.1)


@given(st.floats(0.01, 1), st.floats(0.01, 1), st.integers(0, 5))
def test_the_smaller_of_two_samples_is_part_of_the_larger(first: float, second: float, seed: int) -> None:
    trace = zipf(500, 300)
    few, many = sorted((first, second))
    small, large = (set(sampled(trace, share, seed).key.tolist()) for share in (few, many))
    assert small <= large
    kept = np.isin(trace.key, list(small))
    assert (sampled(trace, few, seed).key == trace.key[kept]).all()


@given(st.integers(1, 10**9), st.floats(0.0001, 1), st.floats(0.01, 1))
def test_miniatures_have_exactly_their_share_of_the_capacity(capacity: int, sample: float, share: float) -> None:
    small = Miniature.of(capacity, sample, share, capacity * share)
    assert 0 < small.share <= 1
    assert small.capacity >= min(LEAST_ENTRIES, math.floor(capacity * share)) - 1
    assert small.share == 1 or small.capacity / (capacity * share) == pytest.approx(small.share)


@pytest.mark.parametrize("policy", ["tinylfu", "min"])
def test_where_all_keys_have_room_no_policy_is_better_than_another_whatever_the_sample(policy: str) -> None:
    trace = zipf(6_000)
    some = miss_ratio_curve(trace, ["100%"], policy=policy, sample=0.2)
    assert some.hit_ratios == pytest.approx(miss_ratio_curve(trace, ["100%"]).hit_ratios)
    assert some.errors[0] == pytest.approx(0)


def test_one_sample_knows_no_error() -> None:
    curve = miss_ratio_curve(zipf(2_000), [1_000], policy="fifo", sample=0.5, seeds=1)
    assert math.isnan(curve.errors[0])
    assert curve.rows()[0]["error"] is None


def test_capacities_go_from_a_thousandth_to_all_keys_unless_they_are_given() -> None:
    trace = zipf(3_000)
    found = default_capacities(Footprint.of(trace))
    assert (found[0], found[-1]) == (round(trace.unique / 1000), trace.unique)
    assert miss_ratio_curve(trace).capacities == tuple(found)
    assert default_sample(trace) == 1


def test_seconds_are_known_where_the_unit_is() -> None:
    def timed(**metadata: str) -> Trace:
        return Trace.from_columns([1, 2, 3], time=[0, 500, 2_000], metadata=metadata)

    assert seconds_of(timed(time_unit="ms")) == 2
    assert seconds_of(timed(time_unit="index")) is None
    assert seconds_of(timed()) is None
    assert miss_ratio_curve(timed(time_unit="s"), [2]).requests_per_second == pytest.approx(3 / 2_000)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"trace": Trace.from_columns([])}, EmptyTraceError, "has no access"),
        ({"policy": "best"}, UnknownPolicyError, "unknown policy 'best'"),
        ({"sample": 0}, ConfigurationError, "sample is 0; expected a share"),
        ({"sample": 1.5}, ConfigurationError, "sample is 1.5"),
        ({"most_keys": 0}, ConfigurationError, "most_keys is 0; expected at least 1"),
        ({"seeds": 0}, ConfigurationError, "seeds is 0; expected at least 1"),
        ({"capacities": ["1MiB"]}, CapacityError, "in bytes while every entry weighs 1"),
    ],
)
def test_what_has_no_curve_is_refused(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    usable: dict[str, object] = {"trace": zipf(100), "capacities": [10]}
    with pytest.raises(error, match=message):
        miss_ratio_curve(**(usable | arguments))  # type: ignore[arg-type]


def test_between_its_points_a_curve_is_interpolated() -> None:
    curve = MissRatioCurve("t", "lru", "unit", (10, 1_000), (0.2, 0.6), (0.0, 0.02), (1.0, 1.0), 100, 2_000)
    assert [curve.hit_ratio(size) for size in (0, 5, 10, 100, 1_000, 9_999)] == pytest.approx(
        [0, 0.1, 0.2, 0.4, 0.6, 0.6]
    )
    assert curve.error(100) == pytest.approx(0.01)
    assert curve.miss_ratios == pytest.approx((0.8, 0.4))
    assert curve.requests_per_second is None
    assert curve.to_dict()["policy"] == "lru"


@pytest.mark.parametrize("capacities", [(), (10, 10), (20, 10)])
def test_columns_that_are_no_curve_are_refused(capacities: tuple[int, ...]) -> None:
    ratios = (0.5,) * len(capacities)
    with pytest.raises(CapacityError):
        MissRatioCurve("t", "lru", "unit", capacities, ratios, ratios, ratios, 1, 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda: _core.Curve(rate=0.0),
        lambda: _core.Curve(share=2.0),
        lambda: _core.Curve(most=0),
        lambda: _core.Curve().hits([2, 1]),
        lambda: _core.Curve().feed(np.zeros(3, np.uint64), np.zeros(2, np.uint64)),
        lambda: _core.Curve().survey(np.zeros(3, np.uint64), 2),
    ],
)
def test_the_core_refuses_what_it_cannot_use(call: object) -> None:
    with pytest.raises(ValueError, match="expected"):
        call()  # type: ignore[operator]


def test_a_published_curve_of_a_real_trace(real_traces: Path) -> None:
    path = real_traces / "arc_oltp.parquet"
    if not path.is_file():
        pytest.skip(f"no {path}; set FORECACHE_TRACES to the directory that has it")
    curve = miss_ratio_curve(Trace.read(path), [1_000, 2_000, 5_000, 10_000, 15_000])
    assert [round(100 * ratio, 2) for ratio in curve.hit_ratios] == [32.83, 42.47, 53.65, 60.70, 64.63]


def test_an_interruption_ends_what_runs_and_begins_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    simulated = miniature.simulated
    monkeypatch.setattr(miniature, "simulated", lambda *cell: (begun.append(cell), simulated(*cell))[1])

    def interrupt(_done: int, _total: int) -> None:
        if begun:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        miss_ratio_curve(zipf(400_000), policy="learned", sample=1.0, jobs=1, on_progress=interrupt)
    assert len(begun) < 4, "of 13"
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("forecache-study")]


def test_a_replay_in_slices_is_the_same_replay() -> None:
    trace, stop = zipf(2 * STEPS + 7), threading.Event()
    whole = _core.Simulation(trace.accesses(), "lru", 20).run(len(trace))
    assert replayed(_core.Simulation(trace.accesses(), "lru", 20).run, len(trace), stop) == whole
    stop.set()
    assert replayed(_core.Simulation(trace.accesses(), "lru", 20).run, len(trace), stop)[0] == STEPS
