"""How good predictions are: plain formulas over arrays, each None-free and checked against scikit-learn's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from forecache.extras import TRACES, extra

if TYPE_CHECKING:
    from forecache.learn.dataset import Bools, Floats

with extra(TRACES):
    import numpy as np

__all__ = ["Bucket", "area_under_curve", "calibration", "log_loss", "logistic_fit", "r_squared", "rank_correlation"]

LEAST: Final = 1e-6  # probability that is told apart from 0


@dataclass(frozen=True, slots=True)
class Bucket:
    """Rows that were given similar probabilities."""

    predicted: float  # their mean probability
    observed: float  # the share of them for which it came true
    rows: int


def r_squared(truth: Floats, predicted: Floats) -> float:
    """1 − Σ(y − p)² / Σ(y − mean)²; 0 where y does not vary."""
    variance = float(((truth - truth.mean()) ** 2).sum()) if truth.size else 0.0
    return 1 - float(((truth - predicted) ** 2).sum()) / variance if variance > 0 else 0.0


def ranks(values: Floats) -> Floats:
    """Ranks from 0; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[inverse].astype(np.float64)


def rank_correlation(truth: Floats, predicted: Floats) -> float | None:
    """Spearman's: the correlation of the ranks, in [−1, 1]; None where one side does not vary."""
    left, right = ranks(truth), ranks(predicted)
    if truth.size == 0 or left.std() == 0 or right.std() == 0:
        return None
    return float(np.corrcoef(left, right)[0, 1])


def area_under_curve(truth: Bools, scores: Floats) -> float | None:
    """The chance that a true row scores above a false one; None where there are not both.

    Hanley & McNeil, "The meaning and use of the area under a ROC curve", Radiology 143(1), 1982.
    """
    positive = int(truth.sum())
    negative = truth.size - positive
    if positive == 0 or negative == 0:
        return None
    return float((ranks(scores)[truth].sum() - positive * (positive - 1) / 2) / (positive * negative))


def log_loss(truth: Bools, probability: Floats) -> float | None:
    """Mean of −log of the probability that was given to what happened, in nats; None without rows."""
    if truth.size == 0:
        return None
    safe = np.clip(probability, LEAST, 1 - LEAST)
    return float(-np.mean(np.where(truth, np.log(safe), np.log1p(-safe))))


def calibration(truth: Bools, probability: Floats, buckets: int = 10) -> list[Bucket]:
    """Predicted against observed shares, in buckets of equal width; those without rows are left out."""
    place = np.minimum((probability * buckets).astype(int), buckets - 1)
    groups = [place == bucket for bucket in range(buckets)]
    return [
        Bucket(float(probability[group].mean()), float(truth[group].mean()), int(group.sum()))
        for group in groups
        if group.any()
    ]


def logistic_fit(scores: Floats, truth: Bools, rounds: int = 30) -> tuple[float, float]:
    """Slope and intercept of the probability 1 / (1 + exp(−(slope · score + intercept))).

    Platt, "Probabilistic outputs for support vector machines", 1999, with his smoothed targets, by Newton's method.
    """
    positive = int(truth.sum())
    high, low = (positive + 1) / (positive + 2), 1 / (truth.size - positive + 2)
    targets = np.where(truth, high, low)
    inputs = np.column_stack([scores, np.ones_like(scores)])
    weights = np.array([0.0, np.log((targets.mean() + LEAST) / (1 - targets.mean() + LEAST))])
    for _ in range(rounds):
        probability = 1 / (1 + np.exp(-np.clip(inputs @ weights, -30, 30)))
        curvature = (inputs * (probability * (1 - probability))[:, None]).T @ inputs + LEAST * np.eye(2)
        weights = weights - np.linalg.solve(curvature, inputs.T @ (probability - targets))
    return float(weights[0]), float(weights[1])
