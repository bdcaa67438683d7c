"""Laws of the shop: the same seed gives the same week, and everything that is promised happens in it."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecache.errors import ConfigurationError
from forecache.record.trace import Op
from forecache.study import workloads
from forecache.study.workloads import Workload, shop

REQUESTS = 40_000


@pytest.fixture(scope="module")
def week() -> Workload:
    return shop(REQUESTS, seed=3)


def test_equal_seeds_give_equal_weeks_and_others_do_not(week: Workload) -> None:
    same, other = shop(REQUESTS, seed=3), shop(REQUESTS, seed=4)
    for column in ("time", "key", "op"):
        assert np.array_equal(getattr(week.trace, column), getattr(same.trace, column))
        assert not np.array_equal(getattr(week.trace, column), getattr(other.trace, column))


@settings(max_examples=15, deadline=None)
@given(st.integers(1_000, 5_000), st.integers(80, 2_000), st.integers(0, 2**64 - 1))
def test_any_size_has_so_many_requests_in_order_for_known_products(requests: int, products: int, seed: int) -> None:
    found = shop(requests, products=products, seed=seed)
    trace = found.trace
    assert len(trace) == requests
    assert set(trace.key.tolist()) <= set(range(1, products + 1))
    assert trace.time.tolist() == sorted(trace.time.tolist())
    assert set((trace.time // 86_400).tolist()) == set(range(7))
    assert all(0 <= event.start <= event.stop <= requests for event in found.events)


def test_a_sale_changes_its_prices_when_it_begins_and_when_it_ends(week: Workload) -> None:
    for sale in (event for event in week.events if event.name == "flash sale"):
        changes = [
            (week.trace.op[at : at + workloads.SALE_PRODUCTS], set(week.trace.key[at : at + workloads.SALE_PRODUCTS]))
            for at in (sale.start, sale.stop)
        ]
        assert all((op == Op.SET).all() for op, _ in changes)
        assert changes[0][1] == changes[1][1]
        asked = np.isin(week.trace.key[sale.start : sale.stop], list(changes[0][1])).mean()
        assert asked > 0.9 * workloads.SALE_SHARE


def test_a_crawler_reads_the_catalogue_on_from_where_it_stopped(week: Workload) -> None:
    first = 1
    for crawl in (event for event in week.events if event.name == "crawler"):
        part = week.trace[crawl.start : crawl.stop]
        wanted = first
        for key, op in zip(part.key.tolist(), part.op.tolist(), strict=True):
            wanted += key == wanted and op == Op.GET
        assert wanted - first > 0.9 * workloads.CRAWL_SHARE * len(part)
        first = wanted


def test_new_products_are_asked_for_once_they_are_launched_and_then_often(week: Workload) -> None:
    launches = [event.start for event in week.events if event.name == "new products"]
    hours = workloads.launch_hours(REQUESTS // workloads.REQUESTS_PER_PRODUCT)
    first = 1 + np.flatnonzero(hours == hours[np.isfinite(hours)].min())
    new = np.isin(week.trace.key, first)
    assert not new[: launches[0]].any()
    assert new[launches[0] : launches[0] + 3_000].mean() > 2 * first.size / hours.size


def test_popularity_drifts_within_the_week(week: Workload) -> None:
    def popular(part: slice) -> set[int]:
        return {key for key, _ in Counter(week.trace.key[part].tolist()).most_common(100)}

    day = REQUESTS // 7
    morning, evening, last = (popular(slice(at, at + day // 2)) for at in (0, day // 2, REQUESTS - day // 2))
    assert len(morning & evening) > len(morning & last)
    assert len(morning & last) < 50


def test_traffic_has_a_daily_rhythm(week: Workload) -> None:
    by_hour = np.bincount(week.trace.time // 3_600 % 24, minlength=24)
    assert by_hour.argmax() in {19, 20, 21}
    assert by_hour.max() > 3 * by_hour.min()


def test_a_shop_that_is_too_small_is_refused() -> None:
    for arguments in ({"requests": 999}, {"requests": 5_000, "products": 79}):
        with pytest.raises(ConfigurationError, match="too small; expected at least 1000 requests and 80 products"):
            shop(**arguments)
