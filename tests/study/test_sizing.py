"""Laws of sizing: the best size is that of a search by hand, prices move it the right way, and doubts are told."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forecache import Cache
from forecache.curve import MissRatioCurve
from forecache.errors import CapacityError, ConfigurationError, DurationError
from forecache.record.log import AccessLog
from forecache.record.trace import Trace
from forecache.study.curves import miss_ratio_curve
from forecache.study.prices import MONTH, parse_cost, parse_price
from forecache.study.probabilities import MODELS, optimal_cache_size
from forecache.study.sizing import market_of, optimal_size
from forecache.units import parse_size

GIB = 1024**3
ARTICLE = [0.3, 0.2, 0.15, 0.1, 0.1, 0.1, 0.1, 0.1, 0.05, 0.05]
ratios = st.lists(st.floats(0, 1), min_size=2, max_size=12).map(sorted)


def curve(*hit_ratios: float, accesses: int = 10**7, seconds: float | None = 100.0, step: int = 4) -> MissRatioCurve:
    capacities = tuple(100 * step**number for number in range(len(hit_ratios)))
    zeros = (0.0,) * len(hit_ratios)
    return MissRatioCurve("t", "lru", "unit", capacities, hit_ratios, zeros, zeros, accesses, capacities[-1], seconds)


RISING = curve(0.3, 0.5, 0.65, 0.75, 0.8, 0.82)
PRICES = {"cost_per_miss": 1e-6, "price_per_gib_month": 5.0, "entry_bytes": "1MiB"}


@given(ratios, st.floats(1e-9, 1e-3), st.floats(0, 1e4))
def test_no_size_of_the_curve_is_better_than_the_best(hits: list[float], miss: float, price: float) -> None:
    found = optimal_size(curve(*hits), cost_per_miss=miss, price_per_gib_month=price, entry_bytes=2_000)
    nets = [
        1e5 * MONTH * ratio * miss - price * capacity * 2_000 / GIB
        for ratio, capacity in zip(hits, curve(*hits).capacities, strict=True)
    ]
    assert found.net_benefit >= max(0.0, *nets) * (1 - 1e-9) - 1e-9


@given(ratios, st.floats(1e-9, 1e-3), st.floats(1e-3, 1e4))
def test_the_dearer_memory_the_smaller_the_best_size(hits: list[float], miss: float, price: float) -> None:
    found = optimal_size(curve(*hits), cost_per_miss=miss, price_per_gib_month=price, entry_bytes=2_000)
    sizes = [one.size for one in found.sensitivity]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[1] >= found.size - 1 >= sizes[2] - 2


def test_without_a_price_the_largest_cache_is_best_and_at_any_price_none_may_be() -> None:
    free = optimal_size(RISING, **PRICES | {"price_per_gib_month": 0})
    dear = optimal_size(RISING, **PRICES | {"price_per_gib_month": 1e9})
    assert free.capacity == RISING.capacities[-1]
    assert (dear.capacity, dear.net_benefit) == (0, 0)
    assert "No cache pays" in str(dear)


def test_the_recommendation_is_told_with_its_figures() -> None:
    found = optimal_size(RISING, **PRICES, today="100MiB", target_hit_ratio=0.65, most_misses_per_second=30_000)
    text = str(found)
    assert text.startswith("Give the cache ")
    assert "more than today's 100MiB" in text
    assert found.size_for_hit_ratio == pytest.approx(1_600 * 2**20, rel=1e-6)
    assert market_of(RISING, **PRICES).database_load(found.size_for_load) <= 30_000
    assert found.to_dict()["advice"] == text
    assert optimal_size(RISING, **PRICES, target_hit_ratio=0.9).size_for_hit_ratio is None


def test_at_the_optimum_one_more_mib_saves_about_what_it_costs() -> None:
    smooth = curve(*(1 - 0.8 * 0.9**number for number in range(40)), step=2)
    found = optimal_size(smooth, cost_per_miss=1e-3, price_per_gib_month=5.0, entry_bytes="1KiB")
    assert found.value_of_mib == pytest.approx(found.price_of_mib, rel=0.2)


def test_todays_size_may_be_as_good() -> None:
    best = optimal_size(RISING, **PRICES).size
    assert str(optimal_size(RISING, **PRICES, today=best)).startswith("Leave the cache at ")


def test_flat_optima_and_short_data_are_said_to_be_so() -> None:
    flat = optimal_size(curve(0.5, 0.505, 0.51, 0.515), **PRICES | {"price_per_gib_month": 1e-3})
    assert flat.is_flat
    assert "The optimum is flat" in str(flat)
    short = optimal_size(curve(0.1, 0.5, accesses=500), **PRICES)
    assert short.is_short
    assert "too short to be sure" in str(short)
    assert not optimal_size(RISING, **PRICES).is_short


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"entry_bytes": None}, CapacityError, "give entry_bytes above 0"),
        ({"requests_per_second": 0}, ConfigurationError, "give requests_per_second"),
        ({"curve": curve(0.5, seconds=None)}, ConfigurationError, "nobody knows how many requests"),
        ({"cost_per_hit": 1}, ConfigurationError, "a miss costs more than a hit"),
        ({"price_per_gib_month": "3 apples"}, ConfigurationError, "price '3 apples' is not understood"),
        ({"price_per_gib_month": "3/GiB-week"}, ConfigurationError, "is not understood"),
        ({"cost_per_miss": "2 things"}, DurationError, "2 things"),
    ],
)
def test_what_cannot_be_compared_is_refused(changed: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        optimal_size(**({"curve": RISING} | PRICES | changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "money"),
    [
        ("3.5/GiB-month", 3.5),
        ("$3.5/GiB-month", 3.5),
        (2, 2),
        ("1/MiB-month", 1024),
        ("1/GiB-second", MONTH),
        ("0.5", 0.5),
    ],
)
def test_prices_of_memory(text: str | float, money: float) -> None:
    assert parse_price(text) == pytest.approx(money)


def test_costs_are_money_or_time_of_a_core() -> None:
    assert parse_cost("0.25") == parse_cost(0.25) == parse_cost("€0.25") == 0.25
    assert parse_cost("2ms", core_month=30) == pytest.approx(0.002 * 30 / MONTH)


@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=12), st.sampled_from(list(MODELS)))
def test_hit_probabilities_of_a_list_never_fall_and_end_at_one(p: list[float], model: str) -> None:
    found = optimal_cache_size(p, model=model)  # type: ignore[arg-type]
    hits = found.hit_probabilities
    assert all(later >= earlier - 1e-9 for earlier, later in pairwise(hits))
    assert (hits[0], hits[-1]) == (0, pytest.approx(1))
    assert found.total == pytest.approx(sum(p))


def test_the_list_of_the_article() -> None:
    found = optimal_cache_size(ARTICLE, price_per_entry=0.1)
    assert found.total == pytest.approx(1.25)
    assert [round(hit, 2) for hit in found.hit_probabilities[1:7]] == [0.24, 0.40, 0.52, 0.60, 0.68, 0.76]
    assert found.entries == 3
    assert found.hit_probability == pytest.approx(0.52)
    assert "<- best" in str(found).splitlines()[found.entries + 1]
    assert optimal_cache_size(ARTICLE).entries == len(ARTICLE)


@pytest.mark.parametrize("arguments", [{"p": []}, {"p": [0.5, -1]}, {"model": "best"}, {"price_per_entry": -1}])
def test_lists_that_are_none_are_refused(arguments: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="expected"):
        optimal_cache_size(**({"p": [0.5, 0.5]} | arguments))  # type: ignore[arg-type]


def test_sizes_are_bytes_where_the_curve_counts_bytes() -> None:
    sized = MissRatioCurve("t", "lru", "size", (2**20, 2**22), (0.5, 0.9), (0, 0), (1, 1), 10**6, 1000, 10)
    found = optimal_size(sized, cost_per_miss=1e-3, price_per_gib_month=1)
    assert found.size == found.capacity == parse_size("4MiB")
    assert math.isclose(found.filled, 0.1 * 10**6 / 1000)


def test_a_live_cache_recommends_what_its_log_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = np.arange(1, 8_001) ** -0.9
    keys = rng.choice(8_000, 60_000, p=weights / weights.sum()).tolist()
    with Cache[int, int](capacity=1_000, policy="lru", record=AccessLog(tmp_path / "log")) as cache:
        for key in keys:
            cache.get_or_load(key, int)
        live = cache.curve()
    live.save(tmp_path / "live.json")
    asked = {"cost_per_miss": 1e-6, "price_per_gib_month": 200, "entry_bytes": "64KiB", "requests_per_second": 100}
    of_log = optimal_size(miss_ratio_curve(Trace.read(tmp_path / "log"), list(live.capacities)), **asked)
    for curve in (live, MissRatioCurve.load(tmp_path / "live.json")[0]):
        found = optimal_size(curve, **asked)
        assert of_log.good_from <= found.size <= of_log.good_to
        assert found.hit_ratio == pytest.approx(of_log.hit_ratio, abs=0.01)
        assert found.net_benefit == pytest.approx(of_log.net_benefit, rel=0.1)
    assert live.capacities[0] < of_log.capacity < live.capacities[-1]


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1]", '[{"trace": "t"}]'])
def test_a_file_that_holds_no_curves_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "saved.json").write_text(text)
    with pytest.raises(ConfigurationError, match="JSON|expected"):
        MissRatioCurve.load(tmp_path / "saved.json")


def test_a_saved_curve_is_the_curve(tmp_path: Path) -> None:
    curve = MissRatioCurve("t", "lru", "unit", (1, 9), (0.1, 0.6), (0.0, 0.2), (1.0, 0.5), 90, 12, 3.5)
    other = replace(curve, errors=(0.0, math.nan))
    curve.save(tmp_path / "saved.json", other)
    first, second = MissRatioCurve.load(tmp_path / "saved.json")
    assert first == curve
    assert math.isnan(second.errors[1])
