"""Labels for rows whose wait is not over: what is to be expected of them, given that they have waited so long.

Dropping them, or taking the wait so far for the whole, would teach that keys return soon: the long waits are the ones
that are cut off. Buckley & James, "Linear regression with censored data", Biometrika 66(3), 1979, replace a censored
label by its expectation under the model: prediction + E[residual | residual > what is known of it], where the
distribution of residuals is Kaplan and Meier's estimate (J. Am. Stat. Assoc. 53, 1958), which uses censored ones too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from forecache.errors import ConfigurationError
from forecache.extras import TRACES, extra

if TYPE_CHECKING:
    from forecache.learn.dataset import Bools, Dataset, Floats
    from forecache.learn.predictor import Predictor

with extra(TRACES):
    import numpy as np

__all__ = ["expected", "fit_censored"]

P = TypeVar("P", bound="Predictor")


def expected(values: Floats, known: Bools) -> Floats:
    """Each known value; of each censored one, the mean of what lies above it.

    Args:
        values: shape (n,); of a censored one, what it is known to be above.
        known: shape (n,).

    Returns:
        Shape (n,); a censored value above which nothing is known stays as it is.
    """
    order = np.lexsort((~known, values))  # of equals, the known ones first: the others are longer
    ordered, is_known = values[order], known[order]
    survival = np.cumprod(1 - is_known / np.arange(len(values), 0, -1))
    mass = -np.diff(survival, prepend=1.0)
    above = np.cumsum(mass[::-1])[::-1] - mass
    total = np.cumsum((mass * ordered)[::-1])[::-1] - mass * ordered
    means = np.where(above > 1e-9, total / np.maximum(above, 1e-9), ordered)  # noqa: PLR2004 - rounding
    result = np.empty_like(values)
    result[order] = np.where(is_known, ordered, np.maximum(means, ordered))
    return result


def fit_censored(predictor: P, data: Dataset) -> P:
    """Fits a predictor twice: to labels expected without looking at features, then to those it expects itself.

    Raises:
        ConfigurationError: there is no row to learn from.
    """
    if len(data) == 0:
        raise ConfigurationError(
            "there is nothing to learn from: the cache never had to evict anything; expected a capacity below the "
            "number of distinct keys"
        )
    bounds, known = data.targets, data.known
    predictor.fit(data.rows, expected(bounds, known))
    if not known.all():
        predicted = predictor.predict(data.rows)
        horizon = bounds[known].max(initial=bounds.max())
        labels = np.minimum(predicted + expected(bounds - predicted, known), horizon)
        predictor.fit(data.rows, np.where(known, bounds, np.maximum(labels, bounds)))
    return predictor
