"""The equations of fleets are what simulated processes, with real stores, do under independent references."""

from __future__ import annotations

import math

import numpy as np
import pytest

from forecache.errors import ConfigurationError
from forecache.record.trace import Trace
from forecache.study.fleet import simulate_fleet
from forecache.study.models.fleet import Fleet, load_of

KEYS, ACCESSES, RATE, WRITES = 2_000, 150_000, 1_000.0, 0.05


def popularity() -> np.ndarray:
    weights = np.arange(1, KEYS + 1) ** -0.8
    return weights / weights.sum()


@pytest.fixture(scope="module")
def trace() -> Trace:
    rng = np.random.default_rng(0)
    key = rng.choice(KEYS, ACCESSES, p=popularity())
    time = np.cumsum(rng.exponential(1e6 / RATE, ACCESSES)).astype(np.int64)
    return Trace.from_columns(key, time=time, op=(rng.random(ACCESSES) < WRITES).astype(np.uint8))


@pytest.mark.parametrize(
    "fleet",
    [
        Fleet(1, 200),
        Fleet(4, 200),
        Fleet(4, 200, sharing=1),
        Fleet(8, 100, sharing=2),
        Fleet(4, 200, bound=2, invalidates=False),
        Fleet(1, 100, 800),
        Fleet(16, 50, 500),
        Fleet(4, 0, 800, bound=5, invalidates=False),
        Fleet(4, 100, 2_000, bound=20, invalidates=False),
        Fleet(4, 100, 800, bound=20),
        Fleet(8, 300, 600, bound=60, invalidates=False),
    ],
    ids=str,
)
def test_equations_agree_with_the_simulation(trace: Trace, fleet: Fleet) -> None:
    rates = popularity() * RATE
    model = load_of(fleet, rates * (1 - WRITES), rates * WRITES)
    found = simulate_fleet(trace, fleet, seconds_per_tick=1e-6)
    assert model.in_process == pytest.approx(found.in_process, abs=0.01)
    assert model.in_tier == pytest.approx(found.in_tier, abs=0.01)
    assert model.database == pytest.approx(found.database, abs=0.01)
    assert model.in_process + model.in_tier + model.database == pytest.approx(1)


def test_more_processes_hit_less_and_the_tier_makes_up_for_it() -> None:
    rates = popularity()
    alone = [load_of(Fleet(count, 200), rates).in_process for count in (1, 2, 4, 8)]
    assert alone == sorted(alone, reverse=True)
    before = [load_of(Fleet(count, 200, 1_600), rates).database for count in (2, 8)]
    assert before[0] == pytest.approx(before[1], abs=0.05)
    assert before[1] < load_of(Fleet(8, 200), rates).database / 1.3


def test_writes_and_shorter_bounds_cost_hits() -> None:
    rates = popularity() * RATE
    by_writes = [load_of(Fleet(4, 200), rates, rates * ratio).database for ratio in (0, 0.02, 0.1)]
    assert by_writes == sorted(by_writes)
    by_bound = [load_of(Fleet(4, 200, bound=bound), rates).database for bound in (0.1, 1, 10, math.inf)]
    assert by_bound == sorted(by_bound, reverse=True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"processes": 0}, "expected at least 1 process"),
        ({"sharing": 3}, "1 to all of them for a key"),
        ({"capacity": -1}, "no capacity below 0"),
        ({"bound": 0}, "expected more than 0"),
        ({"invalidates": False}, "finite where writes do not remove copies"),
    ],
)
def test_fleets_that_cannot_be_are_refused(arguments: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Fleet(**({"processes": 2, "capacity": 5} | arguments))
