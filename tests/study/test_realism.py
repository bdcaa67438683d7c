"""Generated workloads are like what was measured: recorded traces, and published figures of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from forecache.record.trace import Trace
from forecache.study.curves import miss_ratio_curve
from forecache.study.workloads import generate, shop

LIKE = {"shop": "web12", "school": "algebra05_tutor", "social": "twitter_c52"}
REQUESTS = {"shop": 95_607, "school": 259_996, "social": 300_000}


NEAR = {"shop": 0.11, "school": 0.08, "social": 0.08}  # the shop's crawlers and sales come back less


def like(name: str) -> Trace:
    """What is to be like a recorded trace; that of a shop has products only."""
    made = shop(REQUESTS[name], seed=1) if name == "shop" else generate(name, REQUESTS[name], seed=1)
    return made.trace


@pytest.fixture(scope="module", params=LIKE)
def pair(request: pytest.FixtureRequest, real_traces: Path) -> tuple[str, Trace, Trace]:
    path = real_traces / f"{LIKE[request.param]}.parquet"
    if not path.is_file():
        pytest.skip(f"no {path}; set FORECACHE_TRACES to the directory that has it")
    made = like(request.param)
    return request.param, made, Trace.read(path).head(len(made))


def test_popularity_is_as_uneven(pair: tuple[str, Trace, Trace]) -> None:
    _, made, real = pair
    mine, theirs = made.stats(), real.stats()
    assert mine.zipf_exponent == pytest.approx(theirs.zipf_exponent, abs=0.15)
    assert 0.4 < mine.top_key_share / theirs.top_key_share < 2.5
    assert 0.7 < (mine.requests / mine.unique) / (theirs.requests / theirs.unique) < 1.4


def test_keys_come_back_as_soon(pair: tuple[str, Trace, Trace]) -> None:
    name, made, real = pair
    mine, theirs = (miss_ratio_curve(trace, ["1%", "10%"]).hit_ratios for trace in (made, real))
    assert mine == pytest.approx(theirs, abs=NEAR[name])
    assert 0.5 < made.stats().median_reuse_interval / real.stats().median_reuse_interval < 2


def top_hours(trace: Trace) -> float:
    """Share of the accesses that come in the busiest eight hours of the day."""
    by_hour = np.bincount((trace.time // 3_600 % 24).astype(int), minlength=24)
    return float(np.sort(by_hour)[-8:].sum() / by_hour.sum())


@pytest.mark.parametrize(("name", "recorded"), [("school", "algebra05_tutor"), ("social", "wiki_edits")])
def test_the_day_has_its_rhythm(name: str, recorded: str, real_traces: Path) -> None:
    path = real_traces / f"{recorded}.parquet"
    if not path.is_file():
        pytest.skip(f"no {path}; set FORECACHE_TRACES to the directory that has it")
    made = like(name)
    assert top_hours(made) == pytest.approx(top_hours(Trace.read(path)), abs=0.2 if name == "school" else 0.03)


def test_values_of_the_network_are_as_large(real_traces: Path) -> None:
    path = real_traces / "twitter_c52.parquet"
    if not path.is_file():
        pytest.skip(f"no {path}; set FORECACHE_TRACES to the directory that has it")
    made, real = generate("social", 100_000, seed=1).trace, Trace.read(path)
    mine, theirs = (np.percentile(trace.size, [50, 99]) for trace in (made, real))
    assert mine[0] == theirs[0] == 54
    assert mine[1] == pytest.approx(theirs[1], rel=0.5)


def test_values_of_the_shop_are_those_of_a_general_purpose_pool() -> None:
    """Atikoglu et al., SIGMETRICS 2012: generalized Pareto, scale 214.476, shape 0.348238."""
    trace = generate("shop", 100_000, seed=1).trace
    size = np.unique(np.stack([trace.key, trace.size.astype(np.uint64)]), axis=1)[1]
    for share in (0.25, 0.5, 0.9):
        quantile = 214.476 / 0.348238 * ((1 - share) ** -0.348238 - 1)
        assert np.quantile(size, share) == pytest.approx(quantile, rel=0.06)


def test_the_shop_reads_some_thirty_times_as_often_as_it_writes() -> None:
    """As the same pool: 30 gets for a set. Carts, which are written more, are besides."""
    trace = generate("shop", 100_000, seed=1).trace
    products = trace.key <= 25_000
    assert 1 / 50 < trace.op[products].mean() < 1 / 25
    assert trace.op.mean() < 0.08
