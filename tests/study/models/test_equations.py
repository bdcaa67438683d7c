"""Equations come within 0.005 of what caches do under independent references."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from forecache.errors import CapacityError, ConfigurationError
from forecache.record.trace import Trace
from forecache.study.models import expiry, replacement
from forecache.study.models.characteristic import hit_ratio
from forecache.study.models.optimum import static_optimum
from forecache.study.simulate import simulate
from tests.study.models import naive

NEAR = 0.005
KEYS = 2_000
CAPACITIES = [20, 200, 1_000]


def zipf(exponent: float, keys: int = KEYS) -> np.ndarray:
    weights = np.arange(1, keys + 1) ** -exponent
    return weights / weights.sum()


def drawn(probabilities: np.ndarray, accesses: int = 400_000) -> Trace:
    return Trace.from_columns(np.random.default_rng(7).choice(probabilities.size, accesses, p=probabilities))


@pytest.mark.parametrize("exponent", [0.6, 0.9, 1.2])
@pytest.mark.parametrize(("policy", "model"), [("lru", replacement.lru), ("fifo", replacement.fifo)])
def test_full_caches(exponent: float, policy: str, model: Callable[..., np.ndarray]) -> None:
    probabilities = zipf(exponent)
    for row in simulate(drawn(probabilities), [policy], CAPACITIES):
        cold = min(row.capacity, KEYS) / row.accesses  # misses that fill it
        assert hit_ratio(probabilities, model(probabilities, row.capacity)) == pytest.approx(
            row.hit_ratio, abs=NEAR + cold
        )


def test_lru_by_size() -> None:
    probabilities = zipf(0.8)
    sizes = np.random.default_rng(2).integers(1, 50, KEYS)
    trace = drawn(probabilities)
    trace = Trace.from_columns(trace.key, size=sizes[trace.key.astype(int)])
    for row in simulate(trace, ["lru"], [2_000, 20_000], weights="size"):
        model = hit_ratio(probabilities, replacement.lru(probabilities, row.capacity, sizes))
        assert model == pytest.approx(row.hit_ratio, abs=NEAR)


@pytest.mark.parametrize("capacity", CAPACITIES)
def test_random_is_as_fifo(capacity: int) -> None:
    probabilities = zipf(0.9)
    found = naive.measured(naive.random(capacity), probabilities, 200_000)
    assert hit_ratio(probabilities, replacement.fifo(probabilities, capacity)) == pytest.approx(found, abs=NEAR)


@pytest.mark.parametrize("q", [0.1, 0.5, 1.0])
def test_q_lru(q: float) -> None:
    probabilities = zipf(0.9)
    found = naive.measured(naive.q_lru(200, q), probabilities, 300_000)
    assert hit_ratio(probabilities, replacement.q_lru(probabilities, 200, q)) == pytest.approx(found, abs=NEAR)


@pytest.mark.parametrize("capacity", [50, 200, 800])
def test_two_lru(capacity: int) -> None:
    probabilities = zipf(0.9)
    found = naive.measured(naive.two_lru(capacity), probabilities, 200_000)
    model = hit_ratio(probabilities, replacement.two_lru(probabilities, capacity))
    assert model == pytest.approx(found, abs=2 * NEAR)  # the model takes the two caches to be independent


@pytest.mark.parametrize("from_load", [True, False])
@pytest.mark.parametrize("ttl", [50.0, 500.0])
def test_ttl_caches(ttl: float, from_load: bool) -> None:
    probabilities = zipf(0.9)
    found = naive.measured(naive.ttl(ttl, from_load=from_load), probabilities, 200_000)
    model = (expiry.ttl_from_load if from_load else expiry.ttl_from_last_access)(probabilities, ttl)
    assert hit_ratio(probabilities, model) == pytest.approx(found, abs=NEAR)


@pytest.mark.parametrize("ttl", [100.0, 600.0, 3_000.0, 1e9])
def test_lru_with_ttl(ttl: float) -> None:
    probabilities = zipf(0.9)
    found = naive.measured(naive.lru_with_ttl(200, ttl), probabilities, 150_000)
    model = hit_ratio(probabilities, expiry.lru_with_ttl(probabilities, 200, ttl))
    assert model == pytest.approx(found, abs=2 * NEAR)  # one step is an approximation


def test_without_an_end_lru_with_ttl_is_lru_and_without_a_bound_a_ttl_cache() -> None:
    rates = zipf(0.9)
    assert expiry.lru_with_ttl(rates, 200, 1e12) == pytest.approx(replacement.lru(rates, 200), abs=1e-6)
    assert expiry.lru_with_ttl(rates, KEYS, 300) == pytest.approx(expiry.ttl_from_load(rates, 300))


def test_the_static_optimum_keeps_the_most_probable_and_is_beaten_by_nobody() -> None:
    probabilities = zipf(0.8)
    for capacity in CAPACITIES:
        best = hit_ratio(probabilities, static_optimum(probabilities, capacity))
        assert best == pytest.approx(probabilities[:capacity].sum())
        for model in (replacement.lru, replacement.fifo, replacement.two_lru):
            assert hit_ratio(probabilities, model(probabilities, capacity)) < best


def test_by_size_the_optimum_keeps_what_is_worth_most_per_byte() -> None:
    assert static_optimum([0.5, 0.3, 0.2], 5, [5, 2, 6]).tolist() == [0.6, 1.0, 0.0]


def test_everything_fits_into_what_is_large_enough() -> None:
    for model in (replacement.lru, replacement.fifo, replacement.two_lru):
        assert model([0.5, 0.3, 0.2], 3).tolist() == [1, 1, 1]


@pytest.mark.parametrize("rates", [[], [0.0, 1.0], [-1.0], [float("nan")], [[0.5]]])
def test_what_is_no_list_of_rates_is_refused(rates: list[float]) -> None:
    with pytest.raises(ConfigurationError, match="finite numbers above 0"):
        replacement.lru(rates, 1)


def test_other_settings_that_cannot_be_are_refused() -> None:
    with pytest.raises(CapacityError, match="capacity is 0"):
        replacement.lru([1.0, 1.0], 0)
    with pytest.raises(ConfigurationError, match="q is 2"):
        replacement.q_lru([1.0], 1, 2)
