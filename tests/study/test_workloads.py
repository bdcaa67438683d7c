"""Laws of workloads: the same seed gives the same requests, and everything that is promised happens in them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecache.errors import ConfigurationError
from forecache.record.trace import Op
from forecache.study.workloads import WORKLOADS, Workload, generate, schools, shop, shops

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
            (week.trace.op[at : at + shops.SALE_PRODUCTS], set(week.trace.key[at : at + shops.SALE_PRODUCTS]))
            for at in (sale.start, sale.stop)
        ]
        assert all((op == Op.SET).all() for op, _ in changes)
        assert changes[0][1] == changes[1][1]
        asked = np.isin(week.trace.key[sale.start : sale.stop], list(changes[0][1])).mean()
        assert asked > 0.9 * shops.SALE_SHARE


def test_a_crawler_reads_the_catalogue_on_from_where_it_stopped(week: Workload) -> None:
    first = 1
    for crawl in (event for event in week.events if event.name == "crawler"):
        part = week.trace[crawl.start : crawl.stop]
        wanted = first
        for key, op in zip(part.key.tolist(), part.op.tolist(), strict=True):
            wanted += key == wanted and op == Op.GET
        assert wanted - first > 0.9 * shops.CRAWL_SHARE * len(part)
        first = wanted


def test_new_products_are_asked_for_once_they_are_launched_and_then_often(week: Workload) -> None:
    launches = [event.start for event in week.events if event.name == "new products"]
    hours = shops.launch_hours(REQUESTS // shops.REQUESTS_PER_PRODUCT)
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


@pytest.mark.parametrize("name", WORKLOADS)
def test_equal_seeds_give_equal_traces_whose_keys_keep_their_sizes(name: str) -> None:
    trace, same, other = (generate(name, 20_000, seed=seed).trace for seed in (5, 5, 6))
    for column in ("time", "key", "size", "op"):
        assert np.array_equal(getattr(trace, column), getattr(same, column))
    assert not np.array_equal(trace.key, other.key)
    assert len(trace) == 20_000
    assert (np.diff(trace.time) >= 0).all()
    assert len(np.unique(np.stack([trace.key, trace.size.astype(np.uint64)]), axis=1).T) == trace.unique
    assert trace.metadata["time_unit"] == "s"


@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize("requests", [1_000, 1_001, 7_777])
def test_small_workloads_are_whole(name: str, requests: int) -> None:
    made = generate(name, requests, seed=1)
    assert len(made.trace) == requests
    assert all(0 <= event.start <= event.stop <= requests for event in made.events)


def test_carts_are_looked_at_a_few_times_and_then_never_again() -> None:
    made = shop(REQUESTS, carts=shops.CARTS, seed=3).trace
    carts = made.key[made.key > REQUESTS // shops.REQUESTS_PER_PRODUCT]
    assert carts.size / REQUESTS == pytest.approx(shops.CARTS, rel=0.1)
    looks = np.unique(carts, return_counts=True)[1]
    assert looks.mean() == pytest.approx(shops.CART_REQUESTS, rel=0.15)
    first, last = ({key: at for at, key in order} for order in (reversed([*enumerate(carts)]), enumerate(carts)))
    assert np.median([last[key] - first[key] for key in first]) < 400


def test_a_step_of_a_learner_reads_an_item_and_writes_a_state() -> None:
    trace = generate("school", 30_000, seed=2).trace
    steps = trace.key % 4 != 3
    written = trace.op[steps] == Op.SET
    assert written[1::2].all()
    assert not written[::2].any()
    assert (trace.key[steps][1::2] % 4 == 1).all()


def test_segments_follow_each_other_and_half_of_the_viewers_leave_within_some_six_minutes() -> None:
    trace = generate("school", 60_000, seed=2).trace
    seen = trace.key[trace.key % 4 == 3] // 4
    goes_on = np.diff(seen) == 1
    assert goes_on.mean() > 0.9
    ends = np.flatnonzero(~goes_on)
    assert 24 < np.median(np.diff(ends)) < 48  # of 72 segments for 12 minutes; Guo, Kim & Rubin, L@S 2014


def test_traffic_rises_towards_a_deadline() -> None:
    trace = generate("school", 60_000, seed=2).trace
    hours = np.bincount(trace.time // 3_600, minlength=28 * 24)
    before = [hours[week * 168 + schools.DEADLINE - 24 : week * 168 + schools.DEADLINE].sum() for week in range(4)]
    after = [hours[week * 168 + schools.DEADLINE + 24 : week * 168 + schools.DEADLINE + 48].sum() for week in range(3)]
    assert min(before) > 1.5 * max(after)


def test_a_post_is_written_before_it_is_read_and_is_read_while_it_is_new() -> None:
    trace = generate("social", 60_000, seed=2).trace
    posts = trace.key % 3 == 2
    rows = np.flatnonzero(posts)
    born = dict(reversed([(key, at) for at, key in zip(rows, trace.key[posts], strict=True) if trace.op[at]]))
    ages = [at - born[key] for at, key in zip(rows, trace.key[posts], strict=True) if key in born]
    within_an_hour = 60_000 // 72 * 1.3
    assert np.mean(np.array(ages) < -within_an_hour) < 0.01
    assert np.median(ages) < 8 * 60_000 / 72


def test_a_post_is_written_to_timelines_of_followers() -> None:
    trace = generate("social", 60_000, seed=2).trace
    writes = np.flatnonzero(trace.op)
    to_timelines = (trace.key[writes] % 3 == 1).mean()
    assert 0.6 < to_timelines < 0.9
    assert 0.03 < trace.op.mean() < 0.15


def test_a_shop_that_is_too_small_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="unknown workload 'bank'; expected one of shop, school, social"):
        generate("bank", 5_000)
    for name in ("school", "social"):
        with pytest.raises(ConfigurationError, match="of 999 requests is too small; expected at least 1000"):
            generate(name, 999)
    for arguments in ({"requests": 999}, {"requests": 5_000, "products": 79}):
        with pytest.raises(ConfigurationError, match="too small; expected at least 1000 requests and 80 products"):
            shop(**arguments)
