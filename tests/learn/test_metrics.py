"""Figures against scikit-learn's, and on cases with a known answer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecache.learn.metrics import (
    area_under_curve,
    calibration,
    log_loss,
    logistic_fit,
    r_squared,
    rank_correlation,
)

pairs = st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4), st.booleans()), min_size=2, max_size=60)


def columns(rows):
    left, right, truth = zip(*rows, strict=True)
    return np.array(left, dtype=float), np.array(right, dtype=float), np.array(truth)


@settings(deadline=None)
@given(pairs)
def test_figures_agree_with_scikit_learn(rows):
    metrics = pytest.importorskip(
        "sklearn.metrics", reason="scikit-learn is not installed: pip install 'forecache[learn]'"
    )
    left, right, truth = columns(rows)
    if left.std() > 0:
        assert r_squared(left, right) == pytest.approx(metrics.r2_score(left, right))
    if 0 < truth.sum() < len(truth):
        assert area_under_curve(truth, right) == pytest.approx(metrics.roc_auc_score(truth, right))
        probability = 1 / (1 + np.exp(-right))
        assert log_loss(truth, probability) == pytest.approx(metrics.log_loss(truth, probability))


@settings(deadline=None)
@given(pairs)
def test_rank_correlation_agrees_with_scipy(rows):
    stats = pytest.importorskip("scipy.stats", reason="SciPy is not installed: pip install 'forecache[learn]'")
    left, right, _ = columns(rows)
    if left.std() > 0 and right.std() > 0:
        assert rank_correlation(left, right) == pytest.approx(stats.spearmanr(left, right).statistic)


def test_there_is_no_figure_without_rows_or_without_both_outcomes():
    none = np.array([])
    assert log_loss(none.astype(bool), none) is None
    assert area_under_curve(np.array([True, True]), np.array([1.0, 2.0])) is None
    assert rank_correlation(np.ones(3), np.arange(3.0)) is None
    assert r_squared(np.ones(3), np.zeros(3)) == 0


def test_a_fitted_probability_is_calibrated():
    chance = np.random.default_rng(2)
    scores = chance.normal(size=50_000)
    truth = chance.random(50_000) < 1 / (1 + np.exp(-(1 - 2 * scores)))
    slope, intercept = logistic_fit(scores, truth)
    assert (slope, intercept) == (pytest.approx(-2, abs=0.1), pytest.approx(1, abs=0.1))
    buckets = calibration(truth, 1 / (1 + np.exp(-(slope * scores + intercept))))
    assert sum(bucket.rows for bucket in buckets) == 50_000
    assert all(abs(bucket.predicted - bucket.observed) < 0.03 for bucket in buckets)


def test_one_sided_outcomes_can_be_fitted():
    slope, intercept = logistic_fit(np.arange(10.0), np.ones(10, dtype=bool))
    assert np.isfinite([slope, intercept]).all()
